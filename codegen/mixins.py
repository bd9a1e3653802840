"""The hand-written base classes of generated messages."""

MIXINS = {
    "remotemedia.v1.AudioBuffer": "remotemedia.audio:AudioBufferMixin",
    "remotemedia.v1.ChunkResult": "remotemedia.results:DataOutputsMixin",
    "remotemedia.v1.ExecutionResult": "remotemedia.results:ExecutionResultMixin",
    "google.protobuf.Timestamp": "remotemedia.protobuf.well_known:TimestampMixin",
    "google.protobuf.Duration": "remotemedia.protobuf.well_known:DurationMixin",
    "google.protobuf.Any": "remotemedia.protobuf.json_types:AnyMixin",
    "google.protobuf.FieldMask": "remotemedia.protobuf.json_types:FieldMaskMixin",
    "google.protobuf.ListValue": "remotemedia.protobuf.json_types:ListValueMixin",
    "google.protobuf.Struct": "remotemedia.protobuf.json_types:StructMixin",
    "google.protobuf.Value": "remotemedia.protobuf.json_types:ValueMixin",
    "google.protobuf.BoolValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.BytesValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.DoubleValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.FloatValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.Int32Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.Int64Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.StringValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.UInt32Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "google.protobuf.UInt64Value": "remotemedia.protobuf.well_known:WrapperMixin",
}
"""The mixin of each message, as `module:Class`, by the message's full name."""

COMPUTED = {"remotemedia.v1.AudioBuffer.num_samples"}
"""Fields that may be left out of the constructor: their mixin computes them."""
