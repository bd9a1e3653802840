"""Every method that encodes or decodes gives the same bytes or the same value."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import betterproto
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import integer, tag, varint
from remotemedia.protobuf import DecodeError
from remotemedia.v1 import AudioBuffer, AudioChunk, ExecuteRequest, VersionInfo
from tests.codec.contract import every_message
from tests.codec.effort import examples
from tests.codec.strategies import messages

if TYPE_CHECKING:
    from tests.codec.values import Pair

CHUNK = AudioChunk(
    node_id="mic", buffer=AudioBuffer(samples=b"\x01\x02" * 200, channels=1), sequence=7
)
TRUNCATED = bytes(CHUNK)[:-1]


def dumped(message: betterproto.Message, *delimit: Any) -> bytes:
    """Return the bytes that a message writes to a stream."""
    stream = io.BytesIO()
    message.dump(stream, *delimit)
    return stream.getvalue()


@every_message
@examples(10)
@given(data=st.data())
def test_all_methods_agree(pair: Pair, data: st.DataObject) -> None:
    encoded = data.draw(messages(pair.descriptor)).SerializeToString()
    message = pair.ours.FromString(encoded)
    written = bytes(message)
    delimited = varint(len(written)) + written
    assert message.SerializeToString() == written
    assert dumped(message) == written
    # betterproto annotates the parameter as bool, and documents it as SIZE_DELIMITED.
    assert dumped(message, True) == delimited
    assert dumped(message, betterproto.SIZE_DELIMITED) == delimited
    assert len(message) == len(written)
    for door in (
        pair.ours().parse(encoded),
        pair.ours().load(io.BytesIO(encoded)),
        pair.ours().load(io.BytesIO(encoded), len(encoded)),
        pair.ours().load(io.BytesIO(delimited + b"more"), betterproto.SIZE_DELIMITED),
    ):
        assert bytes(door) == written


def test_a_decoder_takes_any_bytes() -> None:
    encoded = bytes(CHUNK)
    for data in (bytearray(encoded), memoryview(encoded)):
        assert AudioChunk.FromString(data) == CHUNK  # type: ignore[arg-type]  # as a socket gives them
        assert AudioChunk().parse(data) == CHUNK  # type: ignore[arg-type]  # likewise


def test_a_decoded_message_does_not_change_with_the_buffer() -> None:
    buffer = bytearray(bytes(CHUNK))
    chunk = AudioChunk.FromString(buffer)  # type: ignore[arg-type]  # as a socket gives it
    buffer[:] = bytes(len(buffer))
    assert chunk == CHUNK
    assert type(chunk.buffer.samples) is bytes


def test_load_with_a_size_leaves_the_rest() -> None:
    first, second = VersionInfo(protocol_version="v1"), VersionInfo(runtime_version="2")
    stream = io.BytesIO(bytes(first) + bytes(second))
    assert VersionInfo().load(stream, len(bytes(first))) == first
    assert VersionInfo().load(stream) == second


def test_messages_follow_one_another_in_a_delimited_stream() -> None:
    sent = [VersionInfo(protocol_version="v" * size) for size in (0, 1, 127, 128, 400)]
    stream = io.BytesIO(
        b"".join(dumped(message, betterproto.SIZE_DELIMITED) for message in sent)
    )
    got = [VersionInfo().load(stream, betterproto.SIZE_DELIMITED) for _ in sent]
    assert got == sent
    assert stream.read() == b""


def test_a_truncated_message_is_refused_by_every_method() -> None:
    size = len(TRUNCATED)
    with pytest.raises(DecodeError):
        AudioChunk.FromString(TRUNCATED)
    with pytest.raises(DecodeError):
        AudioChunk().parse(TRUNCATED)
    with pytest.raises(DecodeError):
        AudioChunk().load(io.BytesIO(TRUNCATED))
    with pytest.raises(DecodeError):
        AudioChunk().load(io.BytesIO(TRUNCATED), size)
    with pytest.raises(DecodeError):
        # The stream ends before the given size.
        AudioChunk().load(io.BytesIO(TRUNCATED), size + 1)
    with pytest.raises(DecodeError):
        AudioChunk().load(
            io.BytesIO(varint(size + 1) + TRUNCATED), betterproto.SIZE_DELIMITED
        )
    with pytest.raises(DecodeError):
        AudioChunk().load(io.BytesIO(b"\x80"), betterproto.SIZE_DELIMITED)
    with pytest.raises(DecodeError):
        AudioChunk().load(io.BytesIO(varint(1, 11)), betterproto.SIZE_DELIMITED)


def test_a_valid_message_that_is_shorter_than_its_size_is_refused() -> None:
    encoded = bytes(CHUNK)
    with pytest.raises(DecodeError):
        AudioChunk().load(io.BytesIO(encoded), len(encoded) + 1)


def test_the_length_of_a_message_is_that_of_its_bytes() -> None:
    assert len(CHUNK) == len(bytes(CHUNK))
    unknown = AudioBuffer.FromString(integer(15, 1) + tag(14, 5) + b"abcd")
    assert len(unknown) == len(bytes(unknown)) == 7


def test_threads_that_encode_leave_the_warning_filters_alone() -> None:
    filters = list(warnings.filters)
    request = ExecuteRequest(audio_inputs={"a": CHUNK.buffer}, data_inputs={"b": "1"})
    with ThreadPoolExecutor(8) as pool:
        encoded = set(pool.map(lambda _: bytes(request), range(400)))
        decoded = list(pool.map(ExecuteRequest.FromString, [*encoded] * 400))
    assert len(encoded) == 1
    assert all(message == request for message in decoded)
    assert list(warnings.filters) == filters
