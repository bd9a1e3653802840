"""The hand-written base classes of generated messages."""

MIXINS = {
    "remotemedia.v1.AudioBuffer": "remotemedia.audio:AudioBufferMixin",
    "remotemedia.v1.ChunkResult": "remotemedia.results:DataOutputsMixin",
    "remotemedia.v1.ExecutionResult": "remotemedia.results:ExecutionResultMixin",
    "remotemedia.data_v1.AudioBuffer": "remotemedia.audio:AudioBufferMixin",
    "remotemedia.data_v1.NumpyBuffer": "remotemedia.media.arrays:NumpyBufferMixin",
    "remotemedia.data_v1.TensorBuffer": "remotemedia.media.arrays:TensorBufferMixin",
    "remotemedia.data_v1.TextBuffer": "remotemedia.media.text:TextBufferMixin",
    "remotemedia.data_v1.VideoFrame": "remotemedia.media.video:VideoFrameMixin",
    "remotemedia.protobuf.wkt.Timestamp": "remotemedia.protobuf.well_known:TimestampMixin",
    "remotemedia.protobuf.wkt.Duration": "remotemedia.protobuf.well_known:DurationMixin",
    "remotemedia.protobuf.wkt.Any": "remotemedia.protobuf.json_types:AnyMixin",
    "remotemedia.protobuf.wkt.FieldMask": "remotemedia.protobuf.json_types:FieldMaskMixin",
    "remotemedia.protobuf.wkt.ListValue": "remotemedia.protobuf.json_types:ListValueMixin",
    "remotemedia.protobuf.wkt.Struct": "remotemedia.protobuf.json_types:StructMixin",
    "remotemedia.protobuf.wkt.Value": "remotemedia.protobuf.json_types:ValueMixin",
    "remotemedia.protobuf.wkt.BoolValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.BytesValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.DoubleValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.FloatValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.Int32Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.Int64Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.StringValue": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.UInt32Value": "remotemedia.protobuf.well_known:WrapperMixin",
    "remotemedia.protobuf.wkt.UInt64Value": "remotemedia.protobuf.well_known:WrapperMixin",
}
"""The mixin of each message, as `module:Class`, by the message's package and name.

The package is the one that is generated, not that of the proto: one proto package may
be generated twice, from two sets of files.
"""

COMPUTED = {
    "remotemedia.v1.AudioBuffer.num_samples",
    "remotemedia.data_v1.AudioBuffer.num_samples",
}
"""Fields that may be left out of the constructor: their mixin computes them."""
