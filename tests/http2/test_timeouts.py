"""Waiting with a bound: it ends in time, and never loses a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from remotemedia.http2.timeouts import wait_at_most


async def test_the_result_comes_through() -> None:
    assert await wait_at_most(None, asyncio.sleep(0, "done")) == "done"
    assert await wait_at_most(5, asyncio.sleep(0, "done")) == "done"


async def test_an_exception_comes_through() -> None:
    async def fail() -> None:
        raise KeyError("k")

    with pytest.raises(KeyError):
        await wait_at_most(5, fail())


async def test_the_work_has_ended_when_the_time_is_over() -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    with pytest.raises(asyncio.TimeoutError):
        await wait_at_most(0.01, work())
    assert ended


async def test_work_that_ends_as_it_is_cancelled_counts() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "just in time"
        return ""

    assert await wait_at_most(0.01, work()) == "just in time"


@pytest.mark.parametrize("turns", range(1, 7))
async def test_a_cancellation_comes_out_in_any_turn(turns: int) -> None:
    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    task = asyncio.create_task(wait_at_most(5, work()))
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
