"""Tests of the embedded service, mostly by a client on grpcio's C core."""
