"""Making a call again: how often, when, and when no more."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc import Channel
from remotemedia.grpc.retry import REFUSED_ONLY, Retries, RetryBudget, RetryPolicy
from remotemedia.grpc.status import CallError, from_trailers

REFUSED = CallError(Status.UNAVAILABLE, "busy", is_refused=True)
DOWN = CallError(Status.UNAVAILABLE, "down")
POLICY = RetryPolicy(attempts=4, initial_backoff_s=0.1, max_backoff_s=0.3)


def pushing_back(text: str, status: Status = Status.UNAVAILABLE) -> CallError:
    """What a peer's status with a pushback becomes."""
    error = from_trailers(
        {"grpc-status": str(status.value), "grpc-retry-pushback-ms": text}
    )
    assert error is not None
    return error


class Attempts:
    """Fails with each of the errors in turn, and then answers."""

    def __init__(self, *errors: CallError) -> None:
        self.count = 0
        self.errors = list(errors)

    async def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


class Clock:
    """Retries whose delays take no time, and are as long as they can be."""

    def __init__(self, policy: RetryPolicy | None = None, channel: Any = None) -> None:
        self.delays: list[float] = []
        self.asked: list[tuple[float, float]] = []
        self.retries = Retries(policy, channel, sleep=self._sleep, uniform=self._most)

    async def _sleep(self, delay_s: float) -> None:
        self.delays.append(delay_s)

    def _most(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return high


async def test_an_attempt_that_succeeds_is_the_only_one() -> None:
    attempts = Attempts()
    assert await REFUSED_ONLY.run(attempts, None) == "answer"
    assert attempts.count == 1


# -- refused calls


async def test_delays_after_refusals_double_up_to_a_second() -> None:
    clock, attempts = Clock(), Attempts(*[REFUSED] * 9)
    assert await clock.retries.run(attempts, None) == "answer"
    assert attempts.count == 10
    assert clock.delays == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]
    assert set(clock.asked) == {(0.5, 1.0)}


async def test_the_last_refusal_is_raised() -> None:
    clock, attempts = Clock(), Attempts(*[REFUSED] * 99)
    with pytest.raises(CallError) as caught:
        await clock.retries.run(attempts, None)
    assert caught.value is REFUSED
    assert (attempts.count, len(clock.delays)) == (13, 12)


@pytest.mark.parametrize(
    "error",
    [
        CallError(Status.UNAVAILABLE, "down", unprocessed=True),
        CallError(Status.INTERNAL, "broken"),
        pushing_back("0"),
    ],
)
async def test_without_a_policy_only_refused_calls_are_repeated(
    error: CallError,
) -> None:
    clock, attempts = Clock(), Attempts(error)
    with pytest.raises(CallError):
        await clock.retries.run(attempts, None)
    assert (attempts.count, clock.delays) == (1, [])


async def test_no_attempt_without_the_time_for_it() -> None:
    clock, attempts = Clock(), Attempts(*[REFUSED] * 99)
    # The third delay is 0.04 s, and would leave less than as much.
    with pytest.raises(CallError):
        await clock.retries.run(attempts, Deadline.from_timeout(0.079))
    assert attempts.count == 3


async def test_refusals_are_not_counted_as_attempts_of_the_policy() -> None:
    clock = Clock(RetryPolicy(attempts=2))
    attempts = Attempts(REFUSED, REFUSED, DOWN, REFUSED)
    assert await clock.retries.run(attempts, None) == "answer"
    assert attempts.count == 5


# -- a policy


async def test_the_longest_delays_grow_up_to_the_maximum() -> None:
    clock, attempts = Clock(POLICY), Attempts(DOWN, DOWN, DOWN)
    assert await clock.retries.run(attempts, None) == "answer"
    # Full jitter: anything from zero.
    assert clock.asked == [(0.0, 0.1), (0.0, 0.2), (0.0, 0.3)]
    assert clock.delays == [0.1, 0.2, 0.3]


async def test_there_are_no_more_attempts_than_the_policy_says() -> None:
    clock, attempts = Clock(POLICY), Attempts(*[DOWN] * 9)
    with pytest.raises(CallError) as caught:
        await clock.retries.run(attempts, None)
    assert caught.value is DOWN
    assert (attempts.count, len(clock.delays)) == (4, 3)


async def test_a_status_that_the_policy_does_not_name_is_raised() -> None:
    clock, attempts = Clock(POLICY), Attempts(CallError(Status.INTERNAL, "broken"))
    with pytest.raises(CallError):
        await clock.retries.run(attempts, None)
    assert attempts.count == 1


async def test_every_status_that_the_policy_names_is_repeated() -> None:
    statuses = frozenset({Status.ABORTED, Status.RESOURCE_EXHAUSTED})
    clock = Clock(RetryPolicy(statuses=statuses))
    attempts = Attempts(*(CallError(status, "m") for status in statuses))
    assert await clock.retries.run(attempts, None) == "answer"


async def test_no_retry_begins_after_the_deadline() -> None:
    clock, attempts = Clock(POLICY), Attempts(*[DOWN] * 9)
    with pytest.raises(CallError) as caught:
        await clock.retries.run(attempts, Deadline.from_timeout(0.15))
    # The failure says more than a time-out.
    assert caught.value is DOWN
    assert clock.delays == [0.1]


async def test_each_retry_is_told_before_its_delay() -> None:
    clock, told = Clock(POLICY), []

    def on_retry(error: CallError, delay_s: float) -> None:
        told.append((error, delay_s, len(clock.delays)))

    await clock.retries.run(Attempts(REFUSED, DOWN), None, on_retry)
    assert told == [(REFUSED, 0.01, 0), (DOWN, 0.1, 1)]


# -- pushback


async def test_the_pushback_of_the_peer_is_the_delay() -> None:
    clock = Clock(POLICY)
    attempts = Attempts(DOWN, DOWN, pushing_back("1500"))
    assert await clock.retries.run(attempts, None) == "answer"
    assert clock.delays == [0.1, 0.2, 1.5]


async def test_after_a_pushback_the_backoff_begins_anew() -> None:
    clock = Clock(POLICY)
    attempts = Attempts(DOWN, pushing_back("0"), DOWN)
    assert await clock.retries.run(attempts, None) == "answer"
    assert clock.delays == [0.1, 0.0, 0.1]


@pytest.mark.parametrize("text", ["-1", "", "soon", "1.5", "٣"])
async def test_a_pushback_that_is_no_delay_forbids_retries(text: str) -> None:
    clock, attempts = Clock(POLICY), Attempts(pushing_back(text))
    with pytest.raises(CallError):
        await clock.retries.run(attempts, None)
    assert attempts.count == 1


async def test_a_pushback_does_not_make_a_status_repeatable() -> None:
    clock, attempts = Clock(POLICY), Attempts(pushing_back("5", Status.INTERNAL))
    with pytest.raises(CallError):
        await clock.retries.run(attempts, None)
    assert attempts.count == 1


async def test_a_pushback_beyond_the_deadline_is_not_waited_for() -> None:
    clock, attempts = Clock(POLICY), Attempts(pushing_back("60000"))
    with pytest.raises(CallError):
        await clock.retries.run(attempts, Deadline.from_timeout(30))
    assert clock.delays == []


# -- the budget


async def test_failures_use_up_the_budget_and_successes_refill_it() -> None:
    budget = RetryBudget(RetryPolicy(budget=4, refill=0.5))
    assert budget.on_failure()
    # A6: retries stop at half of the budget.
    assert not budget.on_failure()
    assert not budget.on_failure()
    for _ in range(3):
        budget.on_success()
    assert not budget.on_failure()
    for _ in range(100):
        budget.on_success()
    assert [budget.on_failure() for _ in range(3)] == [True, False, False]


async def test_all_calls_of_a_channel_share_a_budget() -> None:
    policy = RetryPolicy(attempts=9, budget=4)
    channel = Channel("localhost:1")
    one, other = Clock(policy, channel), Clock(policy, channel)
    attempts = Attempts(*[DOWN] * 9)
    with pytest.raises(CallError):
        await one.retries.run(attempts, None)
    assert attempts.count == 2
    attempts = Attempts(DOWN)
    with pytest.raises(CallError):
        await other.retries.run(attempts, None)
    assert attempts.count == 1


async def test_the_calls_of_another_channel_have_a_budget_of_their_own() -> None:
    policy = RetryPolicy(budget=2)
    first, second = Channel("localhost:1"), Channel("localhost:1")
    with pytest.raises(CallError):
        await Clock(policy, first).retries.run(Attempts(DOWN), None)
    with pytest.raises(CallError):
        await Clock(policy, second).retries.run(Attempts(DOWN, DOWN), None)
    del first
    gc.collect()


async def test_a_success_refills_the_budget_of_its_channel() -> None:
    channel = Channel("localhost:1")
    clock = Clock(RetryPolicy(budget=4, refill=1), channel)
    for _ in range(10):
        assert await clock.retries.run(Attempts(DOWN), None) == "answer"


async def test_a_forbidden_retry_uses_up_the_budget_too() -> None:
    channel = Channel("localhost:1")
    clock = Clock(RetryPolicy(budget=4), channel)
    for _ in range(2):
        with pytest.raises(CallError):
            await clock.retries.run(Attempts(pushing_back("-1", Status.ABORTED)), None)
    with pytest.raises(CallError):
        await clock.retries.run(Attempts(DOWN), None)


# -- the policy itself


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"attempts": 0}, ValueError, "attempts must be positive, got 0"),
        ({"attempts": 2.5}, TypeError, "attempts must be an int, got 2.5"),
        ({"initial_backoff_s": -1}, ValueError, "initial_backoff_s must be positive"),
        ({"initial_backoff_s": None}, TypeError, "a backoff must be a number"),
        ({"max_backoff_s": "1"}, TypeError, "max_backoff_s must be a number"),
        ({"max_backoff_s": None}, TypeError, "a backoff must be a number"),
        ({"multiplier": 0}, ValueError, "multiplier must be positive"),
        ({"multiplier": True}, TypeError, "multiplier must be a number, got True"),
        ({"budget": math.nan}, ValueError, "budget must be positive"),
        ({"refill": "x"}, TypeError, "refill must be a number, got 'x'"),
        ({"statuses": ()}, TypeError, "statuses must be a set of remotemedia.grpc"),
        ({"statuses": {14}}, TypeError, "statuses must be a set"),
        ({"statuses": 14}, TypeError, "statuses must be a set"),
        ({"statuses": {Status.OK}}, ValueError, "must not contain OK"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        RetryPolicy(**arguments)


def test_statuses_may_be_any_iterable() -> None:
    statuses: Any = [Status.ABORTED]
    policy = RetryPolicy(statuses=statuses)
    assert policy.statuses == frozenset({Status.ABORTED})
    assert hash(policy) == hash(RetryPolicy(statuses=frozenset({Status.ABORTED})))


def test_delays_do_not_overflow() -> None:
    policy = RetryPolicy(multiplier=1e300, max_backoff_s=7)
    assert policy.longest_delay_s(50) == 7


@pytest.mark.parametrize("digits", [10, 400, 5000])
async def test_a_pushback_may_have_any_number_of_digits(digits: int) -> None:
    clock, attempts = Clock(POLICY), Attempts(pushing_back("9" * digits))
    with pytest.raises(CallError):
        await clock.retries.run(attempts, Deadline.from_timeout(60))
    assert attempts.count == 1


@pytest.mark.parametrize("is_refused", [True, False])
async def test_an_earlier_attempt_may_have_been_processed(is_refused: bool) -> None:
    def unprocessed() -> CallError:
        return CallError(
            Status.UNAVAILABLE, "no", unprocessed=True, is_refused=is_refused
        )

    clock, attempts = Clock(POLICY), Attempts(*(unprocessed() for _ in range(99)))
    with pytest.raises(CallError) as caught:
        await clock.retries.run(attempts, None)
    assert caught.value.unprocessed
    assert caught.value.is_refused == is_refused

    lost = CallError(Status.UNAVAILABLE, "lost")
    clock, attempts = Clock(POLICY), Attempts(lost, *(unprocessed() for _ in range(99)))
    with pytest.raises(CallError) as caught:
        await clock.retries.run(attempts, None)
    assert attempts.count > 2
    assert not caught.value.unprocessed
    assert not caught.value.is_refused
