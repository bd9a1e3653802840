"""Fuzz targets: bounded in `.ci/run`, for as long as one likes by hand."""
