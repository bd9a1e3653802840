"""Tests of ``remotemedia/session``: one bidirectional session."""
