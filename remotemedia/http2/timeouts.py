"""Waiting with a bound that never loses a cancellation."""

from __future__ import annotations

import asyncio
import numbers
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


def check_seconds(name: str, seconds: Any) -> None:
    """Check a duration that a user passed: a positive number of seconds, or None.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not positive, or not a number in the sense of NaN.
    """
    if seconds is None:
        return
    # To Python, True is a number. A float is checked first because it is the fastest.
    if not isinstance(seconds, float) and (
        isinstance(seconds, bool) or not isinstance(seconds, numbers.Real)
    ):
        raise TypeError(f"{name} must be a number of seconds or None, got {seconds!r}")
    if not float(seconds) > 0:
        raise ValueError(f"{name} must be positive, got {seconds!r}")


class WaitTimeoutError(asyncio.TimeoutError):
    """The time of ``wait_at_most`` is over.

    A type of its own, because the work may raise a time-out of its own as well.
    """


async def wait_at_most(timeout_s: float | None, work: Awaitable[T]) -> T:
    """Wait for work, cancel it after so many seconds; None waits without a bound.

    Up to Python 3.11 ``asyncio.wait_for`` loses a cancellation that arrives in the
    turn of the event loop in which the work ends. Here it is always raised.

    Raises:
        WaitTimeoutError: the time is over. The work was cancelled, and has ended.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if task.cancelled():
                raise WaitTimeoutError
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            # Retrieve the exception, or the event loop would log that nobody did.
            task.exception()
        raise
    return task.result()
