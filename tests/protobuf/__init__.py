"""Tests of ``remotemedia/protobuf``, the runtime of generated messages."""
