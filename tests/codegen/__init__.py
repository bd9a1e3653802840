"""The generator in ``codegen/``: its output, its command line, its types.

It has no wing of ``remotemedia``, since nothing imports it at run time. ``protos``
holds inputs, ``programs`` what type checkers must accept or refuse.
"""
