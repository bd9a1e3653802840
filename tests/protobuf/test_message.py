"""The base class of messages: fields, copies, placeholders, streams and oneofs."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import betterproto
import pytest

from remotemedia.protobuf import DecodeError
from remotemedia.protobuf.wkt import Empty
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ExecuteRequest,
    ManifestMetadata,
    NodeManifest,
    PipelineManifest,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
    StreamResponse,
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


def test_threads_may_encode_at_once() -> None:
    before = list(warnings.filters)
    request, expected = chunk(), bytes(chunk())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: bytes(request), range(200)))
    assert set(found) == {expected}
    assert list(warnings.filters) == before
