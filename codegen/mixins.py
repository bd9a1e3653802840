"""Hand-written base classes of generated messages."""

MIXINS = {
    "remotemedia.v1.AudioBuffer": "remotemedia.audio:AudioBufferMixin",
    "remotemedia.v1.ChunkResult": "remotemedia.outputs:DataOutputsMixin",
    "remotemedia.v1.ExecutionResult": "remotemedia.outputs:DataOutputsMixin",
    "google.protobuf.Timestamp": "remotemedia.native:TimestampMixin",
    "google.protobuf.Duration": "remotemedia.native:DurationMixin",
    "google.protobuf.FieldMask": "remotemedia.protojson:FieldMaskMixin",
    "google.protobuf.ListValue": "remotemedia.protojson:ListValueMixin",
    "google.protobuf.Struct": "remotemedia.protojson:StructMixin",
    "google.protobuf.Value": "remotemedia.protojson:ValueMixin",
    "google.protobuf.BoolValue": "remotemedia.native:WrapperMixin",
    "google.protobuf.BytesValue": "remotemedia.native:WrapperMixin",
    "google.protobuf.DoubleValue": "remotemedia.native:WrapperMixin",
    "google.protobuf.FloatValue": "remotemedia.native:WrapperMixin",
    "google.protobuf.Int32Value": "remotemedia.native:WrapperMixin",
    "google.protobuf.Int64Value": "remotemedia.native:WrapperMixin",
    "google.protobuf.StringValue": "remotemedia.native:WrapperMixin",
    "google.protobuf.UInt32Value": "remotemedia.native:WrapperMixin",
    "google.protobuf.UInt64Value": "remotemedia.native:WrapperMixin",
}
"""A message's full name in the proto, and its mixin as `module:Class`."""
