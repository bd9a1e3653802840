"""The generated codec as a whole, compared with Google's protobuf.

It has no single module: each test takes the generated code, the runtime in
``remotemedia/protobuf`` and the contract's messages together, on valid and on broken
input. The runtime's modules have their own tests in ``tests/protobuf``.
"""
