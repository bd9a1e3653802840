"""Unknown fields are preserved, whether they are skipped one at a time or in runs."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.records import (
    END_GROUP,
    FIXED32,
    FIXED64,
    START_GROUP,
    VARINT,
    delimited,
    group,
    integer,
    nested_groups,
    tag,
    varint,
)
from remotemedia.protobuf import unknown, wire
from remotemedia.v1 import AudioBuffer
from tests.codec.contract import pair
from tests.codec.effort import examples
from tests.codec.roundtrip import round_trip
from tests.codec.work import calls_made

# Enough fields for the regular expression to be tried, and more than it can match.
RUN = integer(15, 1) * 20
LONG_RUN = integer(15, 1) * 2500

# Field numbers of AudioBuffer.
SAMPLES, SAMPLE_RATE = 1, 2


def test_a_run_of_unknown_fields_is_preserved() -> None:
    data = b"\x78\x01" + b"\x7a\x01a" + b"\x7b\x78\x01\x7c" + b"\x08\x05" + b"\x78\x02"
    values: wire.Values = {}
    stop = unknown.preserve(values, data, 0, len(data), 100, frozenset([0x08]))
    assert data[stop:] == b"\x08\x05\x78\x02"
    assert values == {"_unknown": bytearray(data[:stop])}


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("known", [0x08, 0x7D, 15 << 3 | 2, 16 << 3, 2**28 << 3 | 5])
def test_a_run_ends_at_a_known_tag_however_it_is_padded(known: int, size: int) -> None:
    body = varint(known, size) + bytes(8)
    data = (tag(14, 1) + bytes(8)) * 100 + body
    values: wire.Values = {}
    stop = unknown.preserve(values, data, 0, len(data), 100, frozenset([known]))
    assert data[stop:] == body


def test_a_run_is_found_if_all_numbers_of_one_byte_are_known() -> None:
    known = frozenset(range(0x08, 0x80, 8))
    for record in (integer(16, 1), delimited(15, b"a")):
        data = record * 50 + integer(15, 1)
        stop = unknown.preserve({}, data, 0, len(data), 100, known)
        assert data[stop:] == integer(15, 1)


def test_a_run_may_not_extend_beyond_its_message() -> None:
    data = RUN + b"\x7a\x05" + b"abcde"
    for end in range(len(RUN) + 1, len(data)):
        with pytest.raises(wire.DecodeError):
            unknown.preserve({}, data, 0, end, 100, frozenset())
    assert unknown.preserve({}, data, 0, len(RUN), 100, frozenset()) == len(RUN)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tag(15, END_GROUP), "a group ends that was not started"),
        (tag(15, START_GROUP) + tag(14, END_GROUP), "a group ends that was not"),
        (tag(15, 6) + b"\x00", "there is no wire type 6"),
        (tag(15, 7) + b"\x00", "there is no wire type 7"),
        (b"\x02\x00", "a field has the number 0"),
        (nested_groups(15, 101), "nested more than 100 deep"),
        (tag(15, FIXED32) + b"abc", "the data ends in the middle of it"),
    ],
)
def test_an_error_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(wire.DecodeError, match=reason):
        unknown.preserve({}, data, 0, len(data), 100, frozenset())


# What may follow a run, or interrupt it, and be mistaken for a part of it.
TURNS = {
    "nothing": b"",
    "a known field": integer(SAMPLE_RATE, 8000),
    "a known field, padded": varint(SAMPLE_RATE << 3, size=3) + b"\x07",
    "a known field, padded to five bytes": varint(SAMPLE_RATE << 3, size=5) + b"\x07",
    "a known field, padded to six bytes": varint(SAMPLE_RATE << 3, size=6) + b"\x07",
    "a known number with another wire type": integer(SAMPLES, 5),
    "the same, padded": varint(SAMPLES << 3, size=4) + b"\x05",
    "number 0 with a length": b"\x02\x00",
    "number 0": b"\x00\x00",
    "number 0, padded": b"\x80\x80\x00\x00",
    "a tag of two bytes": integer(16, 1),
    "the greatest tag": varint(2**32 - 8) + b"\x01",
    "a tag above 32 bits": varint(2**32) + b"\x01",
    "a tag of five bytes above 32 bits": b"\xf8\x80\x80\x80\x10\x01",
    "a tag that is cut": b"\xf8\x80",
    "a varint of ten bytes": tag(15, VARINT) + varint(1, size=10),
    "a varint of ten bytes, all ones": tag(15, VARINT) + b"\xff" * 9 + b"\x7f",
    "a varint of eleven bytes": tag(15, VARINT) + varint(1, size=11),
    "a varint that is cut": tag(15, VARINT) + b"\xff",
    "a string of 7 bytes": delimited(15, b"1234567"),
    "a string of 8 bytes": delimited(15, b"12345678"),
    "a string with line ends": delimited(15, b"\n\r\n"),
    "a string of known tags": delimited(15, b"\x10\x01\x10"),
    "a string that is cut": tag(15, 2) + b"\x03ab",
    "a padded length": tag(15, 2) + varint(2, size=5) + b"ab",
    "a padded length of six bytes": tag(15, 2) + varint(2, size=6) + b"ab",
    "a fixed32": tag(15, FIXED32) + b"\n\x10\x01\n",
    "a fixed32 that is cut": tag(15, FIXED32) + b"abc",
    "a fixed64": tag(15, FIXED64) + b"\n\x10\x01\n\x10\x01ab",
    "a fixed64 that is cut": tag(15, FIXED64) + b"abcdefg",
    "a group": group(15),
    "a varint of two bytes": integer(15, 128),
    "a group with a varint of two bytes": group(15, integer(1, 128)),
    "groups": group(15) + group(14, integer(SAMPLE_RATE, 1)) + group(16) + group(13),
    "a group of the number 0": b"\x03\x04",
    "a group of the number 0 behind a group": group(15) + b"\x03\x04",
    "a group with the number 0 in it": group(15, b"\x02\x00"),
    "a group with a padded end": tag(15, START_GROUP) + b"\xfc\x80\x00",
    "a group with another one's end": tag(15, START_GROUP) + tag(14, END_GROUP),
    "a group without an end": tag(15, START_GROUP) + integer(1, 1),
    "an end without a group": tag(15, END_GROUP),
    "groups behind a group, without an end": group(15) + tag(15, START_GROUP),
    "groups 100 deep": nested_groups(15, 100),
    "groups 101 deep": nested_groups(15, 101),
    "wire type 6": tag(15, 6) + b"\x00",
    "wire type 7": tag(15, 7) + b"\x00",
}
every_turn = pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)


@every_turn
@pytest.mark.parametrize("run", [RUN, LONG_RUN], ids=["run", "long run"])
def test_a_run_ends_as_with_upb(turn: bytes, run: bytes) -> None:
    alone = round_trip(pair("AudioBuffer"), turn)
    assert round_trip(pair("AudioBuffer"), run + turn) is alone
    round_trip(pair("AudioBuffer"), run + turn + RUN)


@every_turn
def test_a_run_inside_a_message_ends_as_with_upb(turn: bytes) -> None:
    # The same field and another one follow.
    chunk = delimited(2, RUN + turn) * 2 + integer(3, 1)
    round_trip(pair("AudioChunk"), chunk)
    # The same in an entry of a map, and in a value.
    round_trip(pair("ChunkResult"), delimited(3, RUN + turn) + delimited(3, b""))
    round_trip(pair("ChunkResult"), delimited(2, delimited(2, RUN + turn)) * 2)


@pytest.mark.parametrize("turn", ["a string of 7 bytes", "a padded length", "groups"])
def test_a_truncated_run_is_decoded_as_by_upb(turn: str) -> None:
    data = RUN + TURNS[turn] + integer(SAMPLE_RATE, 7)
    for stop in range(len(RUN), len(data)):
        round_trip(pair("AudioBuffer"), data[:stop])
        # Here the message ends, and the data does not.
        round_trip(pair("AudioChunk"), varint(0x12) + varint(stop) + data)


RECORDS = st.one_of(
    st.builds(
        lambda number, size, body: varint(number << 3, size) + body,
        st.sampled_from([0, 1, 2, 3, 15, 16, 2**29 - 1]) | st.integers(1, 2**29 - 1),
        st.integers(1, 6),
        st.builds(varint, st.integers(0, 2**64 - 1), st.integers(1, 11)),
    ),
    st.builds(
        lambda number, size, body: tag(number, 2) + varint(len(body), size) + body,
        st.integers(1, 20),
        st.integers(1, 6),
        st.binary(max_size=10),
    ),
    st.builds(
        lambda number, body: tag(number, FIXED32) + body,
        st.integers(1, 20),
        st.binary(min_size=4, max_size=4),
    ),
    st.builds(
        lambda number, body: tag(number, FIXED64) + body,
        st.integers(1, 20),
        st.binary(min_size=8, max_size=8),
    ),
    st.builds(
        group,
        st.integers(1, 20),
        st.sampled_from([b"", integer(2, 1), group(3), delimited(1, b"abc")]),
    ),
)


@given(
    st.lists(RECORDS, max_size=12).map(b"".join),
    st.integers(0, 40),
    st.binary(max_size=3),
)
@example(b"", 0, b"")
@examples(200)
def test_any_run_is_decoded_as_by_upb(records: bytes, cut: int, rest: bytes) -> None:
    body = records[: len(records) - cut] if cut < 20 else records
    round_trip(pair("AudioBuffer"), RUN + body + rest)
    round_trip(pair("AudioBuffer"), RUN + records + RUN + body + rest)


@pytest.mark.parametrize(
    "record",
    [
        integer(15, 1),
        integer(2**25, 1),
        varint(15 << 3, size=5) + b"\x01",
        delimited(15, b""),
        delimited(15, b"1234\n67"),
        tag(15, FIXED32) + b"abcd",
        group(15),
        nested_groups(15, 100),
    ],
)
def test_a_run_takes_few_calls(record: bytes) -> None:
    data = record * (60_000 // len(record))
    AudioBuffer.FromString(data)  # compiles the regular expression
    # Each group takes a few calls. Other fields are skipped by the thousand.
    groups = data.count(tag(15, START_GROUP))
    assert calls_made(lambda: AudioBuffer.FromString(data)) < 500 + 3 * groups
