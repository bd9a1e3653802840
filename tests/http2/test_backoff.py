"""The wait between attempts to connect, on a clock of the test's own."""

from __future__ import annotations

import pytest

from remotemedia.http2.backoff import FIRST_S, JITTER, Backoff


class Clock:
    """A time in seconds that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_the_first_attempt_may_begin_at_once() -> None:
    assert Backoff(Clock()).remaining_s == 0.0


def test_each_failure_doubles_the_wait_up_to_64_times() -> None:
    backoff = Backoff(Clock(), middle)
    waits = []
    for _ in range(9):
        backoff.fail()
        waits.append(backoff.remaining_s / FIRST_S)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 64, 64, 64])


def test_any_number_of_failures_can_be_counted() -> None:
    backoff = Backoff(Clock(), middle)
    for _ in range(5000):
        backoff.fail()
    assert backoff.remaining_s == pytest.approx(64 * FIRST_S)


def test_the_wait_passes_with_the_time() -> None:
    clock = Clock()
    backoff = Backoff(clock, middle)
    backoff.fail()
    clock.now_s += FIRST_S * 0.75
    assert backoff.remaining_s == pytest.approx(FIRST_S * 0.25)
    clock.now_s += FIRST_S
    assert backoff.remaining_s == 0.0


def test_a_wait_may_have_begun_earlier() -> None:
    clock = Clock()
    backoff = Backoff(clock, middle)
    backoff.fail(clock.now_s - FIRST_S / 2)
    assert backoff.remaining_s == pytest.approx(FIRST_S / 2)


def test_a_part_of_the_wait_is_random() -> None:
    shortest = Backoff(Clock(), lambda low, high: low)
    longest = Backoff(Clock(), lambda low, high: high)
    shortest.fail()
    longest.fail()
    assert shortest.remaining_s == pytest.approx(FIRST_S * (1 - JITTER))
    assert longest.remaining_s == pytest.approx(FIRST_S * (1 + JITTER))


def test_a_success_forgets_the_failures() -> None:
    backoff = Backoff(Clock(), middle)
    backoff.fail()
    backoff.fail()
    backoff.reset()
    assert backoff.remaining_s == 0.0
    backoff.fail()
    assert backoff.remaining_s == pytest.approx(FIRST_S)
