"""The rules of decoding, one at a time, each compared with upb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.records import (
    END_GROUP,
    FIXED32,
    FIXED64,
    START_GROUP,
    VARINT,
    delimited,
    group,
    integer,
    nested,
    nested_groups,
    tag,
    varint,
)
from remotemedia.protobuf import DecodeError
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ChunkResult,
    ExecuteResponse,
    ExecutionMetrics,
    NodeResult,
    PipelineManifest,
    StreamRequest,
    VersionInfo,
)
from tests.codec.contract import pair
from tests.codec.roundtrip import Outcome, round_trip

if TYPE_CHECKING:
    from tests.codec.values import Pair

# Field numbers of AudioBuffer.
SAMPLES, SAMPLE_RATE, FORMAT, NUM_SAMPLES = 1, 2, 4, 5
UNKNOWN = 15

REJECTED = {
    "a length longer than the buffer": tag(SAMPLES, 2) + varint(1000) + b"abc",
    "a length of two gigabytes": tag(SAMPLES, 2) + varint(2**31) + b"abc",
    "a length that is cut": tag(SAMPLES, 2) + b"\x80",
    "a tag that is cut": b"\x80",
    "a varint that is cut": tag(SAMPLE_RATE, VARINT) + b"\x80",
    "a varint that is missing": tag(SAMPLE_RATE, VARINT),
    "an unknown varint that is cut": tag(UNKNOWN, VARINT) + b"\xff",
    "an unknown fixed32 that is cut": tag(UNKNOWN, FIXED32) + b"abc",
    "an unknown fixed64 that is cut": tag(UNKNOWN, FIXED64) + b"abcdefg",
    "an unknown length that is too long": tag(UNKNOWN, 2) + b"\x05abcd",
    "field number 0": b"\x00\x00",
    "field number 0 in a tag of two bytes": b"\x80\x00\x00",
    "field number 2^29": varint(2**29 << 3) + b"\x00",
    "a tag above 32 bits": varint(2**32 | SAMPLE_RATE << 3) + b"\x01",
    "a tag of six bytes": varint(SAMPLE_RATE << 3, size=6) + b"\x01",
    "a length of six bytes": tag(SAMPLES, 2) + varint(1, size=6) + b"a",
    "wire type 6": tag(UNKNOWN, 6) + b"\x00",
    "wire type 7": tag(UNKNOWN, 7) + b"\x00",
    "wire type 6 on a known field": tag(SAMPLE_RATE, 6) + b"\x01",
    "an end-group without a start": tag(UNKNOWN, END_GROUP),
    "a group without an end": tag(UNKNOWN, START_GROUP) + integer(1, 1),
    "a group with another one's end": tag(15, START_GROUP) + tag(14, END_GROUP),
    "a group with a cut record inside": group(UNKNOWN, tag(1, 2) + b"\x09a"),
    "a varint of eleven bytes": tag(NUM_SAMPLES, VARINT) + varint(1, size=11),
    "an unknown varint of eleven bytes": tag(UNKNOWN, VARINT) + varint(1, size=11),
    "101 nested groups": nested_groups(UNKNOWN, 101),
    "100,000 nested groups": nested_groups(UNKNOWN, 100_000),
    "100,000 open groups": tag(UNKNOWN, START_GROUP) * 100_000,
}


@pytest.mark.parametrize("data", REJECTED.values(), ids=REJECTED)
def test_is_rejected(data: bytes) -> None:
    assert round_trip(pair("AudioBuffer"), data) is Outcome.REJECTED


@pytest.mark.parametrize("data", REJECTED.values(), ids=REJECTED)
def test_is_rejected_inside_a_message(data: bytes) -> None:
    chunk = delimited(2, data)
    assert round_trip(pair("AudioChunk"), chunk) is Outcome.REJECTED
    request = delimited(2, chunk)
    assert round_trip(pair("StreamRequest"), request) is Outcome.REJECTED
    # The same as a value of a map, whose entry is a message, too.
    result = delimited(2, delimited(1, b"a") + delimited(2, data))
    assert round_trip(pair("ChunkResult"), result) is Outcome.REJECTED


def test_a_length_beyond_its_message_is_rejected() -> None:
    # The data has the 3 bytes, but they lie beyond the end of the inner message.
    inner = tag(SAMPLES, 2) + varint(3)
    data = delimited(2, inner) + b"abc"
    assert round_trip(pair("AudioChunk"), data) is Outcome.REJECTED


@pytest.mark.parametrize(
    ("message", "data", "field"),
    [
        ("VersionInfo", delimited(1, b"\xff"), "protocol_version"),
        ("VersionInfo", delimited(3, b"\xed\xa0\x80"), "supported_node_types"),
        ("VersionInfo", delimited(3, b"\xc0\x80"), "supported_node_types"),
        ("VersionInfo", delimited(3, b"\xf4\x90\x80\x80"), "supported_node_types"),
        ("ChunkResult", delimited(3, delimited(1, b"\x80")), "data_outputs"),
        ("ChunkResult", delimited(3, delimited(2, b"\xc3")), "data_outputs"),
        ("StreamRequest", delimited(1, delimited(4, b"\xff")), "client_version"),
    ],
)
def test_text_that_is_not_utf8_is_rejected_by_name(
    message: str, data: bytes, field: str
) -> None:
    assert round_trip(pair(message), data) is Outcome.REJECTED
    with pytest.raises(DecodeError, match=field):
        pair(message).ours.FromString(data)


def test_an_error_names_the_message_and_the_path_of_fields() -> None:
    data = delimited(2, delimited(2, tag(SAMPLES, 2) + varint(1000)))
    with pytest.raises(DecodeError) as caught:
        StreamRequest.FromString(data)
    assert "StreamRequest.audio_chunk.buffer.samples" in str(caught.value)


def test_the_error_is_a_value_error() -> None:
    assert issubclass(DecodeError, ValueError)


ACCEPTED = {
    "nothing": b"",
    "the highest field number": varint((2**29 - 1) << 3) + b"\x01",
    "a tag in five bytes": varint(SAMPLE_RATE << 3, size=5) + b"\x01",
    "a length in five bytes": tag(SAMPLES, 2) + varint(1, size=5) + b"a",
    "a number in ten bytes": tag(SAMPLE_RATE, VARINT) + varint(1, size=10),
    "bits above the 64th": tag(NUM_SAMPLES, VARINT) + b"\xff" * 9 + b"\x7f",
    "an unknown varint, padded": tag(UNKNOWN, VARINT) + varint(1, size=10),
    "an unknown tag, padded": varint(UNKNOWN << 3, size=5) + b"\x01",
    "an unknown length, padded": tag(UNKNOWN, 2) + varint(1, size=5) + b"a",
    "32 bits of more": integer(SAMPLE_RATE, 2**40 + 7),
    "an enum of more than 32 bits": integer(FORMAT, 2**32 + 1),
    "a negative enum": integer(FORMAT, 2**64 - 5),
    "a negative enum in five bytes": integer(FORMAT, 2**32 - 5),
    "an unknown group": group(UNKNOWN, integer(SAMPLE_RATE, 7)),
    "a group of a known number": group(SAMPLES, delimited(SAMPLES, b"abc")),
    "groups in groups": group(14, group(13, integer(1, 1)) + group(13)),
    "98 nested groups": nested_groups(UNKNOWN, 98),
    "a varint for bytes": integer(SAMPLES, 5),
    "a fixed64 for a varint": tag(SAMPLE_RATE, FIXED64) + b"abcdefgh",
    "a fixed32 for a varint": tag(SAMPLE_RATE, FIXED32) + b"abcd",
    "bytes for a varint": delimited(SAMPLE_RATE, b"\x01\x02"),
    "the same field many times": integer(SAMPLE_RATE, 1) + integer(SAMPLE_RATE, 2),
    "a default after a value": integer(SAMPLE_RATE, 1) + integer(SAMPLE_RATE, 0),
    "fields in any order": integer(NUM_SAMPLES, 1) + delimited(SAMPLES, b"a"),
    "unknown between known": integer(UNKNOWN, 1) + integer(2, 1) + integer(14, 1),
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_is_accepted(data: bytes) -> None:
    assert round_trip(pair("AudioBuffer"), data) is Outcome.EQUAL
    inside = delimited(2, delimited(1, b"a") + delimited(2, data))
    assert round_trip(pair("ChunkResult"), inside) is Outcome.EQUAL


def test_a_known_field_of_the_wrong_wire_type_is_preserved_as_unknown() -> None:
    wrong = integer(2, 5) + delimited(3, b"xyz")
    chunk = AudioChunk.FromString(wrong)
    assert (chunk.buffer, chunk.sequence) == (AudioBuffer(), 0)
    assert bytes(chunk) == wrong


def test_fields_inside_an_unknown_group_do_not_leave_it() -> None:
    data = group(UNKNOWN, integer(SAMPLE_RATE, 7))
    buffer = AudioBuffer.FromString(data)
    assert buffer.sample_rate == 0
    assert bytes(buffer) == data


def test_unknown_fields_are_preserved_after_the_known_ones() -> None:
    padded = varint(UNKNOWN << 3, size=4) + varint(1, size=3)
    other = delimited(14, b"abc")
    data = padded + integer(SAMPLE_RATE, 8000) + other
    buffer = AudioBuffer.FromString(data)
    assert bytes(buffer) == integer(SAMPLE_RATE, 8000) + padded + other


def test_a_longer_number_is_truncated_to_32_bits() -> None:
    buffer = AudioBuffer.FromString(integer(SAMPLE_RATE, 2**40 + 7))
    assert buffer.sample_rate == 7


@pytest.mark.parametrize("number", [-1, -5, -(2**31), 77, 2**31 - 1])
def test_an_enum_number_without_a_name_is_kept(number: int) -> None:
    data = integer(FORMAT, number % 2**64)
    buffer = AudioBuffer.FromString(data)
    assert buffer.format == number
    assert isinstance(buffer.format, AudioFormat)
    assert bytes(buffer) == data


def test_a_message_given_twice_is_merged() -> None:
    data = delimited(3, integer(1, 2)) + delimited(3, delimited(2, b"text"))
    assert round_trip(pair("NodeResult"), data) is Outcome.EQUAL
    error = NodeResult.FromString(data).error
    assert (error.error_type, error.message) == (2, "text")


def test_lists_and_maps_of_a_message_given_twice_are_joined() -> None:
    first = delimited(3, delimited(1, b"node"))
    second = delimited(3, delimited(1, b"other"))
    manifest = delimited(1, first) + delimited(1, second)
    data = delimited(1, manifest)
    assert round_trip(pair("StreamRequest"), data) is Outcome.EQUAL
    nodes = PipelineManifest.FromString(first + second).nodes
    assert [node.id for node in nodes] == ["node", "other"]


def test_a_oneof_member_given_twice_is_merged() -> None:
    data = delimited(2, delimited(1, b"node")) + delimited(2, integer(3, 9))
    assert round_trip(pair("StreamRequest"), data) is Outcome.EQUAL
    request = StreamRequest.FromString(data)
    assert (request.audio_chunk.node_id, request.audio_chunk.sequence) == ("node", 9)


def test_the_last_member_of_a_oneof_wins_and_is_not_merged() -> None:
    result, error = delimited(1, integer(5, 1)), delimited(2, delimited(2, b"x"))
    outcome = pair("ExecuteResponse")
    for data in (
        result + error,
        error + result,
        # The first member again: its earlier value is lost, so there is no merging.
        delimited(1, delimited(2, b"")) + error + result,
    ):
        assert round_trip(outcome, data) is Outcome.EQUAL
    response = ExecuteResponse.FromString(
        delimited(2, delimited(3, b"node")) + result + error
    )
    assert (response.error.message, response.error.failing_node_id) == ("x", "")


def test_a_oneof_member_of_the_wrong_wire_type_does_not_win() -> None:
    data = delimited(2, integer(3, 9)) + integer(3, 1)
    assert round_trip(pair("StreamRequest"), data) is Outcome.EQUAL


ENTRY_KEY, ENTRY_VALUE = 1, 2
ENTRIES = {
    "empty": b"",
    "only a key": delimited(ENTRY_KEY, b"a"),
    "only a value": delimited(ENTRY_VALUE, integer(2, 3)),
    "value before key": delimited(ENTRY_VALUE, integer(2, 3))
    + delimited(ENTRY_KEY, b"a"),
    "key twice": delimited(ENTRY_KEY, b"a") + delimited(ENTRY_KEY, b"b"),
    "value twice": delimited(ENTRY_VALUE, integer(2, 3))
    + delimited(ENTRY_VALUE, integer(3, 4)),
    "an unknown field": delimited(ENTRY_KEY, b"a") + integer(9, 1),
    "an unknown group": group(9) + delimited(ENTRY_KEY, b"a"),
    "a key of the wrong wire type": integer(ENTRY_KEY, 1),
    "a value of the wrong wire type": integer(ENTRY_VALUE, 1),
    "an unknown field in the value": delimited(ENTRY_VALUE, integer(9, 1)),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_map_entry_may_be(entry: bytes) -> None:
    data = delimited(4, entry)
    metrics = pair("ExecutionMetrics")
    assert round_trip(metrics, data) is Outcome.EQUAL
    full = delimited(4, delimited(1, b"a") + delimited(2, integer(3, 1)))
    assert round_trip(metrics, data + full + data) is Outcome.EQUAL


def test_a_map_entry_without_key_and_value_is_an_entry() -> None:
    result = ChunkResult.FromString(delimited(3, b""))
    assert result.data_outputs == {"": ""}
    metrics = ExecutionMetrics.FromString(delimited(4, b""))
    assert list(metrics.node_metrics) == [""]


def test_the_last_map_entry_of_a_key_replaces_the_others() -> None:
    first = delimited(4, delimited(1, b"a") + delimited(2, integer(2, 1)))
    second = delimited(4, delimited(1, b"a") + delimited(2, integer(3, 2)))
    metrics = ExecutionMetrics.FromString(first + second)
    assert round_trip(pair("ExecutionMetrics"), first + second) is Outcome.EQUAL
    assert metrics.node_metrics["a"].memory_bytes == 0


def test_parse_merges_into_what_is_there() -> None:
    info = VersionInfo(protocol_version="v1", supported_protocols=["v1"])
    more = delimited(2, b"r") + delimited(4, b"v2")
    google = pair("VersionInfo").google.FromString(bytes(info))
    assert info.parse(more) is info
    google.MergeFromString(more)
    assert bytes(info) == google.SerializeToString()


# The second nests in maps: an entry is one level, and its value is another.
@pytest.mark.parametrize("name", ["all_types.Singular.Inner", "elsewhere.Thing"])
@pytest.mark.parametrize("depth", [99, 100, 101, 5000])
def test_messages_nest_100_deep_and_no_deeper(
    all_types: dict[str, Pair], name: str, depth: int
) -> None:
    expected = Outcome.EQUAL if depth <= 100 else Outcome.REJECTED
    assert round_trip(all_types[name], nested(2, depth)) is expected


def test_groups_and_messages_are_counted_together(all_types: dict[str, Pair]) -> None:
    inner = all_types["all_types.Singular.Inner"]
    for messages, groups in [(50, 50), (99, 1), (100, 0), (0, 100)]:
        data = nested(2, messages, nested_groups(9, groups))
        assert round_trip(inner, data) is Outcome.EQUAL
        data = nested(2, messages, nested_groups(9, groups + 1))
        assert round_trip(inner, data) is Outcome.REJECTED
