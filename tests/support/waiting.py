"""Waiting for what another task or peer does, without guessing how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Far above what any of these tests waits for. Whatever hangs fails by it.
GUARD_S = 10.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it did not hold within `GUARD_S` seconds.
    """

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 - other tasks and peers set no event
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), GUARD_S)


async def turns(count: int) -> None:
    """Let the event loop run `count` times through its ready callbacks."""
    for _ in range(count):
        await asyncio.sleep(0)
