"""The caller's iterable, as the source of what a session or a call sends.

An asynchronous iterable is awaited in the session's own task. A plain one may block,
as a microphone's ``read`` or a file on a network does, so it is iterated in a thread of
its own, one item at a time: the next item is asked for when the last one was sent.
(A list or a tuple cannot block, and needs no thread.)
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import suppress
from contextvars import copy_context
from typing import Generic, TypeAlias, TypeVar

from remotemedia.grpc import WaitTimeoutError, wait_at_most
from remotemedia.values import Value

ChunkLike: TypeAlias = "tuple[str, Value] | tuple[str, Value, int]"
"""A node's id, audio or another value for it, and optionally the chunk's sequence
number."""

ChunkSource: TypeAlias = "AsyncIterable[ChunkLike] | Iterable[ChunkLike]"
"""An asynchronous or plain iterable of chunks."""

T = TypeVar("T")

_Answer: TypeAlias = "asyncio.Future[tuple[tuple[T] | None, BaseException | None]]"
"""A future of an item, in a tuple, or of what the iterable raised; neither at its end.

An exception is a value here, since a future could not hold a ``GeneratorExit``."""

# How long a plain iterable may take to return from the item that it is at.
_CLOSE_GRACE_S = 1.0


class Source:
    """An iterable of chunks, of either kind. ``next`` is the first to touch it.

    Args:
        chunks: the caller's iterable.

    Raises:
        TypeError: it is not iterable.
    """

    def __init__(self, chunks: ChunkSource) -> None:
        if not isinstance(chunks, (AsyncIterable, Iterable)):
            raise TypeError(
                "audio_chunks must be an asynchronous or plain iterable of (node_id, "
                f"buffer), not {type(chunks).__name__}"
                + (": call the function first" if callable(chunks) else "")
            )
        self._chunks = chunks
        self._iterator: AsyncIterator[ChunkLike] | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_waiting = False
        self._is_stopped = False

    async def next(self) -> ChunkLike:
        """The next chunk. The same task asks for all of them.

        Raises:
            StopAsyncIteration: there is none, or ``stop`` was called.
            BaseException: what the iterable raised.
        """
        if self._is_stopped:
            raise StopAsyncIteration
        self._is_waiting = True
        try:
            if self._iterator is None:
                self._task = asyncio.current_task()
                self._iterator = _async_iterator(self._chunks)
            return await self._iterator.__anext__()
        except asyncio.CancelledError:
            if not self._is_stopped:
                raise
            _forget_cancellation(self._task)
            raise StopAsyncIteration from None
        finally:
            self._is_waiting = False

    def stop(self) -> None:
        """Take no more chunks: whoever waits for one is woken."""
        self._is_stopped = True
        if self._is_waiting and self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Close the iterable, if it is a generator that was begun."""
        self._is_stopped = True
        if isinstance(self._iterator, (AsyncGenerator, ThreadIterator)):
            await self._iterator.aclose()


def _async_iterator(items: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        return items.__aiter__()
    if isinstance(items, (list, tuple)):
        return _iterate(items)
    return ThreadIterator(items)


async def _iterate(items: Iterable[T]) -> AsyncGenerator[T, None]:
    for item in items:
        yield item


class ThreadIterator(AsyncIterator[T], Generic[T]):
    """Iterates over a plain iterable in a thread of its own, when it is asked to."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._loop = asyncio.get_running_loop()
        # Whoever asks for an item; None to say that nobody will.
        self._asking: queue.SimpleQueue[_Answer[T] | None] = queue.SimpleQueue()
        self._is_closed = asyncio.Event()
        self._close_error: BaseException | None = None
        # A daemon: an iterable that blocks for ever does not hold up the exit.
        threading.Thread(
            target=copy_context().run,
            args=(self._run,),
            name="remotemedia-source",
            daemon=True,
        ).start()

    async def __anext__(self) -> T:
        answer: _Answer[T] = self._loop.create_future()
        self._asking.put(answer)
        item, error = await answer
        if isinstance(error, StopAsyncIteration):
            raise RuntimeError("the iterable raised StopAsyncIteration") from error
        if error is not None:
            raise error
        if item is None:
            raise StopAsyncIteration
        return item[0]

    async def aclose(self) -> None:
        """Close the iterable if it is a generator, after the item that it is at."""
        self._asking.put(None)
        with suppress(WaitTimeoutError):
            await wait_at_most(_CLOSE_GRACE_S, self._is_closed.wait())
        if self._close_error is not None:
            raise self._close_error

    def _run(self) -> None:
        iterator: Iterator[T] | None = None
        while (answer := self._asking.get()) is not None:
            item: tuple[T] | None = None
            error: BaseException | None = None
            try:
                if iterator is None:
                    iterator = iter(self._items)
                item = (next(iterator),)
            except StopIteration:
                pass
            except BaseException as raised:  # noqa: BLE001 - raised by the reader
                error = raised
            self._tell(_answer, answer, item, error)
        try:
            if isinstance(iterator, Generator):
                iterator.close()
        except BaseException as raised:  # noqa: BLE001 - raised by aclose
            self._close_error = raised
        finally:
            self._tell(self._is_closed.set)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        # The loop may be closed: then nobody waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)


def _answer(
    answer: _Answer[T], item: tuple[T] | None, error: BaseException | None
) -> None:
    # Otherwise whoever asked was cancelled.
    if not answer.done():
        answer.set_result((item, error))


def _forget_cancellation(task: asyncio.Task[object] | None) -> None:
    # From Python 3.11 on, a task counts the requests to cancel it.
    uncancel = getattr(task, "uncancel", None)
    if uncancel is not None:
        uncancel()
