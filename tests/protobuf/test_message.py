"""The base class of messages: fields, copies, placeholders, streams and oneofs."""

from __future__ import annotations

import copy
import dataclasses
import io
import math
import pickle
import pydoc
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import betterproto
import pytest
from betterproto.casing import snake_case

import remotemedia
from conformance.records import delimited, varint
from remotemedia import protobuf
from remotemedia.protobuf import DecodeError, EncodeTypeError, Message
from remotemedia.protobuf.wkt import Empty, Value
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ExecuteRequest,
    ExecutionMetrics,
    ExecutionResult,
    ManifestMetadata,
    NodeManifest,
    NodeMetrics,
    PipelineManifest,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
    StreamResponse,
    VersionInfo,
)

UNKNOWN = b"\x78\x05"


def chunk() -> StreamRequest:
    buffer = AudioBuffer(
        samples=b"abcd",
        sample_rate=8000,
        channels=1,
        format=AudioFormat.I16,
        num_samples=2,
    )
    return StreamRequest(audio_chunk=AudioChunk(node_id="n", buffer=buffer, sequence=3))


def test_a_message_is_a_dataclass_of_betterproto() -> None:
    assert isinstance(chunk(), betterproto.Message)
    names = [field.name for field in dataclasses.fields(AudioBuffer)]
    assert names == ["samples", "sample_rate", "channels", "format", "num_samples"]
    assert repr(chunk()) == (
        "StreamRequest(audio_chunk=AudioChunk(node_id='n', buffer=AudioBuffer("
        "samples=b'abcd', sample_rate=8000, channels=1, format=AudioFormat.I16, "
        "num_samples=2), sequence=3))"
    )


def test_every_copy_is_equal_and_keeps_unknown_fields() -> None:
    message = StreamRequest.FromString(bytes(chunk()) + UNKNOWN)
    for again in (
        copy.copy(message),
        copy.deepcopy(message),
        pickle.loads(pickle.dumps(message)),
    ):
        assert again == message
        assert bytes(again) == bytes(chunk()) + UNKNOWN
        again.parse(UNKNOWN)
        assert again != message
    assert bytes(message) == bytes(chunk()) + UNKNOWN


def test_a_deep_copy_shares_nothing_and_a_shallow_one_its_fields() -> None:
    data = bytearray(b"ab")
    message = AudioBuffer(samples=data)
    deep, shallow = copy.deepcopy(message), copy.copy(message)
    data[0] = 0
    assert (deep.samples, shallow.samples) == (b"ab", b"\x00b")
    request = chunk()
    copied = copy.deepcopy(request)
    copied.audio_chunk.buffer.channels = 7
    assert request.audio_chunk.buffer.channels == 1


def test_equality_sees_the_oneof_and_what_is_set() -> None:
    assert StreamRequest(init=StreamInit()) != StreamRequest(control=StreamControl())
    assert StreamRequest() != StreamRequest(init=StreamInit())
    assert AudioChunk() != AudioChunk(buffer=AudioBuffer())
    assert AudioChunk() == AudioChunk(node_id="", sequence=0)
    assert AudioChunk() != AudioChunk().parse(UNKNOWN)
    assert AudioChunk() != Empty()
    assert AudioChunk() != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(AudioChunk())


def test_setting_a_member_of_a_oneof_clears_the_others() -> None:
    request = chunk()
    request.control = StreamControl(command=StreamControlCommand.COMMAND_CLOSE)
    assert betterproto.which_one_of(request, "request")[0] == "control"
    with pytest.raises(
        AttributeError, match="'request' is set to 'control', not 'init'"
    ):
        _ = request.init
    match StreamResponse.FromString(b"\x1a\x00"):
        case StreamResponse(result=_):
            pytest.fail("another member is set")
        case StreamResponse(error=error):
            assert error.message == ""


def test_which_oneof_names_the_member_that_is_set() -> None:
    request = StreamRequest()
    assert request.which_oneof("request") == ""
    for name, member in [("init", StreamInit()), ("control", StreamControl())]:
        setattr(request, name, member)
        assert request.which_oneof("request") == name
        assert betterproto.which_one_of(request, "request") == (name, member)
    assert StreamRequest.FromString(bytes(request)).which_oneof("request") == "control"
    with pytest.raises(KeyError, match="response"):
        request.which_oneof("response")
    with pytest.raises(KeyError):
        AudioChunk().which_oneof("request")


def test_of_two_members_in_a_constructor_the_last_is_taken() -> None:
    request = StreamRequest(init=StreamInit(), control=StreamControl())
    assert betterproto.which_one_of(request, "request")[0] == "control"


def test_reading_a_message_field_does_not_set_it() -> None:
    request = ExecuteRequest()
    assert request.manifest.metadata.name == ""
    assert request.manifest.nodes == []
    assert not request.is_set("manifest")
    assert not request
    assert (bytes(request), request) == (b"", ExecuteRequest())


def test_filling_a_placeholder_sets_the_field() -> None:
    request = ExecuteRequest()
    metadata = request.manifest.metadata
    metadata.name = ""
    assert request.is_set("manifest")
    assert bytes(request) == b"\x0a\x02\x12\x00"
    metadata.name = "x"
    assert request.manifest.metadata is metadata
    assert request == ExecuteRequest(
        manifest=PipelineManifest(metadata=ManifestMetadata(name="x"))
    )
    request = ExecuteRequest()
    request.manifest.nodes.append(NodeManifest())
    assert bytes(request) == b"\x0a\x02\x1a\x00"


def test_none_unsets_a_field() -> None:
    request = ExecuteRequest(manifest=PipelineManifest(version="v1"))
    request.manifest = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # as stubs of others do
    assert not request.is_set("manifest")
    assert bytes(request) == b""


def test_chains_of_placeholders_set_nothing() -> None:
    manifests = [ExecuteRequest() for _ in range(3)]
    for request in manifests:
        for _ in range(50):
            assert request.manifest.metadata.description == ""
        assert bytes(request) == b""


def test_parsing_merges_into_a_filled_placeholder() -> None:
    request = ExecuteRequest()
    metadata = request.manifest.metadata
    metadata.name = "kept"
    other = PipelineManifest(metadata=ManifestMetadata(description="added"))
    request.parse(bytes(ExecuteRequest(manifest=other)))
    assert request.manifest.metadata == ManifestMetadata(
        name="kept", description="added"
    )
    assert request.manifest.metadata is metadata


def test_messages_follow_one_another_in_a_stream() -> None:
    stream = io.BytesIO()
    chunk().dump(stream, delimit=True)
    AudioChunk().dump(stream, delimit=True)
    chunk().dump(stream)
    stream.seek(0)
    assert StreamRequest().load(stream, betterproto.SIZE_DELIMITED) == chunk()
    assert AudioChunk().load(stream, betterproto.SIZE_DELIMITED) == AudioChunk()
    assert StreamRequest().load(stream, len(chunk())) == chunk()
    assert StreamRequest().load(stream) == StreamRequest()


def test_a_size_beyond_the_stream_is_an_error_that_names_the_message() -> None:
    with pytest.raises(DecodeError, match=r"AudioChunk: the stream ends .* too early"):
        AudioChunk().load(
            io.BytesIO(b"\xff\xff\xff\xff\x07ab"), betterproto.SIZE_DELIMITED
        )


class Trickle(io.BytesIO):
    """A stream that gives at most three bytes at a time, and notes what was asked."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked.append(size)
        return super().read(min(size, 3))


def test_a_message_is_read_in_pieces_and_no_further() -> None:
    data = bytes(chunk())
    stream = Trickle(data + b"rest")
    assert StreamRequest().load(stream, len(data)) == chunk()
    assert stream.getvalue()[stream.tell() :] == b"rest"
    # An invalid size must not allocate memory: no read asks for more than a MiB.
    stream = Trickle(b"")
    with pytest.raises(DecodeError, match="ends 3000000 bytes too early"):
        StreamRequest().load(stream, 3_000_000)
    assert stream.asked == [1 << 20]
    assert StreamRequest().load(Trickle(b"rest"), 0) == StreamRequest()


@pytest.mark.parametrize("padding", [1, 2, 5])
def test_a_size_may_be_padded(padding: int) -> None:
    data = bytes(AudioChunk(node_id="n"))
    stream = io.BytesIO(varint(len(data), padding) + data + b"rest")
    message = AudioChunk().load(stream, betterproto.SIZE_DELIMITED)
    assert message == AudioChunk(node_id="n")
    assert stream.read() == b"rest"


@pytest.mark.parametrize("prefix", [b"\x80" * 10 + b"\x01", b"\xff" * 9 + b"\x01"])
def test_a_size_that_is_no_varint_of_32_bits_is_refused(prefix: bytes) -> None:
    stream = io.BytesIO(prefix + bytes(100))
    with pytest.raises(DecodeError, match=r"^AudioChunk: a (tag|varint)"):
        AudioChunk().load(stream, betterproto.SIZE_DELIMITED)
    assert stream.tell() == 10


def test_an_error_names_the_message_and_the_field() -> None:
    for data, place in [
        (b"\x0a\x01\xff", "AudioChunk.node_id: a string is not UTF-8"),
        (b"\x12\x02\x10", "AudioChunk.buffer: the data ends in the middle of it"),
        (b"\x18\x80", "AudioChunk.sequence: the data ends in the middle of it"),
        (b"\x7f\x01", "AudioChunk.field 15: there is no wire type 7"),
    ]:
        with pytest.raises(DecodeError) as caught:
            AudioChunk.FromString(data)
        assert str(caught.value) == place
        with pytest.raises(DecodeError) as caught:
            AudioChunk().load(io.BytesIO(data))
        assert str(caught.value) == place


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_is_decoded(kind: Any) -> None:
    data = kind(bytes(chunk()))
    assert StreamRequest.FromString(data) == chunk()
    assert StreamRequest().parse(data) == chunk()
    assert type(StreamRequest.FromString(data).audio_chunk.buffer.samples) is bytes


def test_messages_nest_to_a_limit() -> None:
    def nested(levels: int) -> bytes:
        data = b""
        for _ in range(levels):
            data = delimited(6, delimited(1, data))
        return data

    for decode in (Value.FromString, lambda data: Value().parse(data)):
        assert bytes(decode(nested(50))) == nested(50)
        with pytest.raises(DecodeError, match="more than 100 deep"):
            decode(nested(51))


def test_an_attribute_that_does_not_exist_is_an_error() -> None:
    buffer = AudioBuffer()
    with pytest.raises(
        AttributeError, match="'AudioBuffer' object has no attribute 'rate'"
    ) as caught:
        _ = buffer.rate  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # on purpose
    assert (caught.value.name, caught.value.obj) == ("rate", buffer)
    with pytest.raises(AttributeError, match="is set to None") as caught:
        _ = StreamRequest().init
    assert caught.value.name == "init"
    assert isinstance(caught.value.obj, StreamRequest)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sampl_rate", "did you mean 'sample_rate'?"),
        ("note", "it has samples, sample_rate, channels, format, num_samples"),
        ("validate", "it has samples, sample_rate, channels, format, num_samples"),
        ("_note", "it has samples, sample_rate, channels, format, num_samples"),
    ],
)
def test_an_attribute_that_is_no_field_is_refused(name: str, advice: str) -> None:
    buffer = AudioBuffer(channels=1)
    with pytest.raises(AttributeError) as caught:
        setattr(buffer, name, 8000)
    assert str(caught.value) == f"'AudioBuffer' object has no field {name!r}; {advice}"
    assert buffer == AudioBuffer(channels=1)
    assert bytes(buffer) == b"\x18\x01"


EXPORTED = [
    found
    for found in vars(remotemedia).values()
    if isinstance(found, type) and issubclass(found, protobuf.Message)
]


@pytest.mark.parametrize("message", EXPORTED)
def test_help_shows_every_exported_message(message: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(message))
    for field in dataclasses.fields(message):
        assert f"{field.name}: " in shown


@pytest.mark.parametrize(
    "message",
    [
        StreamRequest(audio_chunk=AudioChunk(node_id="src", buffer=AudioBuffer())),
        StreamRequest(),
        ExecutionResult(data_outputs={"a": "1"}),
        ExecutionResult(metrics=ExecutionMetrics()),
        AudioBuffer(samples=b"ab", channels=1),
        AudioBuffer(samples=b"ab", format=AudioFormat.I16, num_samples=0),
    ],
)
def test_replace_without_changes_gives_an_equal_message(message: Any) -> None:
    again = dataclasses.replace(message)
    assert again == message
    assert again is not message


def test_replace_changes_a_field_and_keeps_the_others() -> None:
    buffer = AudioBuffer(channels=1)
    request = StreamRequest(audio_chunk=AudioChunk(buffer=buffer))
    other = AudioChunk(node_id="src")
    assert dataclasses.replace(request, audio_chunk=other).audio_chunk is other
    assert dataclasses.replace(buffer, sample_rate=8000) == AudioBuffer(
        channels=1, sample_rate=8000
    )


def test_replace_switches_a_oneof() -> None:
    request: Any = StreamRequest(audio_chunk=AudioChunk())
    control = StreamControl(command=StreamControlCommand.COMMAND_CLOSE)
    changed = dataclasses.replace(request, audio_chunk=None, control=control)
    assert changed == StreamRequest(control=control)


def test_replace_keeps_a_message_that_was_filled_where_it_was_read() -> None:
    result = ExecutionResult()
    result.metrics.wall_time_ms = 2.0
    assert dataclasses.replace(result) == result


def test_asdict_has_what_can_be_read() -> None:
    request = StreamRequest(audio_chunk=AudioChunk(node_id="src", sequence=3))
    assert dataclasses.asdict(request) == {
        "audio_chunk": {"node_id": "src", "sequence": 3, "timestamp_ms": 0}
    }
    assert dataclasses.asdict(StreamRequest()) == {}
    result = ExecutionResult(audio_outputs={"a": AudioBuffer(samples=b"a")})
    assert dataclasses.asdict(result)["audio_outputs"]["a"]["samples"] == b"a"


LARGE = AudioBuffer(samples=bytes(6400), sample_rate=16000)
MANY = [NodeManifest(id=f"node {i}", params="x" * 500) for i in range(1000)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (LARGE, "AudioBuffer(samples=<6400 bytes>, sample_rate=16000)"),
        (AudioBuffer(samples=bytes(33)), "AudioBuffer(samples=<33 bytes>)"),
        (AudioBuffer(samples=b"a" * 32), f"AudioBuffer(samples={b'a' * 32!r})"),
        (AudioBuffer(samples=memoryview(b"a")), "AudioBuffer(samples=<1 bytes>)"),
        (NodeManifest(id="a" * 61), f"NodeManifest(id='{'a' * 60}'...)"),
        (
            ExecutionResult(data_outputs={str(i): "1" for i in range(100)}),
            "ExecutionResult(data_outputs={'0': '1', '1': '1', ",
        ),
    ],
)
def test_a_repr_is_short(message: Message, shown: str) -> None:
    assert repr(message).startswith(shown)


@pytest.mark.parametrize(
    "message",
    [
        StreamRequest(audio_chunk=AudioChunk(node_id="n" * 1000, buffer=LARGE)),
        ExecutionResult(audio_outputs={f"output {i}": LARGE for i in range(1000)}),
        PipelineManifest(nodes=MANY),
        VersionInfo(supported_node_types=["x" * 1000] * 1000),
        AudioBuffer(sample_rate=[0.5] * 10**5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose
        AudioBuffer(sample_rate=10**4000),
    ],
)
def test_no_repr_is_longer_than_a_few_hundred_characters(message: Message) -> None:
    assert len(repr(message)) < 400


def test_a_repr_of_lists_in_lists_is_short() -> None:
    value: list[object] = []
    for _ in range(10_000):
        value = [value]
    buffer = AudioBuffer(sample_rate=value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose
    assert len(repr(buffer)) < 400


def test_json_without_a_computed_field_gives_its_default() -> None:
    buffer = AudioBuffer(samples=b"ab", format=AudioFormat.I16, num_samples=0)
    assert AudioBuffer.from_dict(buffer.to_dict()) == buffer


def test_a_field_is_set_if_it_differs_from_what_an_unset_one_reads_as() -> None:
    metrics = ExecutionMetrics()
    for value, is_set in [(0.0, False), (-0.0, True), (1.5, True), (math.nan, True)]:
        metrics.wall_time_ms = value
        assert metrics.is_set("wall_time_ms") is is_set
        assert bool(metrics) is is_set
    assert not ExecutionMetrics().is_set("node_metrics")
    assert not ExecutionMetrics(node_metrics={}).is_set("node_metrics")
    assert ExecutionMetrics(node_metrics={"": NodeMetrics()}).is_set("node_metrics")
    assert AudioChunk(buffer=AudioBuffer()).is_set("buffer")
    assert not PipelineManifest(nodes=[]).is_set("nodes")
    assert PipelineManifest(nodes=[NodeManifest()]).is_set("nodes")


def test_assigned_bytes_are_checked_and_viewed() -> None:
    buffer = AudioBuffer()
    view: Any = bytearray(b"ab")
    buffer.samples = view
    view[0] = 0
    assert bytes(buffer) == b"\x0a\x02\x00b"
    text: Any = "text"
    with pytest.raises(EncodeTypeError, match=r"^AudioBuffer\.samples must be bytes"):
        buffer.samples = text
    assert bytes(buffer) == b"\x0a\x02\x00b"


def test_assigning_a_field_replaces_its_placeholder() -> None:
    request = ExecuteRequest()
    placeholder = request.manifest
    request.manifest = PipelineManifest(version="v1")
    placeholder.version = "v2"
    assert request.manifest.version == "v1"
    request.manifest = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # as above
    assert request.manifest is not placeholder
    assert not request.is_set("manifest")


def test_a_placeholder_with_unknown_fields_is_set() -> None:
    request = ExecuteRequest()
    request.manifest.parse(UNKNOWN)
    assert request.is_set("manifest")
    assert bytes(request) == b"\x0a\x02" + UNKNOWN
    request = ExecuteRequest()
    request.manifest.metadata.parse(b"")
    assert bytes(copy.copy(request)) == b"\x0a\x02\x12\x00"


def test_a_copy_has_no_placeholders_of_its_original() -> None:
    request = ExecuteRequest()
    placeholder = request.manifest
    for twin in (copy.copy(request), copy.deepcopy(request)):
        assert twin.manifest is not placeholder
        twin.manifest.version = "v1"
    assert bytes(request) == b""


def test_nan_equals_itself_in_messages() -> None:
    one, other = (ExecutionMetrics(wall_time_ms=float("nan")) for _ in range(2))
    assert one == other
    assert one != ExecutionMetrics(wall_time_ms=1.0)
    assert ExecutionMetrics(wall_time_ms=1.0) != one
    assert ExecutionMetrics(wall_time_ms=1.0) != ExecutionMetrics(wall_time_ms=2.0)


def test_dicts_of_messages_in_both_forms() -> None:
    assert chunk().to_dict()["audioChunk"]["buffer"]["samples"] == "YWJjZA=="
    assert chunk().to_pydict()["audioChunk"]["buffer"]["samples"] == b"abcd"
    empty = AudioChunk().to_pydict(snake_case, include_default_values=True)
    assert empty == {"node_id": "", "sequence": 0, "timestamp_ms": 0}
    assert "metadata" not in PipelineManifest().to_dict(include_default_values=True)
    of_defaults = StreamRequest(control=StreamControl()).to_dict(
        snake_case, include_default_values=True
    )
    assert of_defaults == {"control": {"command": "COMMAND_UNSPECIFIED"}}
    assert StreamRequest(control=StreamControl()).to_pydict(
        include_default_values=True
    ) == {"control": {"command": StreamControlCommand.COMMAND_UNSPECIFIED}}


@pytest.mark.skipif(sys.platform == "emscripten", reason="it has no threads")
def test_threads_may_encode_at_once() -> None:
    before = list(warnings.filters)
    request, expected = chunk(), bytes(chunk())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: bytes(request), range(200)))
    assert set(found) == {expected}
    assert list(warnings.filters) == before
