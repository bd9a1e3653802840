"""Tests of the library, its generator and its contract."""
