"""Tests of ``remotemedia/testing``: LocalService, the embedded reference service.

``core_client`` calls it with grpcio, which shares no line with the library.
"""
