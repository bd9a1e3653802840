"""Runs the official protobuf conformance suite against the generated codec."""
