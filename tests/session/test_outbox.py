"""The outbox: bounded by count and bytes, and every chunk accounted for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from remotemedia.session.messages import Payload
from remotemedia.session.outbox import Outbox


def chunk(size_bytes: int = 32) -> Payload:
    return object(), size_bytes, None


def empty(max_chunks: int = 16) -> Outbox:
    return Outbox(max_chunks)


def filled(count: int, max_chunks: int = 16) -> Outbox:
    outbox = empty(max_chunks)
    for number in range(count):
        outbox.put(str(number), chunk())
    return outbox


def drained(outbox: Outbox) -> list[str]:
    return [outbox.take()[0] for _ in range(len(outbox))]


async def test_first_in_first_out() -> None:
    outbox = filled(5)
    assert drained(outbox) == ["0", "1", "2", "3", "4"]
    assert outbox.dropped == 0


async def test_it_is_full_by_count() -> None:
    assert not filled(2, max_chunks=3).is_full
    assert filled(3, max_chunks=3).is_full
    assert not filled(0, max_chunks=1).is_full


async def test_it_is_full_by_bytes() -> None:
    outbox = empty(100)
    mebibyte = chunk(1024 * 1024)
    for _ in range(7):
        outbox.put("src", mebibyte)
    assert not outbox.is_full
    outbox.put("src", mebibyte)
    assert outbox.is_full
    assert not outbox.put("src", mebibyte)
    outbox.take()
    assert not outbox.is_full
    outbox = empty(100)
    outbox.put("src", chunk(8 * 1024 * 1024 - 1))
    assert not outbox.is_full
    outbox.put("src", chunk(1))
    assert outbox.is_full


@pytest.mark.parametrize("change", ["put", "take", "close", "wake"])
async def test_whoever_waits_is_woken_by_every_change(change: str) -> None:
    outbox = filled(1)
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    if change == "put":
        outbox.put("src", chunk())
    elif change == "take":
        outbox.take()
    elif change == "close":
        outbox.close()
    else:
        outbox.wake()
    await waiting


async def test_a_change_before_the_wait_does_not_end_it() -> None:
    outbox = filled(1)
    outbox.wake()
    waiting = asyncio.create_task(outbox.wait())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    outbox.wake()
    await waiting


async def test_without_room_nothing_is_taken_in_or_the_oldest_is_dropped() -> None:
    outbox = filled(2, max_chunks=2)
    assert not outbox.put("2", chunk())
    assert (len(outbox), outbox.dropped) == (2, 0)
    assert outbox.put("2", chunk(), drop_oldest=True)
    assert (len(outbox), outbox.dropped) == (2, 1)
    assert drained(outbox) == ["1", "2"]


async def test_what_is_closed_takes_nothing() -> None:
    outbox = filled(1)
    outbox.close()
    assert not outbox.put("1", chunk())
    assert not outbox.put("1", chunk(), drop_oldest=True)
    assert (len(outbox), outbox.dropped) == (0, 1)


async def test_with_room_nothing_is_dropped() -> None:
    outbox = filled(1, max_chunks=2)
    assert outbox.put("1", chunk(), drop_oldest=True)
    assert (len(outbox), outbox.dropped) == (2, 0)


async def test_what_is_dropped_is_counted() -> None:
    outbox = filled(3)
    outbox.close()
    assert (len(outbox), outbox.dropped) == (0, 3)


async def test_chunks_come_from_any_thread() -> None:
    outbox = empty(1000)

    def produce() -> None:
        for _ in range(100):
            outbox.put("src", chunk())

    threads = [threading.Thread(target=produce) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = 0
    while taken < 400:
        while not len(outbox):
            await asyncio.wait_for(outbox.wait(), 5)
        outbox.take()
        taken += 1
    for thread in threads:
        thread.join()
    assert not outbox.is_full


def test_a_loop_that_is_closed_takes_nothing() -> None:
    async def make() -> Outbox:
        return empty()

    outbox = asyncio.run(make())
    raised: list[BaseException] = []

    def produce() -> None:
        try:
            outbox.put("src", chunk())
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=produce)
    thread.start()
    thread.join()
    assert len(raised) == 1


@pytest.mark.parametrize("max_chunks", [0, -1])
async def test_room_for_nothing(max_chunks: int) -> None:
    with pytest.raises(ValueError, match="max_buffered_chunks must be positive"):
        Outbox(max_chunks)
