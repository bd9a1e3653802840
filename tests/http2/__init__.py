"""Tests of ``remotemedia/http2``: one connection, with h2 as the oracle."""
