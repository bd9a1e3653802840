"""Timestamps and durations as Python values, exact to the last nanosecond."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.protobuf import well_known

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
