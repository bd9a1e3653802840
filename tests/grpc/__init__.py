"""Tests of ``remotemedia/grpc``: one call, against scripted peers."""
