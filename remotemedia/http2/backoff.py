"""How long to wait before the next attempt to connect.

This is gRPC's connection backoff (``doc/connection-backoff.md`` of the gRPC project),
with a shorter first wait. The wait doubles with every failure in a row. A random part
of it keeps the clients of a server that comes back from arriving all at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.1
_MAX_DOUBLINGS = 6
JITTER = 0.2
"""The most by which a wait is longer or shorter, as a part of it."""


class Backoff:
    """Counts failures, and says how much of the wait after the last one is left.

    Args:
        clock: the time in seconds, such as the ``time`` of an event loop.
        uniform: a random number between its two arguments.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._failures = 0
        self._until_s = 0.0

    @property
    def remaining_s(self) -> float:
        """Seconds until the next attempt may begin; 0 if it may begin now."""
        return max(self._until_s - self._clock(), 0.0)

    def fail(self, at_s: float | None = None) -> None:
        """Count a failure.

        Args:
            at_s: when the wait begins, as the clock has it; None for now.
        """
        wait_s = FIRST_S * 2 ** min(self._failures, _MAX_DOUBLINGS)
        wait_s *= self._uniform(1 - JITTER, 1 + JITTER)
        self._failures += 1
        self._until_s = (self._clock() if at_s is None else at_s) + wait_s

    def reset(self) -> None:
        """Forget the failures; the next attempt may begin at once."""
        self._failures, self._until_s = 0, 0.0
