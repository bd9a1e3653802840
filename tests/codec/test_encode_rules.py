"""The rules of encoding: what is sent, and which values are refused by name."""

from __future__ import annotations

import copy
import math
import pickle
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.records import delimited, integer, tag, varint
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ChunkResult,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionMetrics,
    ExecutionResult,
    GpuRequirement,
    NodeManifest,
    NodeMetrics,
    NodeResult,
    PipelineManifest,
    StreamControl,
    StreamInit,
    StreamRequest,
    VersionInfo,
)
from tests.codec.contract import pair

if TYPE_CHECKING:
    from tests.codec.values import Pair

NEGATIVE_ZERO = b"\x00" * 7 + b"\x80"


def test_a_default_is_not_sent_and_anything_else_is() -> None:
    assert bytes(AudioBuffer(samples=b"", sample_rate=0, format=AudioFormat(0))) == b""
    assert bytes(NodeManifest(is_streaming=False, id="", runtime_hint=0)) == b""  # type: ignore[arg-type]  # an int, as an enum decodes to one elsewhere
    assert bytes(AudioBuffer(sample_rate=1)) == integer(2, 1)


def test_negative_zero_is_sent() -> None:
    metrics = ExecutionMetrics(wall_time_ms=-0.0, cpu_time_ms=0.0)
    assert bytes(metrics) == tag(1, 1) + NEGATIVE_ZERO
    again = ExecutionMetrics.FromString(bytes(metrics)).wall_time_ms
    assert math.copysign(1, again) == -1


def test_a_submessage_that_is_set_but_empty_is_sent() -> None:
    assert bytes(AudioChunk(buffer=AudioBuffer())) == delimited(2, b"")
    assert bytes(AudioChunk()) == b""


def test_a_submessage_that_is_set_later_is_sent() -> None:
    chunk = AudioChunk()
    chunk.buffer = AudioBuffer()
    assert bytes(chunk) == delimited(2, b"")


def test_a_submessage_that_was_only_read_is_not_sent() -> None:
    init = StreamInit()
    assert init.manifest.metadata.name == ""
    assert init.manifest.nodes == []
    assert bytes(init) == b""


def test_a_submessage_that_was_read_and_then_filled_is_sent() -> None:
    init = StreamInit()
    init.manifest.metadata.name = "x"
    init.data_inputs["a"] = "b"
    expected: Any = pair("StreamInit").google()
    expected.manifest.metadata.name = "x"
    expected.data_inputs["a"] = "b"
    assert bytes(init) == expected.SerializeToString()


def test_a_submessage_that_was_only_read_is_set_if_assigned() -> None:
    unset = AudioChunk().buffer
    assert bytes(AudioChunk(buffer=unset)) == delimited(2, b"")
    unset = AudioChunk().buffer
    chunk = AudioChunk()
    chunk.buffer = unset
    assert bytes(chunk) == delimited(2, b"")
    error = NodeResult().error
    assert bytes(ExecuteResponse(error=error)) == delimited(2, b"")


def test_a_submessage_that_was_only_read_may_be_a_list_element(
    all_types: dict[str, Pair],
) -> None:
    singular: Any = all_types["all_types.Singular"].ours
    repeated: Any = all_types["all_types.Repeated"].ours
    maps: Any = all_types["all_types.Maps"].ours
    assert bytes(repeated(inners=[singular().an_inner] * 2)) == (
        tag(17, 2) + b"\x00" + tag(17, 2) + b"\x00"
    )
    assert bytes(maps(inners={"a": singular().an_inner})) == delimited(
        17, delimited(1, b"a") + delimited(2, b"")
    )


def test_a_list_that_was_read_and_then_filled_is_sent() -> None:
    init = StreamInit()
    init.manifest.nodes.append(NodeManifest(id="n"))
    assert bytes(init) == delimited(1, delimited(3, delimited(1, b"n")))


def test_a_map_entry_with_empty_key_and_value_is_sent() -> None:
    assert bytes(ChunkResult(data_outputs={"": ""})) == delimited(
        3, delimited(1, b"") + delimited(2, b"")
    )
    assert bytes(ExecutionMetrics(node_metrics={"": NodeMetrics()})) == delimited(
        4, delimited(1, b"") + delimited(2, b"")
    )


def test_a_oneof_member_at_its_default_is_sent() -> None:
    assert bytes(StreamRequest(control=StreamControl())) == delimited(3, b"")


def test_no_member_of_a_oneof_is_sent_if_none_is_set() -> None:
    assert bytes(StreamRequest()) == b""
    assert bytes(ExecuteResponse()) == b""


def test_empty_elements_of_a_list_are_sent() -> None:
    info = VersionInfo(supported_node_types=["", "a", ""])
    assert bytes(info) == delimited(3, b"") + delimited(3, b"a") + delimited(3, b"")
    manifest = PipelineManifest(nodes=[NodeManifest()])
    assert bytes(manifest) == delimited(3, b"")


def test_a_negative_enum_number_takes_ten_bytes() -> None:
    buffer = AudioBuffer(format=AudioFormat.try_value(-1))
    assert bytes(buffer) == tag(4, 0) + varint(2**64 - 1)


BAD_NUMBERS: list[Any] = [-1, 2**64, 2**80, 1.5, 1.0, "1", b"1", [], math.nan]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, 2**32])
def test_a_uint32_out_of_range_or_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.sample_rate"):
        bytes(AudioBuffer(sample_rate=value))


@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_a_uint64_out_of_range_or_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.num_samples"):
        bytes(AudioBuffer(num_samples=value))


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40, 1.5, "F32", b"\x01"])
def test_an_enum_out_of_range_or_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.format"):
        bytes(AudioBuffer(format=value))


@pytest.mark.parametrize("value", ["1.5", b"12345678", [1.0], 1j])
def test_a_double_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"GpuRequirement\.min_memory_gb"):
        bytes(GpuRequirement(min_memory_gb=value))


def test_a_double_may_be_an_int_that_is_not_too_large() -> None:
    assert GpuRequirement.FromString(bytes(GpuRequirement(min_memory_gb=8))) == (
        GpuRequirement(min_memory_gb=8.0)
    )
    with pytest.raises((ValueError, TypeError), match=r"GpuRequirement\.min_memory_gb"):
        bytes(GpuRequirement(min_memory_gb=10**400))


@pytest.mark.parametrize("value", ["yes", 1.5, b"\x01", [True]])
def test_a_bool_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"GpuRequirement\.required"):
        bytes(GpuRequirement(required=value))


@pytest.mark.parametrize("value", [b"bytes", 5, ["a"], "\ud800", 1.5])
def test_a_string_of_another_type_or_without_utf8_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"NodeManifest\.id"):
        bytes(NodeManifest(id=value))


@pytest.mark.parametrize("value", ["text", 5, [1, 2], 1.5, object()])
def test_bytes_of_another_type_are_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.samples"):
        bytes(AudioBuffer(samples=value))


@pytest.mark.parametrize(
    "value", [b"bytes", "text", 5, {"samples": b""}, VersionInfo(), AudioBuffer]
)
def test_a_message_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"AudioChunk\.buffer"):
        bytes(AudioChunk(buffer=value))


@pytest.mark.parametrize("value", ["text", 5, [1], [None], [b"a"], [["a"]]])
def test_a_list_of_something_else_is_refused(value: Any) -> None:
    with pytest.raises(
        (ValueError, TypeError), match=r"VersionInfo\.supported_protocols"
    ):
        bytes(VersionInfo(supported_protocols=value))


@pytest.mark.parametrize("value", [[None], [VersionInfo()], ["node"], 5])
def test_a_list_of_other_messages_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"PipelineManifest\.nodes"):
        bytes(PipelineManifest(nodes=value))


@pytest.mark.parametrize(
    "value", [{1: "a"}, {"a": 1}, {"a": None}, {None: "a"}, ["a"], "text", 5]
)
def test_a_map_of_something_else_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"ChunkResult\.data_outputs"):
        bytes(ChunkResult(data_outputs=value))


@pytest.mark.parametrize("value", [{"a": None}, {"a": b"x"}, {"a": VersionInfo()}])
def test_a_map_of_other_messages_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"ChunkResult\.audio_outputs"):
        bytes(ChunkResult(audio_outputs=value))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (AudioBuffer, "sample_rate"),
        (AudioBuffer, "format"),
        (AudioChunk, "node_id"),
        (AudioChunk, "buffer"),
        (NodeManifest, "is_streaming"),
        (ExecutionMetrics, "wall_time_ms"),
        (ExecutionMetrics, "node_metrics"),
        (PipelineManifest, "nodes"),
        (VersionInfo, "supported_protocols"),
    ],
)
@pytest.mark.parametrize("value", [np.array([1, 2]), np.array([])], ids=["two", "none"])
def test_an_array_is_refused_by_name_if_not_for_bytes(
    message: Any, field: str, value: Any
) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"{message.__name__}\.{field}"):
        bytes(message(**{field: value}))


def test_a_refusal_deep_inside_names_the_message_and_field() -> None:
    bad = AudioBuffer(channels=-1)
    for message in (
        StreamRequest(audio_chunk=AudioChunk(buffer=bad)),
        ExecuteRequest(audio_inputs={"a": bad}),
    ):
        with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.channels"):
            bytes(message)


def test_a_message_that_holds_itself_is_refused(all_types: dict[str, Pair]) -> None:
    inner: Any = all_types["all_types.Singular.Inner"].ours()
    inner.deeper = inner
    with pytest.raises((ValueError, TypeError, RecursionError)):
        bytes(inner)


# --- bytes-like values --------------------------------------------------------------

INT16 = np.arange(-4, 4, dtype=np.int16)
BYTES_LIKE = {
    "bytearray": bytearray(INT16.tobytes()),
    "memoryview": memoryview(INT16.tobytes()),
    "memoryview of int16": memoryview(INT16.data),
    "array": array("h", INT16.tolist()),
    "numpy int16": INT16,
    "numpy int16 in two dimensions": INT16.reshape(4, 2),
    "numpy int16, read-only": np.frombuffer(INT16.tobytes(), dtype=np.int16),
}


@pytest.mark.parametrize("value", BYTES_LIKE.values(), ids=BYTES_LIKE)
def test_a_bytes_like_value_is_sent_by_its_bytes(value: Any) -> None:
    expected = AudioBuffer(samples=INT16.tobytes(), sample_rate=8000)
    assert bytes(AudioBuffer(samples=value, sample_rate=8000)) == bytes(expected)
    inside = AudioChunk(node_id="a", buffer=AudioBuffer(samples=value))
    assert AudioChunk.FromString(bytes(inside)).buffer.samples == INT16.tobytes()


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int32, np.uint8, np.int16, ">i2", bool]
)
def test_a_numpy_array_of_any_type_is_sent_by_its_bytes(dtype: Any) -> None:
    samples = np.array([0, 1, 5, 3], dtype=dtype)
    encoded = bytes(AudioBuffer(samples=samples))  # type: ignore[arg-type]  # taken by its bytes
    assert AudioBuffer.FromString(encoded).samples == samples.tobytes()


@pytest.mark.parametrize(
    "value",
    [bytearray(), memoryview(b""), np.array([], dtype=np.int16), array("h")],
    ids=["bytearray", "memoryview", "numpy", "array"],
)
def test_an_empty_bytes_like_value_is_the_default(value: Any) -> None:
    assert bytes(AudioBuffer(samples=value)) == b""


def test_a_zero_in_a_numpy_array_is_not_a_default() -> None:
    samples: Any = np.zeros(1, dtype=np.int16)
    assert bytes(AudioBuffer(samples=samples)) == delimited(1, b"\x00\x00")


@pytest.mark.parametrize(
    "value",
    [INT16[::2], np.arange(6).reshape(2, 3).T, memoryview(b"abcdef")[::2]],
    ids=["strided", "transposed", "strided memoryview"],
)
def test_a_buffer_that_is_not_contiguous_is_sent_in_order_or_refused(
    value: Any,
) -> None:
    try:
        encoded = bytes(AudioBuffer(samples=value))
    except (ValueError, TypeError) as error:
        assert "AudioBuffer.samples" in str(error)  # noqa: PT017 - both are right
    else:
        assert AudioBuffer.FromString(encoded).samples == value.tobytes()


@pytest.mark.parametrize("value", BYTES_LIKE.values(), ids=BYTES_LIKE)
def test_a_message_with_a_bytes_like_value_behaves_like_any_other(value: Any) -> None:
    buffer = AudioBuffer(samples=value)
    plain = AudioBuffer(samples=INT16.tobytes())
    assert buffer == plain
    assert plain == buffer
    assert bytes(copy.copy(buffer)) == bytes(plain)
    assert bytes(copy.deepcopy(buffer)) == bytes(plain)
    assert bytes(pickle.loads(pickle.dumps(buffer))) == bytes(plain)
    assert buffer.to_dict() == plain.to_dict()
    assert buffer.is_set("samples")
    assert repr(buffer)


@pytest.mark.parametrize("value", BYTES_LIKE.values(), ids=BYTES_LIKE)
def test_a_bytes_like_value_may_be_assigned(value: Any) -> None:
    buffer = AudioBuffer()
    buffer.samples = value
    assert bytes(buffer) == bytes(AudioBuffer(samples=INT16.tobytes()))
    assert len(buffer) == len(bytes(buffer))


def test_numpy_objects_are_not_bytes() -> None:
    objects: Any = np.array([b"a", None], dtype=object)
    with pytest.raises((ValueError, TypeError), match=r"AudioBuffer\.samples"):
        bytes(AudioBuffer(samples=objects))


def test_numpy_numbers_are_accepted_as_numbers() -> None:
    numbers: dict[str, Any] = {
        "sample_rate": np.uint32(8000),
        "num_samples": np.int64(7),
    }
    buffer = AudioBuffer(**numbers)
    assert bytes(buffer) == integer(2, 8000) + integer(5, 7)


def test_a_tuple_is_accepted_as_a_list() -> None:
    nodes: Any = (NodeManifest(id="a"),)
    assert bytes(PipelineManifest(nodes=nodes)) == delimited(3, delimited(1, b"a"))


def test_every_message_of_the_contract_encodes_when_empty() -> None:
    for message in (ExecutionResult(), NodeResult(), StreamInit()):
        assert bytes(message) == b""
        assert len(message) == 0
