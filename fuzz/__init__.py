"""Fuzz targets. `.ci/run` runs them for a short time; `make fuzz` for longer."""
