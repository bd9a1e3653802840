"""The official protobuf conformance suite, run over what `codegen` generates."""
