"""Messages inside messages, written and read with the functions that codecs share.

`tests/codec/test_runs.py` compares runs of embedded messages with Google's protobuf.
"""

from __future__ import annotations

import datetime as dt

import pytest

from remotemedia.protobuf import embedded, wire
from remotemedia.protobuf.wkt import Int32Value, Timestamp
from remotemedia.v1 import AudioBuffer, AudioChunk, PipelineManifest

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
CHANNELS = b"\x18\x02"
"""The field `channels` of an `AudioBuffer`, with the value 2."""


def chunk_of(*buffers: bytes) -> bytes:
    """Return the fields `buffer` of an `AudioChunk`, encoded."""
    return b"".join(b"\x12" + wire.varint(len(data)) + data for data in buffers)


def test_a_wrong_type_is_named() -> None:
    error = embedded.wrong_type("text", AudioBuffer, "AudioChunk.buffer")
    assert isinstance(error, wire.EncodeTypeError)
    assert str(error) == "AudioChunk.buffer must be of type AudioBuffer, not str"


@pytest.mark.parametrize("tag", [b"\x12", b"\x92\x01"])
def test_a_python_value_is_appended_as_its_message(tag: bytes) -> None:
    out: wire.Parts = [b"before"]
    size = embedded.encode_python_value(
        out, tag, EPOCH + dt.timedelta(seconds=300), Timestamp, "M.at"
    )
    encoded = b"".join(out[1:])
    assert out[0] == b"before"
    assert encoded == tag + b"\x03" + b"\x08\xac\x02"
    assert size == len(encoded)


def test_a_python_value_that_cannot_be_encoded_is_named() -> None:
    with pytest.raises(wire.EncodeTypeError, match=r"^M\.at: must be a datetime"):
        embedded.encode_python_value([], b"\x12", 5, Timestamp, "M.at")
    with pytest.raises(wire.EncodeError, match=r"^M\.n: .* must be from"):
        embedded.encode_python_value([], b"\x12", 2**31, Int32Value, "M.n")


def test_a_python_value_is_decoded_alone_or_merged() -> None:
    data = b"x\x10\xe8\x07y"
    alone = embedded.decode_python_value(Timestamp, data, 1, 4, 100)
    assert alone == EPOCH + dt.timedelta(microseconds=1)
    present = EPOCH + dt.timedelta(seconds=5)
    merged = embedded.decode_python_value(Timestamp, data, 1, 4, 100, present)
    assert merged == present + dt.timedelta(microseconds=1)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_python_value_counts_as_a_level(depth: int) -> None:
    if depth:
        embedded.decode_python_value(Timestamp, b"", 0, 0, depth)
    else:
        with pytest.raises(wire.DecodeError, match="nested more than"):
            embedded.decode_python_value(Timestamp, b"", 0, 0, depth)


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("body", [b"", CHANNELS])
def test_embedded_messages_count_as_levels(depth: int, body: bytes) -> None:
    data = chunk_of(body)
    end = len(data)

    def merge() -> int:
        return embedded.merge(AudioBuffer(), data, 0x12, 2, end, end, depth)

    def decode_list() -> int:
        return embedded.decode_list([], AudioBuffer, data, 0x12, 2, end, end, depth)

    for decode in (merge, decode_list):
        if depth:
            assert decode() == end
        else:
            with pytest.raises(wire.DecodeError, match="nested more than"):
                decode()


LONG = AudioBuffer(samples=bytes(200))
RUNS = {
    "one": [CHANNELS],
    "two": [b"\x10\x07", CHANNELS],
    "empty ones": [b"", b"", CHANNELS, b""],
    "a long one": [CHANNELS, bytes(LONG), b"\x10\x07"],
}
every_run = pytest.mark.parametrize("bodies", RUNS.values(), ids=RUNS)


@every_run
@pytest.mark.parametrize("behind", [b"", b"\x18\x05", b"\x0a\x00"])
def test_a_run_is_merged_to_its_end(bodies: list[bytes], behind: bytes) -> None:
    data = chunk_of(*bodies)
    message = AudioBuffer()
    stop = embedded.merge(
        *(message, data + behind, 0x12, 2, 2 + len(bodies[0])),
        len(data + behind),
        2,
    )
    assert stop == len(data)
    assert message == AudioBuffer.FromString(b"".join(bodies))


@every_run
@pytest.mark.parametrize("behind", [b"", b"\x18\x05", b"\x0a\x00"])
def test_a_run_is_a_list_of_its_elements(bodies: list[bytes], behind: bytes) -> None:
    data = chunk_of(*bodies)
    items: list[AudioBuffer] = []
    stop = embedded.decode_list(
        *(items, AudioBuffer, data + behind, 0x12, 2, 2 + len(bodies[0])),
        len(data + behind),
        2,
    )
    assert stop == len(data)
    assert items == [AudioBuffer.FromString(body) for body in bodies]


def test_a_run_ends_where_its_message_ends() -> None:
    # The same field follows, but it belongs to the message around this one.
    data = chunk_of(CHANNELS, CHANNELS)
    end = len(data) // 2
    items: list[AudioBuffer] = []
    assert embedded.decode_list(items, AudioBuffer, data, 0x12, 2, end, end, 2) == end
    assert len(items) == 1
    assert embedded.merge(AudioBuffer(), data, 0x12, 2, end, end, 2) == end


@pytest.mark.parametrize("size", [b"\x03", b"\x83\x01", b"\x83\x80\x80\x00"])
def test_a_field_of_a_run_may_not_reach_out_of_its_message(size: bytes) -> None:
    data = chunk_of(CHANNELS) + b"\x12" + size + CHANNELS + bytes(200)
    first, end = 2 + len(CHANNELS), len(data) - 200
    with pytest.raises(wire.DecodeError, match="ends in the middle"):
        embedded.merge(AudioBuffer(), data, 0x12, 2, first, end, 2)
    with pytest.raises(wire.DecodeError, match="ends in the middle"):
        embedded.decode_list([], AudioBuffer, data, 0x12, 2, first, end, 2)


@pytest.mark.parametrize("number", [15, 16])
def test_a_tag_of_more_bytes_is_left_to_the_decoder(number: int) -> None:
    tag = wire.varint(number << 3 | 2)
    data = (tag + b"\x00") * 2
    start = len(tag) + 1
    items: list[AudioBuffer] = []
    stop = embedded.decode_list(
        items, AudioBuffer, data, number << 3 | 2, start, start, len(data), 2
    )
    assert (stop, len(items)) == ((len(data), 2) if number < 16 else (start, 1))


def test_a_filled_placeholder_is_merged_into() -> None:
    chunk = AudioChunk.FromString(chunk_of(b""))
    assert chunk.buffer.channels == 0
    manifest = PipelineManifest()
    manifest.metadata.name = "kept"
    stop = embedded.merge(manifest, b"\x12\x05\x12\x03\x12\x01d", 0, 2, 7, 7, 3)
    assert stop == 7
    assert (manifest.metadata.name, manifest.metadata.description) == ("kept", "d")
