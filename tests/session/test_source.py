"""The caller's iterable: every kind, what it raises, stopping and closing it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from remotemedia import AudioBuffer
from remotemedia.session.source import ChunkLike, ChunkSource, Source
from tests.support.pipelines import tone

CHUNKS: list[ChunkLike] = [("src", tone(16)), ("src", tone(16), 1)]


async def asynchronous() -> AsyncIterator[ChunkLike]:
    for chunk in CHUNKS:
        yield chunk


def plain() -> Iterator[ChunkLike]:
    yield from CHUNKS


async def drained(source: Source) -> list[ChunkLike]:
    found = []
    with suppress(StopAsyncIteration):
        while True:
            found.append(await source.next())
    return found


@pytest.mark.parametrize("make", [asynchronous, plain, lambda: CHUNKS, list])
async def test_every_kind_of_iterable(make: object) -> None:
    chunks: ChunkSource = make()  # type: ignore[operator]  # each is callable
    expected = CHUNKS if chunks else []
    source = Source(chunks)
    assert await drained(source) == expected
    with pytest.raises(StopAsyncIteration):
        await source.next()
    await source.close()


@pytest.mark.parametrize("wrong", [5, None, tone(16)])
def test_what_is_not_iterable(wrong: object) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}$"):
        Source(wrong)  # type: ignore[arg-type]  # the mistake


def test_a_generator_function_that_was_not_called() -> None:
    with pytest.raises(TypeError, match="not function: call the function first"):
        Source(asynchronous)  # type: ignore[arg-type]  # the mistake


async def test_nothing_is_touched_before_the_first_chunk() -> None:
    class Untouched:
        def __aiter__(self) -> AsyncIterator[ChunkLike]:
            raise AssertionError("it was touched")

    await Source(Untouched()).close()


async def test_what_the_iterable_raises_is_raised() -> None:
    async def broken() -> AsyncIterator[ChunkLike]:
        raise LookupError("theirs")
        yield "src", AudioBuffer()

    with pytest.raises(LookupError, match="theirs"):
        await Source(broken()).next()


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_generator_that_was_begun_is_closed(is_async: bool) -> None:
    closed = []

    async def endless() -> AsyncIterator[ChunkLike]:
        try:
            while True:
                yield CHUNKS[0]
        finally:
            closed.append("async")

    def endless_plain() -> Iterator[ChunkLike]:
        assert threading.current_thread().name == "remotemedia-source"
        try:
            while True:
                yield CHUNKS[0]
        finally:
            closed.append("plain")

    source = Source(endless() if is_async else endless_plain())
    await source.next()
    await source.close()
    assert closed == ["async" if is_async else "plain"]
    with pytest.raises(StopAsyncIteration):
        await source.next()


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_generator_raises_as_it_is_closed(is_async: bool) -> None:
    async def broken() -> AsyncIterator[ChunkLike]:
        try:
            yield CHUNKS[0]
        finally:
            raise OSError("the device is gone")

    def broken_plain() -> Iterator[ChunkLike]:
        try:
            yield CHUNKS[0]
        finally:
            raise OSError("the device is gone")

    source = Source(broken() if is_async else broken_plain())
    await source.next()
    with pytest.raises(OSError, match="the device is gone"):
        await source.close()


class Waiting:
    """Waits for ever, and keeps what ended that."""

    def __init__(self) -> None:
        self.ended_by: type[BaseException] | None = None

    async def __call__(self) -> AsyncIterator[ChunkLike]:
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            self.ended_by = type(error)
            raise
        yield CHUNKS[0]


async def test_stopping_wakes_whoever_waits() -> None:
    waiting = Waiting()
    source = Source(waiting())

    async def read() -> int:
        with pytest.raises(StopAsyncIteration):
            await source.next()
        task = asyncio.current_task()
        # New in Python 3.11: a count that would make later time-outs fail.
        return int(getattr(task, "cancelling", lambda: 0)())

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    source.stop()
    assert await task == 0
    assert waiting.ended_by is asyncio.CancelledError


async def test_a_cancellation_from_elsewhere_is_one() -> None:
    waiting = Waiting()
    task = asyncio.create_task(Source(waiting()).next())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_stopping_while_nobody_waits() -> None:
    source = Source(plain())
    await source.next()
    source.stop()
    with pytest.raises(StopAsyncIteration):
        await source.next()
