"""What the codec is held to: independent implementations and hand-made inputs.

- ``python -m conformance`` runs the official protobuf conformance suite over what
  ``codegen`` generates (``runner``, ``testee``, ``shim.c``).
- ``oracle`` is Google's protobuf over any ``.proto`` files.
- ``records`` writes the wire format by hand; ``attacks`` are inputs that are expensive
  to decode.

Tests, benchmarks and the fuzzer share the last three.
"""
