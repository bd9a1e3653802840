"""Deadlines and limits: points in time, and the checks of arguments."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from grpclib.metadata import Deadline

from remotemedia.grpc import limits
from remotemedia.grpc.limits import check_count, deadline_after, earliest


def test_the_defaults_are_those_of_the_contract_and_the_documents() -> None:
    assert limits.DEFAULT_TIMEOUT_S == 30
    assert limits.DEFAULT_IDLE_TIMEOUT_S == 300
    assert limits.DEFAULT_MAX_SEND_BYTES == 4_194_304  # 4 MiB
    assert limits.DEFAULT_MAX_RECEIVE_BYTES == 67_108_864  # 64 MiB


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_no_bound(timeout: float | None) -> None:
    assert deadline_after(timeout) is None


@pytest.mark.parametrize("timeout", [0, -1, math.nan])
def test_a_timeout_that_makes_no_sense(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be positive, got"):
        deadline_after(timeout)


@pytest.mark.parametrize("timeout", ["5", b"5", True, [5], 5j])
def test_a_timeout_is_a_number(timeout: Any) -> None:
    with pytest.raises(TypeError) as caught:
        deadline_after(timeout)
    assert str(caught.value) == (
        f"timeout must be a number of seconds or None, got {timeout!r}"
    )


@pytest.mark.parametrize(
    "timeout", [60, 60.0, np.float32(60), np.int64(60), Fraction(60)]
)
def test_a_timeout_may_be_any_real_number(timeout: Any) -> None:
    deadline = deadline_after(timeout)
    assert deadline is not None
    assert 59 < deadline.time_remaining() <= 60


@pytest.mark.parametrize("count", ["5", 5.0, None, True, False, [5]])
def test_a_count_is_an_int(count: object) -> None:
    with pytest.raises(TypeError) as caught:
        check_count("max_send_bytes", count)
    assert str(caught.value) == f"max_send_bytes must be an int, got {count!r}"


def test_a_count_has_a_lowest_value() -> None:
    check_count("n", 1)
    check_count("n", np.int64(1))
    check_count("n", 0, least=0)
    with pytest.raises(ValueError, match=r"^n must be positive, got 0$"):
        check_count("n", 0)
    with pytest.raises(ValueError, match=r"^n must be at least 0, got -1$"):
        check_count("n", -1, least=0)


def test_a_deadline_is_a_point_in_time() -> None:
    deadline = deadline_after(60)
    assert deadline is not None
    assert 59 < deadline.time_remaining() <= 60


def test_the_earliest() -> None:
    early, late = Deadline.from_timeout(1), Deadline.from_timeout(2)
    assert earliest(None, late, early) is early
    assert earliest(None, None) is None
