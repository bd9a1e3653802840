"""Making a refused call again: how often, when, and when no more."""

from __future__ import annotations

import asyncio

import pytest
from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc import retry
from remotemedia.grpc.status import CallError

REFUSED = CallError(Status.UNAVAILABLE, "busy", is_refused=True)


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which take no time here."""
    waited: list[float] = []

    async def sleep(delay: float) -> None:
        waited.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    return waited


class Attempts:
    """Fails so many times, and then answers."""

    def __init__(self, failures: int, error: CallError = REFUSED) -> None:
        self.count = 0
        self.failures = failures
        self.error = error

    async def __call__(self) -> str:
        self.count += 1
        if self.count <= self.failures:
            raise self.error
        return "answer"


async def test_an_attempt_that_succeeds_is_the_only_one(delays: list[float]) -> None:
    attempts = Attempts(0)
    assert await retry.retry_refused(attempts, None) == "answer"
    assert (attempts.count, delays) == (1, [])


async def test_delays_double_up_to_a_second(delays: list[float]) -> None:
    attempts = Attempts(9)
    assert await retry.retry_refused(attempts, None) == "answer"
    assert attempts.count == 10
    assert delays == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


async def test_the_last_refusal_is_raised(delays: list[float]) -> None:
    attempts = Attempts(99)
    with pytest.raises(CallError) as caught:
        await retry.retry_refused(attempts, None)
    assert caught.value is REFUSED
    assert (attempts.count, len(delays)) == (13, 12)


@pytest.mark.parametrize(
    "error",
    [
        CallError(Status.UNAVAILABLE, "down", unprocessed=True),
        CallError(Status.INTERNAL, "broken"),
    ],
)
async def test_what_was_not_refused_is_not_repeated(
    error: CallError, delays: list[float]
) -> None:
    attempts = Attempts(1, error)
    with pytest.raises(CallError):
        await retry.retry_refused(attempts, None)
    assert (attempts.count, delays) == (1, [])


async def test_no_attempt_without_the_time_for_it(delays: list[float]) -> None:
    attempts = Attempts(99)
    # The third delay is 0.04 s, and would leave less than as much.
    with pytest.raises(CallError):
        await retry.retry_refused(attempts, Deadline.from_timeout(0.079))
    assert attempts.count == 3


async def test_delays_are_shortened_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return 0.0

    monkeypatch.setattr("random.uniform", uniform)
    await retry.retry_refused(Attempts(1), None)
    assert asked == [(0.5, 1.0)]
