"""The tests of `remotemedia.protobuf`: one file for each module of the package.

The generated codec, which these modules support, has its tests in `tests/codec`.
"""
