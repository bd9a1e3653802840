"""Making a call again: after a refusal always, after other failures by a policy.

Two kinds of failure can be repeated:

- A healthy peer *refused* the call, which was certainly not processed
  (``CallError.is_refused``). It is always made again; gRPC's design A6 calls this a
  transparent retry.
- The call failed with a status that a ``RetryPolicy`` names. It may have been
  processed, so only a call that the caller declares to be idempotent has a policy. The
  policy follows A6: backoff that grows exponentially, drawn at random from zero to its
  bound; the peer's pushback is obeyed; and a budget for each channel keeps a client
  from overloading a service that is failing.

Nothing is repeated beyond the deadline of the call, and nothing that has delivered a
response.

https://github.com/grpc/proposal/blob/master/A6-client-retries.md
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc.limits import check_count
from remotemedia.grpc.status import CallError
from remotemedia.http2 import Channel, check_seconds

T = TypeVar("T")

OnRetry: TypeAlias = "Callable[[CallError, float], None]"
"""Is told that a call failed, and in how many seconds it is made again."""

# The attempts at a refused call and the delays between them take about five seconds.
_MAX_REFUSALS = 12
_FIRST_DELAY_S = 0.01
_MAX_DELAY_S = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When and how often a failed call is made again.

    The delay before the n-th retry is drawn at random from zero to
    ``initial_backoff_s * multiplier ** (n - 1)``, or to ``max_backoff_s`` if that is
    less.

    Attributes:
        attempts: how many attempts there are, the first included.
        initial_backoff_s: the longest delay before the first retry, in seconds.
        max_backoff_s: the longest delay before any retry, in seconds.
        multiplier: by how much the longest delay grows with each retry.
        statuses: the gRPC statuses after which a call is made again.
        budget: how many failures in a row, over all calls of a channel, are twice as
            many as stop its retries. Each failure takes 1 from the budget, and there
            are retries while more than half of it is left.
        refill: what each success gives back to the budget.

    Raises:
        TypeError: a value has a wrong type.
        ValueError: a value makes no sense, such as a negative time.
    """

    attempts: int = 5
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 2.0
    multiplier: float = 2.0
    statuses: frozenset[Status] = frozenset({Status.UNAVAILABLE})
    budget: float = 100.0
    refill: float = 0.1

    def __post_init__(self) -> None:
        check_count("attempts", self.attempts)
        for name in ("initial_backoff_s", "max_backoff_s"):
            check_seconds(name, getattr(self, name))
        for name in ("multiplier", "budget", "refill"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value!r}")
        if self.initial_backoff_s is None or self.max_backoff_s is None:
            raise TypeError("a backoff must be a number of seconds, not None")
        try:
            statuses = frozenset(self.statuses)
        except TypeError:
            statuses = frozenset()
        if not all(isinstance(status, Status) for status in statuses) or not statuses:
            raise TypeError(
                "statuses must be a set of remotemedia.grpc.Status, got "
                f"{self.statuses!r}"
            )
        if Status.OK in statuses:
            raise ValueError("statuses must not contain OK, which is no failure")
        # A list works as well, and the policy stays immutable.
        object.__setattr__(self, "statuses", statuses)

    def longest_delay_s(self, retries: int) -> float:
        """The longest delay before a retry that so many others came before."""
        try:
            return min(
                self.initial_backoff_s * self.multiplier**retries, self.max_backoff_s
            )
        except OverflowError:
            return self.max_backoff_s


class RetryBudget:
    """How many failures a channel may still answer with retries."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._most = policy.budget
        self._refill = policy.refill
        self._left = self._most

    def on_success(self) -> None:
        """A call succeeded."""
        self._left = min(self._left + self._refill, self._most)

    def on_failure(self) -> bool:
        """An attempt failed; return whether another may be made."""
        self._left = max(self._left - 1, 0.0)
        return self._left > self._most / 2


_budgets: WeakKeyDictionary[Channel, RetryBudget] = WeakKeyDictionary()


class Retries:
    """The retries of a channel's calls under one policy, or of refused calls only.

    Args:
        policy: None to repeat refused calls only.
        channel: whose budget it is.
        sleep: waits for so many seconds.
        uniform: draws a number from an interval.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        channel: Channel | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._budget: RetryBudget | None = None
        if policy is not None:
            # All policies of a channel share the budget of the first.
            budget = None if channel is None else _budgets.get(channel)
            if budget is None:
                budget = RetryBudget(policy)
                if channel is not None:
                    _budgets[channel] = budget
            self._budget = budget
        self._sleep = sleep
        self._uniform = uniform

    async def run(
        self,
        attempt: Callable[[], Coroutine[Any, Any, T]],
        deadline: Deadline | None,
        on_retry: OnRetry | None = None,
    ) -> T:
        """Make an attempt, and others while it fails in a way that can be repeated.

        Args:
            attempt: makes one attempt.
            deadline: no attempt is made that would begin after it. The failure is
                raised then, which says more than a time-out.
            on_retry: is told of each retry, before the delay.

        Raises:
            CallError: what the last attempt raised. It is not ``unprocessed`` if the
                peer may have processed an earlier one.
        """
        refusals = failures = backoffs = 0
        may_be_processed = False
        while True:
            try:
                result = await attempt()
            except CallError as error:
                may_be_processed = may_be_processed or not error.unprocessed
                if error.is_refused:
                    delay_s = min(_FIRST_DELAY_S * 2**refusals, _MAX_DELAY_S)
                    delay_s *= self._uniform(0.5, 1.0)
                    refusals += 1
                    # A refused call is likely to be refused again: leave some time.
                    is_last = refusals > _MAX_REFUSALS or 2 * delay_s >= _left_s(
                        deadline
                    )
                else:
                    failures += 1
                    delay_s, backoffs = self._delay(error, failures, backoffs)
                    is_last = delay_s >= _left_s(deadline)
                if is_last:
                    if may_be_processed:
                        error.unprocessed = error.is_refused = False
                    raise
                if on_retry is not None:
                    on_retry(error, delay_s)
            else:
                if self._budget is not None:
                    self._budget.on_success()
                return result
            await self._sleep(delay_s)

    def _delay(
        self, error: CallError, failures: int, backoffs: int
    ) -> tuple[float, int]:
        """The delay before the next attempt, and how many backoffs there were then.

        The delay is infinite if there must be no other attempt.
        """
        policy, budget = self._policy, self._budget
        if policy is None or budget is None:
            return math.inf, backoffs
        pushback_s = error.pushback_s
        if error.status not in policy.statuses and pushback_s != math.inf:
            return math.inf, backoffs
        if not budget.on_failure() or failures >= policy.attempts:
            return math.inf, backoffs
        if pushback_s is not None:
            # A6: after a pushback, the backoff begins anew.
            return pushback_s, 0
        longest_s = policy.longest_delay_s(backoffs)
        return self._uniform(0.0, longest_s), backoffs + 1


REFUSED_ONLY = Retries()
"""Makes refused calls again, and no others."""


def _left_s(deadline: Deadline | None) -> float:
    return math.inf if deadline is None else deadline.time_remaining()
