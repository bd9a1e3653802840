"""Timestamps and durations as Python values, exact to the last nanosecond."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from typing import Any

import pytest
from google.protobuf import duration_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.protobuf import (
    DecodeError,
    EncodeError,
    EncodeTypeError,
    well_known,
)
from remotemedia.protobuf.wkt import (
    BytesValue,
    Duration,
    StringValue,
    Timestamp,
    UInt64Value,
)

UTC = dt.timezone.utc
INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)


@given(seconds=INT64 | st.integers(-(10**11), 10**11), nanos=INT32)
def test_any_numbers_survive_the_conversion(seconds: int, nanos: int) -> None:
    when = well_known.timestamp(seconds, nanos)
    span = well_known.duration(seconds, nanos)
    assert well_known.timestamp_parts(when) == (seconds, nanos)
    assert well_known.duration_parts(span) == (seconds, nanos)
    for value in (when, span):
        for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
            assert again == value
            assert type(again) is type(value)


@given(
    st.datetimes(timezones=st.sampled_from([UTC, dt.timezone(dt.timedelta(hours=9))]))
)
def test_a_datetime_is_converted_back_to_a_plain_one(when: dt.datetime) -> None:
    try:
        moved = when.astimezone(UTC)
    except OverflowError:
        return
    again = well_known.timestamp(*well_known.timestamp_parts(when))
    assert again == moved
    assert type(again) is dt.datetime
    assert again.tzinfo is UTC


@given(st.timedeltas())
def test_a_timedelta_is_converted_back_to_a_plain_one(span: dt.timedelta) -> None:
    seconds, nanos = well_known.duration_parts(span)
    assert seconds * nanos >= 0, "the signs differ"
    again = well_known.duration(seconds, nanos)
    assert again == span
    assert type(again) is dt.timedelta


def test_a_value_that_python_cannot_express_is_the_nearest() -> None:
    assert well_known.timestamp(0, 1999) - well_known.EPOCH == dt.timedelta(
        microseconds=1
    )
    assert well_known.timestamp(2**62, 0).replace(tzinfo=None) == dt.datetime.max
    assert well_known.timestamp(-(2**62), 0).replace(tzinfo=None) == dt.datetime.min
    assert well_known.duration(2**62, 0) - dt.timedelta.max == dt.timedelta(0)
    assert well_known.duration(-(2**62), 0) - dt.timedelta.min == dt.timedelta(0)


def test_exact_values_are_compared_exactly() -> None:
    assert well_known.timestamp(0, 1) == well_known.timestamp(0, 1)
    assert well_known.timestamp(0, 1) != well_known.timestamp(0, 2)
    assert well_known.timestamp(0, 1) != well_known.EPOCH
    assert well_known.timestamp(0, 1) != well_known.EPOCH
    assert well_known.duration(0, 1) != well_known.duration(0, 2)
    assert dt.timedelta(0) != well_known.duration(0, 1)


def test_arithmetic_gives_plain_values() -> None:
    later = well_known.timestamp(0, 1) + dt.timedelta(seconds=1)
    assert well_known.timestamp_parts(later) == (1, 0)
    longer = well_known.duration(0, 1) * 2
    assert well_known.duration_parts(longer) == (0, 0)


@pytest.mark.parametrize(
    "value", [dt.datetime(2024, 1, 1), "now", 5, dt.date(2024, 1, 1)]
)
def test_a_timestamp_needs_a_datetime_with_a_zone(value: Any) -> None:
    with pytest.raises(ValueError, match="must be a datetime"):
        well_known.timestamp_parts(value)


@pytest.mark.parametrize("value", [1.5, "1s", None])
def test_a_duration_needs_a_timedelta(value: Any) -> None:
    with pytest.raises(ValueError, match="must be a timedelta"):
        well_known.duration_parts(value)


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_exact"),
    [
        *((0, 0, True), (-1, 999_999_000, True), (0, 1, False), (0, -1000, False)),
        *((0, 10**9, False), (-62135596800, 0, True), (-62135596801, 0, False)),
        *((253402300799, 999_999_000, True), (253402300800, 0, False)),
    ],
)
def test_a_timestamp_is_a_plain_datetime_if_that_is_exact(
    seconds: int, nanos: int, is_exact: bool
) -> None:
    when = well_known.timestamp(seconds, nanos)
    assert (type(when) is dt.datetime) is is_exact
    assert isinstance(when, dt.datetime)
    if is_exact:
        assert when == well_known.EPOCH + dt.timedelta(0, seconds, nanos // 1000)


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_exact"),
    [
        *((0, 0, True), (1, 5000, True), (-1, -5000, True), (0, -5000, True)),
        *((0, 1, False), (1, -1000, False), (-1, 1000, False)),
        *((0, 10**9, False), (0, -(10**9), False), (10**15, 0, False)),
    ],
)
def test_a_duration_is_a_plain_timedelta_if_that_is_exact(
    seconds: int, nanos: int, is_exact: bool
) -> None:
    span = well_known.duration(seconds, nanos)
    assert (type(span) is dt.timedelta) is is_exact
    if is_exact:
        assert span == dt.timedelta(0, seconds, nanos // 1000)


def test_a_value_beyond_the_range_is_the_end_of_the_range() -> None:
    for seconds in (-(10**15), 10**15):
        when, span = well_known.timestamp(seconds, 5), well_known.duration(seconds, 5)
        edge = dt.datetime.min if seconds < 0 else dt.datetime.max
        assert when.replace(tzinfo=None) == edge
        assert when.tzinfo is UTC
        assert span - (dt.timedelta.min if seconds < 0 else dt.timedelta.max) == (
            dt.timedelta(0)
        )
        assert well_known.timestamp_parts(when) == (seconds, 5)
        assert well_known.duration_parts(span) == (seconds, 5)


def test_exact_values_hash_as_equal_ones_do() -> None:
    assert hash(well_known.timestamp(0, 1)) == hash(well_known.timestamp(0, 1))
    assert hash(well_known.duration(0, 1)) == hash(well_known.duration(0, 1))
    assert len({well_known.timestamp(0, nanos) for nanos in (1, 1, 2)}) == 2
    assert len({well_known.duration(0, nanos) for nanos in (1, 1, 2)}) == 2


def test_an_exact_value_without_exact_numbers_pickles() -> None:
    later = well_known.timestamp(0, 1) + dt.timedelta(seconds=1)
    for value in (later, well_known.ExactTimedelta(seconds=5)):
        again = pickle.loads(pickle.dumps(value))
        assert (again, type(again)) == (value, type(value))


def test_messages_convert_from_and_to_python_values() -> None:
    when = dt.datetime(1970, 1, 1, 0, 0, 1, 5, UTC)
    timestamp = Timestamp.from_python(when)
    assert timestamp == Timestamp(seconds=1, nanos=5000)
    assert timestamp.to_python() == when
    duration = Duration.from_python(dt.timedelta(seconds=-1, microseconds=-5))
    assert duration == Duration(seconds=-1, nanos=-5000)
    assert duration.to_python() == dt.timedelta(seconds=-1, microseconds=-5)
    assert StringValue.from_python("text") == StringValue(value="text")
    assert StringValue(value="text").to_python() == "text"


def test_a_wrong_type_is_a_type_error() -> None:
    wrong: Any = "now"
    with pytest.raises(EncodeTypeError):
        well_known.timestamp_parts(wrong)
    with pytest.raises(EncodeTypeError):
        well_known.duration_parts(wrong)
    with pytest.raises(EncodeError, match="with a time zone") as caught:
        well_known.timestamp_parts(dt.datetime(2024, 1, 1))
    assert not isinstance(caught.value, EncodeTypeError)


# --- as text, in JSON ----------------------------------------------------------------


@given(
    st.integers(-62135596800, 253402300799),
    st.sampled_from([0, 1, 5_000_000, 120_000, 999_999_999]),
)
def test_timestamps_have_googles_format(seconds: int, nanos: int) -> None:
    when = well_known.timestamp(seconds, nanos)
    google = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    assert well_known.timestamp_text(when) == google.ToJsonString()
    assert well_known.timestamp_from_text(google.ToJsonString()) == when


def test_a_timestamp_may_have_another_zone() -> None:
    assert well_known.timestamp_from_text("2024-05-06T09:00:00.5+02:00") == dt.datetime(
        2024, 5, 6, 7, 0, 0, 500_000, UTC
    )


@given(st.integers(-315_576_000_000, 315_576_000_000), st.integers(0, 999_999_999))
def test_durations_have_googles_format(seconds: int, nanos: int) -> None:
    nanos = -nanos if seconds < 0 else nanos
    span = well_known.duration(seconds, nanos)
    google = duration_pb2.Duration(seconds=seconds, nanos=nanos)
    assert well_known.duration_text(span) == google.ToJsonString()
    assert well_known.duration_from_text(google.ToJsonString()) == span


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "yesterday", "2024-05-06", "1.0000000001s", 5, None),
        *("2024-05-06t07:08:09Z", "2024-05-06T07:08:09z", "2024-05-06T07:08:09"),
        *("2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z"),
        *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "+1s", "1.s", ".5s"),
        *("9999-12-31T23:59:59-00:01", "315576000001s", "1S", "2024-01-01T00:00:00.Z"),
    ],
)
def test_other_strings_are_refused(text: Any) -> None:
    with pytest.raises(DecodeError, match="must be a time of RFC 3339, such as"):
        well_known.timestamp_from_text(text)
    with pytest.raises(DecodeError, match="must be a duration, such as"):
        well_known.duration_from_text(text)


def test_a_timestamp_has_the_shortest_of_four_fractions() -> None:
    for nanos, fraction in [
        *((0, ""), (5_000_000, ".005"), (120_000, ".000120"), (1, ".000000001")),
        *((100_000_000, ".100"), (999_999_999, ".999999999")),
    ]:
        when, span = well_known.timestamp(0, nanos), well_known.duration(-1, -nanos)
        assert well_known.timestamp_text(when) == f"1970-01-01T00:00:00{fraction}Z"
        assert well_known.duration_text(span) == f"-1{fraction}s"
        text = f"1970-01-01T00:00:00{fraction}Z"
        assert well_known.timestamp_from_text(text) == when
        assert well_known.duration_from_text(f"-1{fraction}s") == span
    small = well_known.duration(0, -5_000_000)
    assert well_known.duration_text(small) == "-0.005s"
    assert well_known.duration_from_text("-0.005s") == small
    early = well_known.timestamp(-62135596800, 0)
    assert well_known.timestamp_text(early) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(253402300800, 0), (-62135596801, 0), (0, -1), (0, 1_000_000_000)],
)
def test_a_timestamp_out_of_the_years_has_no_text(seconds: int, nanos: int) -> None:
    with pytest.raises(EncodeError, match="must be in the years 1 to 9999"):
        well_known.timestamp_text(well_known.timestamp(seconds, nanos))
    with pytest.raises(EncodeError, match=r"^Timestamp: must be in the years"):
        Timestamp(seconds=seconds, nanos=nanos).to_json()


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(315_576_000_001, 0), (-315_576_000_001, 0), (0, 1_000_000_000), (1, -1)],
)
def test_a_duration_that_is_too_long_has_no_text(seconds: int, nanos: int) -> None:
    with pytest.raises(EncodeError, match=r"must (be at most|have seconds and nano)"):
        well_known.duration_text(well_known.duration(seconds, nanos))


def test_messages_have_the_same_text() -> None:
    timestamp = Timestamp(seconds=1, nanos=5)
    assert timestamp.to_json() == '"1970-01-01T00:00:01.000000005Z"'
    assert Timestamp.from_json(timestamp.to_json()) == timestamp
    duration = Duration(seconds=-1, nanos=-5)
    assert duration.to_json() == '"-1.000000005s"'
    assert Duration.from_json(duration.to_json()) == duration
    for wrapper, text in [
        (StringValue(value="a"), '"a"'),
        (UInt64Value(value=5), '"5"'),
        (BytesValue(value=b"a"), '"YQ=="'),
    ]:
        assert wrapper.to_json() == text
        assert type(wrapper).from_json(text) == wrapper
    with pytest.raises(DecodeError, match=r"^UInt64Value: must be from 0 to"):
        UInt64Value.from_json("-1")
    with pytest.raises(EncodeError, match=r"^UInt64Value\.value must be from 0 to"):
        UInt64Value(value=-1).to_json()
