"""The budget of frames that move no call on, under a clock that the test sets."""

from __future__ import annotations

from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError

from remotemedia.http2.budget import (
    IDLE_FRAMES_PER_S,
    MAX_IDLE_FRAMES,
    Budget,
)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def spent(budget: Budget) -> int:
    """How many frames it takes to spend the whole budget."""
    for count in range(10 * MAX_IDLE_FRAMES):
        try:
            budget.spend()
        except DenialOfServiceError as error:  # noqa: PERF203 - it ends the loop
            assert error.error_code is ErrorCodes.ENHANCE_YOUR_CALM  # noqa: PT017
            return count
    raise AssertionError("the budget has no end")


def test_a_burst_is_allowed_and_no_more() -> None:
    assert spent(Budget(Clock())) == MAX_IDLE_FRAMES


def test_time_fills_the_budget() -> None:
    clock = Clock()
    budget = Budget(clock)
    spent(budget)
    clock.now_s += 2.0
    assert spent(budget) == 2 * IDLE_FRAMES_PER_S


def test_a_few_frames_a_second_may_come_for_ever() -> None:
    clock = Clock()
    budget = Budget(clock)
    for _ in range(20 * MAX_IDLE_FRAMES):
        budget.spend()
        clock.now_s += 1 / IDLE_FRAMES_PER_S


def test_a_long_silence_allows_no_more_than_a_burst() -> None:
    clock = Clock()
    budget = Budget(clock)
    clock.now_s += 1e6
    # What was left, and what time has filled.
    assert spent(budget) == 2 * MAX_IDLE_FRAMES


def test_a_reset_allows_what_may_be_on_its_way() -> None:
    budget = Budget(Clock())
    budget.on_reset(1024 * 1024)
    budget.on_reset(-5)
    for _ in range(2048 + 4):
        budget.spend_late()
    assert budget.frames == MAX_IDLE_FRAMES
    budget.spend_late()
    assert budget.frames == MAX_IDLE_FRAMES - 1


def test_the_answers_to_pings_of_ours_are_free() -> None:
    budget = Budget(Clock())
    for _ in range(2 * MAX_IDLE_FRAMES):
        budget.on_ping()
        budget.spend()
    assert budget.frames == MAX_IDLE_FRAMES
