"""Deadlines: points in time, and the earliest of several."""

from __future__ import annotations

import math

import pytest
from grpclib.metadata import Deadline

from remotemedia.grpc.limits import deadline_after, earliest


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_no_bound(timeout: float | None) -> None:
    assert deadline_after(timeout) is None


@pytest.mark.parametrize("timeout", [0, -1, math.nan])
def test_a_timeout_that_makes_no_sense(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be positive, got"):
        deadline_after(timeout)


def test_a_deadline_is_a_point_in_time() -> None:
    deadline = deadline_after(60)
    assert deadline is not None
    assert 59 < deadline.time_remaining() <= 60


def test_the_earliest() -> None:
    early, late = Deadline.from_timeout(1), Deadline.from_timeout(2)
    assert earliest(None, late, early) is early
    assert earliest(None, None) is None
