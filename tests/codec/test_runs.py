"""Runs of one embedded message, which decoders read without returning to their loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import delimited, integer, nested, tag, varint
from remotemedia.protobuf import DecodeError
from remotemedia.v1 import ChunkResult, PipelineManifest, StreamRequest
from tests.codec.contract import pair
from tests.codec.effort import examples
from tests.codec.roundtrip import Outcome, round_trip
from tests.codec.work import calls_made

if TYPE_CHECKING:
    from remotemedia.protobuf import Message
    from tests.codec.values import Pair

NODE = delimited(3, delimited(1, b"abc"))
EMPTY = delimited(3, b"")


def test_a_list_may_have_a_tag_of_two_bytes(all_types: dict[str, Pair]) -> None:
    # The first byte of the tag, 0x8a, must not be mistaken for the tag.
    repeated = all_types["all_types.Repeated"]
    inner = delimited(17, integer(1, 5))
    other = delimited(18, b"")
    for data in (inner * 3, inner + other + inner, delimited(17, b"") * 3 + other):
        assert round_trip(repeated, data) is Outcome.EQUAL
    # The same byte alone, and as the first byte of other tags.
    for rest in (b"\x8a", b"\x8a\x01", b"\x8a\x02\x00", b"\x8a\x00\x00"):
        round_trip(repeated, inner + rest)


@pytest.mark.parametrize("number", [2048, 262144, 33554432])
def test_a_message_may_have_a_tag_of_many_bytes(
    all_types: dict[str, Pair], number: int
) -> None:
    singular = all_types["all_types.Singular"]
    record = delimited(number, b"")
    for data in (record * 3, record * 2 + varint(number << 3 | 2)[:1]):
        round_trip(singular, data)


@pytest.mark.parametrize("record", [NODE, EMPTY, tag(3, 2) + varint(0, size=3)])
def test_a_truncated_run_is_decoded_as_by_upb(record: bytes) -> None:
    data = record * 3
    for stop in range(len(data)):
        round_trip(pair("PipelineManifest"), data[:stop])
        # Here the message ends, and the data does not.
        round_trip(pair("ExecuteRequest"), tag(1, 2) + varint(stop) + data)
        round_trip(pair("StreamRequest"), nested(1, 2, data[:stop]) + nested(1, 2))


def test_a_length_in_a_run_may_be_long_padded_or_invalid() -> None:
    body = delimited(1, b"a" * 200)
    assert round_trip(pair("PipelineManifest"), delimited(3, body) * 3) is Outcome.EQUAL
    for size in (1, 3, 5, 6):
        record = tag(3, 2) + varint(5, size) + delimited(1, b"abc")
        round_trip(pair("PipelineManifest"), NODE + record + NODE)
        round_trip(pair("ExecuteRequest"), delimited(1, b"") * 2 + record)


def test_an_error_in_a_run_names_the_field() -> None:
    bad = delimited(3, delimited(1, b"\xff"))
    with pytest.raises(DecodeError, match=r"^PipelineManifest\.nodes\.id: "):
        PipelineManifest.FromString(NODE * 2 + bad)
    with pytest.raises(DecodeError, match=r"^PipelineManifest\.nodes: "):
        PipelineManifest.FromString(NODE * 2 + b"\x1a\x05")


@pytest.mark.parametrize("levels", range(97, 104))
@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_empty_message_counts_as_a_level(
    all_types: dict[str, Pair], levels: int, times: int
) -> None:
    inner = all_types["all_types.Singular.Inner"]
    well_known = all_types["all_types.WellKnown"]
    maps = all_types["all_types.Maps"]
    round_trip(inner, nested(2, levels, delimited(2, b"") * times))
    # ListValue.values[0].list_value.values[0]…
    lists = b""
    for _ in range(levels // 2):
        lists = delimited(1, delimited(6, lists))
    round_trip(well_known, delimited(17, lists))
    round_trip(well_known, delimited(17, lists + delimited(1, b"") * times))
    entries = b""
    for _ in range(levels // 2):
        entries = delimited(18, delimited(2, entries) * times if times < 2 else entries)
    round_trip(maps, entries)


def test_a_member_of_a_oneof_is_merged_until_another_comes(
    all_types: dict[str, Pair],
) -> None:
    oneofs = all_types["all_types.Oneofs"]
    one, two = delimited(10, integer(1, 5)), delimited(11, delimited(20, b"a"))
    records = [one, two, delimited(10, b""), delimited(11, b""), integer(1, 0)]
    for first in records:
        for second in records:
            for third in records:
                data = first * 2 + second + third * 2
                assert round_trip(oneofs, data) is Outcome.EQUAL


def test_a_placeholder_is_merged_into() -> None:
    request = StreamRequest.FromString(delimited(1, b""))
    request.init.manifest.version = "v1"
    request.parse(delimited(1, delimited(1, NODE)) * 2)
    assert request.init.manifest.version == "v1"
    assert [node.id for node in request.init.manifest.nodes] == ["abc", "abc"]


RECORDS = st.sampled_from(
    [
        *(NODE, EMPTY, NODE[:-1], b"\x1a", b"\x1a\x80\x00", b"\x9a\x00\x00"),
        *(delimited(4, b""), delimited(4, delimited(1, b"a")), integer(15, 1)),
        *(delimited(2, b""), delimited(2, delimited(1, b"a")), integer(3, 1)),
    ]
)


@given(st.lists(RECORDS, max_size=8).map(b"".join))
@examples(300)
def test_any_run_is_decoded_as_by_upb(records: bytes) -> None:
    round_trip(pair("PipelineManifest"), records)
    round_trip(pair("StreamRequest"), delimited(1, delimited(1, records)) * 2)
    round_trip(pair("StreamRequest"), records)


@pytest.mark.parametrize(
    ("message", "record", "calls"),
    [
        (PipelineManifest, EMPTY, 2),  # make the node, append it
        (PipelineManifest, NODE, 4),  # and decode it, and its string
        (StreamRequest, delimited(1, b""), 0),
        (StreamRequest, delimited(2, integer(3, 1)), 1),
        (
            ChunkResult,
            delimited(3, b""),
            3,
        ),  # the default key and value, and the map
    ],
)
def test_another_field_of_a_run_takes_few_calls(
    message: type[Message], record: bytes, calls: int
) -> None:
    def calls_of(times: int) -> int:
        data = record * times
        return calls_made(lambda: message.FromString(data))

    # The garbage collector may add a few calls.
    assert (calls_of(1100) - calls_of(100)) // 1000 <= calls
