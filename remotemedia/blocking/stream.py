"""Streams without asyncio: sessions with methods, and responses as iterators."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from remotemedia.blocking.derive import Blocking, waits_for
from remotemedia.blocking.loop import begin, end, wait_for
from remotemedia.grpc import Metadata
from remotemedia.session import ChunkResults as AsyncResults
from remotemedia.session import ChunkT_co
from remotemedia.session import PipelineStream as AsyncStream
from remotemedia.v1 import StreamClosed, StreamMetrics, StreamReady

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.values import Value

T_co = TypeVar("T_co", covariant=True)

READ_AHEAD = 16
"""How many responses are read before somebody asks for them."""


class PipelineStream(
    Blocking[AsyncStream[ChunkT_co]], Iterator[ChunkT_co], Generic[ChunkT_co]
):
    """A live session: send audio, iterate over what comes back.

    ::

        with client.open_stream(manifest) as stream:
            stream.send("src", buffer)
            stream.half_close()
            for chunk in stream:
                ...

    Iterate while you send, in another thread if the source is live. If nobody reads
    the results, the service has to wait, and after a while ``send`` does too.
    """

    def __enter__(self) -> Self:
        wait_for(self._asynchronous.__aenter__())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        wait_for(self._asynchronous.__aexit__(exc_type, exc, traceback))

    def __next__(self) -> ChunkT_co:
        try:
            return wait_for(self._asynchronous.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    @waits_for(AsyncStream.send)
    def send(self) -> None:
        """Send a chunk to a node; wait while the service is behind."""

    def try_send(
        self,
        node_id: str,
        value: Value,
        *,
        when_full: Literal["raise", "drop_oldest"] = "raise",
    ) -> None:
        """Send a chunk without waiting, as a live source must.

        The arguments and the errors are those of
        ``remotemedia.PipelineStream.try_send``.
        """
        self._asynchronous.try_send(node_id, value, when_full=when_full)

    @waits_for(AsyncStream.half_close)
    def half_close(self) -> None:
        """Say that no more audio comes, without waiting for what is processed."""

    @waits_for(AsyncStream.close)
    def close(self) -> None:
        """Say that no more audio comes, and wait until all of it is processed."""

    @waits_for(AsyncStream.cancel)
    def cancel(self) -> None:
        """Tell the service to stop now, and to drop what it did not process."""

    @property
    def ready(self) -> StreamReady | None:
        """What the service said when the session opened."""
        return self._asynchronous.ready

    @property
    def metrics(self) -> StreamMetrics | None:
        """The latest metrics; None until the service reports them."""
        return self._asynchronous.metrics

    @property
    def closed(self) -> StreamClosed | None:
        """The service's ``closed`` message; None before it arrived."""
        return self._asynchronous.closed

    @property
    def loading(self) -> Sequence[str]:
        """What the service has said of loading the pipeline, the latest last."""
        return self._asynchronous.loading

    @property
    def request_id(self) -> str:
        """The id of the call, which the service received as ``x-request-id``."""
        return self._asynchronous.request_id

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty before the session is open."""
        return self._asynchronous.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers, which end the call; empty before that."""
        return self._asynchronous.trailers

    @property
    def chunks_sent(self) -> int:
        """How many chunks were handed to the connection."""
        return self._asynchronous.chunks_sent

    @property
    def chunks_dropped(self) -> int:
        """How many chunks never left, for want of room or because of the end."""
        return self._asynchronous.chunks_dropped

    @property
    def chunks_acknowledged(self) -> int:
        """How many chunks have had their result read."""
        return self._asynchronous.chunks_acknowledged

    @property
    def round_trip_ms(self) -> float | None:
        """From handing over the latest acknowledged chunk to reading its result."""
        return self._asynchronous.round_trip_ms


class AsyncResponses(Protocol[T_co]):
    """What is asked of an asynchronous iteration over the responses of a call."""

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers."""
        ...

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers."""
        ...

    def __aiter__(self) -> AsyncIterator[T_co]: ...

    async def aclose(self) -> None:
        """End the call."""
        ...


class Responses(Blocking[AsyncResponses[T_co]], Iterator[T_co], Generic[T_co]):
    """The responses of a call, in order.

    The call begins when the first response is asked for, and up to 16 are read before
    they are asked for. It ends with the iteration; with ``close()``; when the last
    reference to this object is dropped, as ``break`` does with a loop over the call
    itself; and when its context is left.
    """

    def __init__(self, asynchronous: AsyncResponses[T_co]) -> None:
        super().__init__(asynchronous)
        self._reader = _Reader(asynchronous)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived yet."""
        return self._asynchronous.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers, which end the call; empty before that."""
        return self._asynchronous.trailers

    def __next__(self) -> T_co:
        """The next response.

        Raises:
            StopIteration: the call is over.
            RemoteMediaError: the call failed, after what came before was delivered.
            BaseException: what an iterable of requests raised, unchanged.
        """
        try:
            return self._reader.take()
        except BaseException:
            # Interrupted, as by Ctrl-C, or over.
            self._reader.stop()
            raise

    def close(self) -> None:
        """End the call at once, and close its iterable if that is a generator."""
        wait_for(self._reader.close())

    def __del__(self) -> None:
        self._reader.stop()


class ChunkResults(Responses[ChunkT_co], Generic[ChunkT_co]):
    """The results of a session, in order; it opens when the first is asked for."""

    _asynchronous: AsyncResults[ChunkT_co]

    @property
    def request_id(self) -> str:
        """The id of the call, which the service received as ``x-request-id``."""
        return self._asynchronous.request_id


class _Reader(Generic[T_co]):
    """Reads responses on the background loop, a few ahead of whoever takes them.

    It does not refer to the object that users have, so that dropping that ends it.
    """

    def __init__(self, responses: AsyncResponses[T_co]) -> None:
        self._responses = responses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(READ_AHEAD)
        self._taken = 0
        # A response, or why there are no more; None at the normal end.
        self._read: queue.SimpleQueue[T_co | BaseException | None]
        self._read = queue.SimpleQueue()

    def take(self) -> T_co:
        if self._loop is None:
            wait_for(self._start())
        found = self._read.get()
        if found is None or isinstance(found, BaseException):
            # It is the end for everybody who asks.
            self._read.put(found)
            raise StopIteration if found is None else found
        self._taken += 1
        if self._taken % (READ_AHEAD // 2) == 0:
            self._tell(self._make_room)
        return found

    def stop(self) -> None:
        """End the call, without waiting."""
        if self._task is not None and not self._task.done():
            self._tell(partial(end, self._task))

    async def close(self) -> None:
        """End the call, and wait until it is over."""
        if self._task is not None:
            end(self._task)
            await asyncio.wait({self._task})
        await self._responses.aclose()
        # Nobody gets what was read ahead any more.
        with suppress(queue.Empty):
            while True:
                self._read.get_nowait()
        self._read.put(None)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = begin(self._read_ahead())

    async def _read_ahead(self) -> None:
        failure: BaseException | None = None
        try:
            async for response in self._responses:
                self._read.put(response)
                await self._room.acquire()
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by whoever takes it
            failure = error
        await self._responses.aclose()
        self._read.put(failure)

    def _make_room(self) -> None:
        for _ in range(READ_AHEAD // 2):
            self._room.release()

    def _tell(self, callback: Callable[[], object]) -> None:
        # The loop may be closed, as at the interpreter's exit: then all is over.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)
