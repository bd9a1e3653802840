"""The hand-written base classes of generated messages.

The tables name the packages that are generated, not those of the protos: one proto
package may be generated twice, from two sets of files.
"""

MIXINS: dict[str, dict[str, str]] = {
    "remotemedia.v1": {
        "AudioBuffer": "remotemedia.audio:AudioBufferMixin",
        "ChunkResult": "remotemedia.results:DataOutputsMixin",
        "ExecutionResult": "remotemedia.results:ExecutionResultMixin",
    },
    "remotemedia.data_v1": {
        "AudioBuffer": "remotemedia.audio:AudioBufferMixin",
        "NumpyBuffer": "remotemedia.media.arrays:NumpyBufferMixin",
        "TensorBuffer": "remotemedia.media.arrays:TensorBufferMixin",
        "TextBuffer": "remotemedia.media.text:TextBufferMixin",
        "VideoFrame": "remotemedia.media.video:VideoFrameMixin",
    },
    "remotemedia.protobuf.wkt": {
        "Timestamp": "remotemedia.protobuf.well_known:TimestampMixin",
        "Duration": "remotemedia.protobuf.well_known:DurationMixin",
        "Any": "remotemedia.protobuf.json_types:AnyMixin",
        "FieldMask": "remotemedia.protobuf.json_types:FieldMaskMixin",
        "ListValue": "remotemedia.protobuf.json_types:ListValueMixin",
        "Struct": "remotemedia.protobuf.json_types:StructMixin",
        "Value": "remotemedia.protobuf.json_types:ValueMixin",
        "BoolValue": "remotemedia.protobuf.well_known:WrapperMixin",
        "BytesValue": "remotemedia.protobuf.well_known:WrapperMixin",
        "DoubleValue": "remotemedia.protobuf.well_known:WrapperMixin",
        "FloatValue": "remotemedia.protobuf.well_known:WrapperMixin",
        "Int32Value": "remotemedia.protobuf.well_known:WrapperMixin",
        "Int64Value": "remotemedia.protobuf.well_known:WrapperMixin",
        "StringValue": "remotemedia.protobuf.well_known:WrapperMixin",
        "UInt32Value": "remotemedia.protobuf.well_known:WrapperMixin",
        "UInt64Value": "remotemedia.protobuf.well_known:WrapperMixin",
    },
}
"""The mixin of each message, as `module:Class`, by package and name."""

COMPUTED = {
    ("remotemedia.v1", "AudioBuffer", "num_samples"),
    ("remotemedia.data_v1", "AudioBuffer", "num_samples"),
}
"""Fields that may be left out of the constructor: their mixin computes them."""
