"""The outbox: bounded by count and bytes, and every chunk accounted for."""

from __future__ import annotations

import asyncio

import pytest

from remotemedia import AudioBuffer
from remotemedia.session.outbox import Outbox
from tests.support.pipelines import tone


def filled(count: int, max_chunks: int = 16) -> Outbox:
    outbox = Outbox(max_chunks)
    for number in range(count):
        outbox.put(str(number), tone(16))
    return outbox


async def drained(outbox: Outbox) -> list[str]:
    return [node_id async for node_id, _ in outbox]


async def test_first_in_first_out() -> None:
    outbox = filled(5)
    outbox.finish(is_flushed=True)
    assert await drained(outbox) == ["0", "1", "2", "3", "4"]
    assert outbox.dropped == 0


def test_it_is_full_by_count() -> None:
    assert not filled(2, max_chunks=3).is_full
    assert filled(3, max_chunks=3).is_full


def test_it_is_full_by_bytes() -> None:
    outbox = Outbox(100)
    mebibyte = AudioBuffer(samples=bytes(1024 * 1024))
    for _ in range(7):
        outbox.put("src", mebibyte)
    assert not outbox.is_full
    outbox.put("src", mebibyte)
    assert outbox.is_full
    outbox.drop_oldest()
    assert not outbox.is_full


async def test_room_is_waited_for() -> None:
    outbox = filled(1, max_chunks=1)
    waiting = asyncio.create_task(outbox.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await anext(outbox)
    await waiting
    assert not outbox.is_full


@pytest.mark.parametrize("is_over", [True, False])
async def test_nobody_waits_for_room_that_has_no_use(is_over: bool) -> None:
    outbox = filled(1, max_chunks=1)
    waiting = asyncio.create_task(outbox.wait_for_room())
    await asyncio.sleep(0)
    if is_over:
        outbox.end()
    else:
        outbox.finish(is_flushed=True)
    await waiting


async def test_a_chunk_is_waited_for() -> None:
    outbox = Outbox(1)
    waiting = asyncio.create_task(anext(outbox))
    await asyncio.sleep(0)
    outbox.put("src", tone(16))
    node_id, _ = await waiting
    assert node_id == "src"


async def test_finishing_ends_the_wait_for_a_chunk() -> None:
    outbox = Outbox(1)
    waiting = asyncio.create_task(drained(outbox))
    await asyncio.sleep(0)
    outbox.finish(is_flushed=True)
    assert await waiting == []


async def test_cancelling_drops_and_counts() -> None:
    outbox = filled(3)
    outbox.finish(is_flushed=False)
    assert (await drained(outbox), outbox.dropped) == ([], 3)


def test_the_end_of_the_call_drops_and_counts() -> None:
    outbox = filled(3)
    outbox.drop_oldest()
    outbox.end()
    assert outbox.dropped == 3


@pytest.mark.parametrize("max_chunks", [0, -1])
def test_room_for_nothing(max_chunks: int) -> None:
    with pytest.raises(ValueError, match="max_buffered_chunks must be positive"):
        Outbox(max_chunks)
