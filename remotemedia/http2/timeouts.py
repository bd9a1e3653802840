"""Waiting that ends in time, and that a cancellation always ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def bounded(work: Awaitable[T], timeout: float | None) -> T:
    """Wait for work, but not longer than so many seconds; None for no bound.

    Up to Python 3.11 ``asyncio.wait_for`` loses a cancellation that comes in the turn
    of the loop in which the work ends. Here it comes out, whatever became of the work.

    Raises:
        asyncio.TimeoutError: the time is over. The work has been cancelled, and has
            ended.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if task.cancelled():
                raise asyncio.TimeoutError
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            # Looked at, so that the loop does not complain of what nobody needs.
            task.exception()
        raise
    return task.result()
