"""The tests of the generated encoders and decoders, which have no module of their own.

Google's protobuf (upb) is the reference: both implementations get the same bytes and
must agree on whether they are valid, on every value, and on the encoded result. Inputs
are handwritten cases, messages that hypothesis draws from the descriptors, bytes that
are cut or changed anywhere, and data made to cost much. `roundtrip` is the comparison
that nearly all tests share. `CODEC_EFFORT=100` runs the property tests for longer.
"""
