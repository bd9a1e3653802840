"""Repeating a call that the peer refused without processing it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from grpclib.metadata import Deadline

from remotemedia.grpc.status import CallError

T = TypeVar("T")

# The attempts and the delays between them take about five seconds in all.
_MAX_ATTEMPTS = 12
_FIRST_DELAY_S = 0.01
_MAX_DELAY_S = 1.0


async def retry_refused(
    attempt: Callable[[], Awaitable[T]], deadline: Deadline | None
) -> T:
    """Make an attempt, and make it again while the peer refuses it.

    Only what is guaranteed not to have been processed is repeated
    (``CallError.is_refused``). The delay doubles each time, and is shortened by up to
    half at random.

    Args:
        attempt: makes one attempt.
        deadline: no attempt is made that would have less time than the delay before
            it; the refusal is raised then, which says more than a time-out.

    Raises:
        CallError: what the last attempt raised.
    """
    for number in range(_MAX_ATTEMPTS):
        try:
            return await attempt()
        except CallError as error:
            delay_s = min(_FIRST_DELAY_S * 2**number, _MAX_DELAY_S)
            delay_s *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
            left_s = math.inf if deadline is None else deadline.time_remaining()
            if not error.is_refused or not 2 * delay_s < left_s:
                raise
        await asyncio.sleep(delay_s)
    return await attempt()
