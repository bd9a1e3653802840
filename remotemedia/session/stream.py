"""One bidirectional session over a call, from the client's end.

``PipelineStream`` pumps the session machine: every request is fed to it as it is
sent, and every response as it is read. What is sent comes from one of two sources:
an iterable of the caller's (``stream_pipeline``), or an outbox that ``send`` fills
(``open_stream``). Responses are read when somebody asks for one, so HTTP/2 flow
control reaches through to the caller.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

from remotemedia.errors import (
    RemoteMediaError,
    RemoteMediaTimeoutError,
    from_response,
)
from remotemedia.grpc.stub import (
    CallError,
    ResponseStream,
    deadline_after,
    retry_delays,
)
from remotemedia.http2.timeouts import bounded
from remotemedia.operation import Operation
from remotemedia.session.machine import Event, Session, State
from remotemedia.session.outbox import Outbox
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ChunkResult,
    ErrorType,
    StreamClosed,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamMetrics,
    StreamReady,
    StreamRequest,
    StreamResponse,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.grpc.stub import MetadataLike
    from remotemedia.v1 import StreamingPipelineServiceStub

AudioChunkLike: TypeAlias = "tuple[str, AudioBuffer] | tuple[str, AudioBuffer, int]"
"""A node's id and audio for it, and optionally the chunk's sequence number."""

AudioChunkSource: TypeAlias = "AsyncIterable[AudioChunkLike] | Iterable[AudioChunkLike]"

# How long a service may take to end a call after it said that it would.
_GOODBYE_S = 1.0


class PipelineStream:
    """A live session: send audio in, iterate over what comes back.

    From ``RemoteMediaClient.open_stream``, as a context manager and an asynchronous
    iterator of ``ChunkResult``, in the order of the chunks::

        async with client.open_stream(manifest) as stream:
            await stream.send("src", buffer)
            async for chunk in stream:
                ...

    Iterate while sending, in another task where the source is live: what is not
    read holds the service up, and in time ``send`` too. Waiting for a result may be
    cancelled and repeated; none is lost. Leaving the context ends the session at
    once: the service sees the call reset, unless it was over.

    Attributes:
        ready: what the service said as the session opened.
        metrics: the latest metrics; None before the tenth chunk.
        closed: the service's last word; None before it came.
        chunks_acknowledged: how many chunks have had their result read.
        round_trip_ms: from handing the latest acknowledged chunk to the connection
            to reading its result; None before the first.
    """

    def __init__(
        self,
        stub: StreamingPipelineServiceStub,
        init: StreamInit,
        *,
        operation: Operation,
        open_timeout: float | None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        source: AudioChunkSource | None = None,
        max_buffered_chunks: int = 16,
    ) -> None:
        self.ready: StreamReady | None = None
        self.metrics: StreamMetrics | None = None
        self.closed: StreamClosed | None = None
        self.chunks_acknowledged: int = 0
        self.round_trip_ms: float | None = None
        self._stub = stub
        self._init = init
        self._operation = operation
        self._open_timeout = open_timeout
        self._deadline = deadline_after(timeout)
        self._metadata = metadata
        self._callers_source = source
        self._max_buffered_chunks = max_buffered_chunks
        self._command = StreamControlCommand.COMMAND_CLOSE
        self._sent_ms: dict[str, float] = {}
        self._sent_at: deque[float] = deque()
        self._unread: deque[ChunkResult] = deque()
        self._reading = asyncio.Lock()
        self._failure: BaseException | None = None
        self._begin()

    def _begin(self) -> None:
        self._session = Session()
        self._outbox = Outbox(self._max_buffered_chunks)
        self._is_open = asyncio.Event()
        self._is_over = False
        self._responses: ResponseStream[StreamResponse] = self._stub.stream_pipeline(
            self._requests(), deadline=self._deadline, metadata=self._metadata
        )

    @property
    def chunks_sent(self) -> int:
        """How many chunks were handed to the connection."""
        return self._session.chunks

    @property
    def chunks_dropped(self) -> int:
        """How many chunks never left, for want of room or because of ``cancel``."""
        return self._outbox.dropped

    async def __aenter__(self) -> Self:
        """Open the session, and wait until the service is ready.

        Raises:
            RemoteMediaError: the service refused, or could not be reached.
            RemoteMediaTimeoutError: it did not answer in time.
        """
        try:
            with self._operation:
                try:
                    await bounded(self._open(), self._open_timeout)
                except asyncio.TimeoutError:
                    raise RemoteMediaTimeoutError(
                        f"the session was not open within {self._open_timeout:g} s",
                        retryable=True,
                    ) from None
        except BaseException:
            await self._responses.aclose()
            raise
        self._is_open.set()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.closed is not None and exc is None:
            # The service said goodbye, and is about to end the call by itself.
            with suppress(CallError, asyncio.TimeoutError):
                await bounded(self._responses.read(), _GOODBYE_S)
        await self._responses.aclose()

    async def send(self, node_id: str, buffer: AudioBuffer) -> None:
        """Send a chunk of audio to a node; wait while the service is behind.

        Args:
            node_id: id of the node in the manifest.
            buffer: the audio.

        Raises:
            ValueError: the buffer is not valid; nothing was sent.
            RemoteMediaError: the session takes no more chunks, or it failed.
        """
        with self._operation:
            _check(node_id, buffer)
            await self._outbox.wait_for_room()
            self._check_is_open()
            if self._outbox.is_over:
                # Why is what the service said last.
                await self._read_to_the_end()
            self._check_takes_chunks()
            self._outbox.put(node_id, buffer)

    def try_send(
        self,
        node_id: str,
        buffer: AudioBuffer,
        *,
        when_full: Literal["raise", "drop_oldest"] = "raise",
    ) -> None:
        """Send a chunk without waiting, as a live source must.

        Args:
            node_id: id of the node in the manifest.
            buffer: the audio.
            when_full: what to do where the service is so far behind that
                ``max_buffered_chunks`` wait already. ``"drop_oldest"`` drops the
                chunk that has waited longest, and counts it in ``chunks_dropped``.

        Raises:
            ValueError: the buffer is not valid; nothing was sent.
            RemoteMediaError: RESOURCE_LIMIT, if there is no room; or the session
                takes no more chunks, or is over: iterating tells why.
        """
        with self._operation:
            _check(node_id, buffer)
            self._check_takes_chunks()
            if self._outbox.is_full:
                if when_full == "raise":
                    raise RemoteMediaError(
                        "the service is behind: as many chunks wait to be sent as may "
                        "(max_buffered_chunks)",
                        error_type=ErrorType.RESOURCE_LIMIT,
                        retryable=True,
                    )
                self._outbox.drop_oldest()
            self._outbox.put(node_id, buffer)

    async def close(self) -> StreamClosed | None:
        """Say that no more audio comes, and wait until all of it is processed.

        Results that nobody reads meanwhile are kept: iterate on for them.

        Returns:
            The final metrics, and why the session ended; None where the service
            ended the call without saying.

        Raises:
            RemoteMediaError: the session was closed or cancelled before, or failed.
            RemoteMediaTimeoutError: the service took longer than the client's
                timeout.
        """
        return await self._finish(StreamControlCommand.COMMAND_CLOSE)

    async def cancel(self) -> StreamClosed | None:
        """Tell the service to stop now, and to drop what it did not process.

        What was not sent yet is dropped, and counted in ``chunks_dropped``. Returns
        and raises as ``close`` does.
        """
        return await self._finish(StreamControlCommand.COMMAND_CANCEL)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChunkResult:
        """The next result.

        Raises:
            StopAsyncIteration: the session is over.
            RemoteMediaError: the session failed. What came before was delivered.
        """
        with self._operation:
            async with self._reading:
                while not self._unread:
                    if self._is_over:
                        if self._failure is not None:
                            raise self._failure
                        raise StopAsyncIteration
                    await self._receive()
                return self._unread.popleft()

    async def _open(self) -> None:
        delays = retry_delays()
        while True:
            try:
                await self._receive()
                break
            except CallError as error:
                # Only the init was sent, and the service did not take the call.
                delay = next(delays, math.inf)
                left = math.inf
                if self._deadline is not None:
                    left = self._deadline.time_remaining()
                if not error.is_refused or not 2 * delay < left:
                    raise
            await self._responses.aclose()
            await asyncio.sleep(delay)
            self._failure = None
            self._begin()
        if self.ready is None:
            raise RemoteMediaError(
                "the service ended the call before the session was open"
            )

    async def _finish(self, command: StreamControlCommand) -> StreamClosed | None:
        with self._operation:
            self._check_is_open()
            self._command = command
            self._outbox.finish(
                is_flushed=command is StreamControlCommand.COMMAND_CLOSE
            )
            try:
                await bounded(self._read_to_the_end(), self._open_timeout)
            except asyncio.TimeoutError:
                raise RemoteMediaTimeoutError(
                    f"the session was not closed within {self._open_timeout:g} s"
                ) from None
            return self.closed

    def _check_is_open(self) -> None:
        if self._outbox.is_finished:
            raise RemoteMediaError(
                "the stream was closed or cancelled, and takes nothing more",
                error_type=ErrorType.VALIDATION,
            )
        if self.ready is None:
            raise RemoteMediaError(
                "the stream is not open: use it as `async with client.open_stream(…)`",
                error_type=ErrorType.VALIDATION,
            )

    def _check_takes_chunks(self) -> None:
        self._check_is_open()
        if self._failure is not None:
            raise self._failure
        if self._outbox.is_over:
            reason = self.closed.reason if self.closed else ""
            raise RemoteMediaError("the session is over" + (reason and f": {reason}"))

    async def _read_to_the_end(self) -> None:
        """Read what comes until the session is over; results are kept."""
        while not self._is_over:
            async with self._reading:
                if not self._is_over:
                    await self._receive()
        if self._failure is not None:
            raise self._failure

    async def _receive(self) -> None:
        """Read the next response, and note what it says."""
        try:
            response = await self._responses.read()
            if response is None:
                self._is_over = True
                return
            event = self._session.response(response)
            if event is Event.ERROR:
                raise from_response(response.error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = error
            self._is_over = True
            self._responses.stop()
            self._outbox.end()
            raise
        if event is Event.RESULT:
            self._note(response.result)
        elif event is Event.READY:
            self.ready = response.ready
        elif event is Event.METRICS:
            self.metrics = response.metrics
        elif event is Event.CLOSED:
            self.closed = response.closed
            self._is_over = True
            self._outbox.end()

    def _note(self, result: ChunkResult) -> None:
        # A service may pass chunks over.
        oldest = self._session.chunks - len(self._sent_at)
        for _ in range(result.sequence - oldest):
            self._sent_at.popleft()
        self.round_trip_ms = (time.monotonic() - self._sent_at.popleft()) * 1000
        self.chunks_acknowledged += 1
        self._unread.append(result)

    async def _requests(self) -> AsyncGenerator[StreamRequest, None]:
        """What the call sends, in order."""
        try:
            self._session.client_sends(Event.INIT)
            yield StreamRequest(init=self._init)
            # The caller's audio stays untouched until the service is ready.
            await self._is_open.wait()
            async with aclosing(self._source_chunks()) as chunks:
                async for chunk in chunks:
                    # The service may have ended the session meanwhile.
                    if self._session.state is not State.OPEN:
                        return
                    yield self._chunk(chunk)
            if self._session.state is State.OPEN:
                end = StreamRequest(control=StreamControl(command=self._command))
                self._session.request(end)
                yield end
        finally:
            self._outbox.end()

    async def _source_chunks(self) -> AsyncGenerator[AudioChunkLike, None]:
        """Iterate over a source of either kind, and close it at the end."""
        source = self._outbox if self._callers_source is None else self._callers_source
        try:
            if isinstance(source, AsyncIterable):
                chunks = source.__aiter__()
                try:
                    async for chunk in chunks:
                        yield chunk
                finally:
                    if isinstance(chunks, AsyncGenerator):
                        await chunks.aclose()
            else:
                plain = iter(source)
                try:
                    for chunk in plain:
                        yield chunk
                finally:
                    if isinstance(plain, Generator):
                        plain.close()
        except BaseException as error:
            self._operation.callers_error = error
            raise

    def _chunk(self, chunk: AudioChunkLike) -> StreamRequest:
        number = self._session.chunks
        if self._callers_source is not None:
            if not isinstance(chunk, tuple) or len(chunk) not in (2, 3):
                raise TypeError(
                    "audio_chunks must yield (node_id, buffer) or (node_id, buffer, "
                    f"sequence), got {chunk!r:.80}"
                )
            _check(chunk[0], chunk[1], f"chunk {number} ")
        node_id, buffer = chunk[:2]
        if len(chunk) == 3:
            number = chunk[2]
        self._session.client_sends(Event.CHUNK, number)
        start_ms = self._sent_ms.get(node_id, 0.0)
        self._sent_ms[node_id] = start_ms + buffer.duration * 1000
        self._sent_at.append(time.monotonic())
        return StreamRequest(
            audio_chunk=AudioChunk(
                node_id=node_id,
                buffer=buffer,
                sequence=number,
                timestamp_ms=int(start_ms),
            )
        )


def _check(node_id: str, buffer: AudioBuffer, number: str = "the chunk ") -> None:
    if not isinstance(buffer, AudioBuffer):
        raise TypeError(
            f"{number}for node {node_id!r} is {type(buffer).__name__}, not an "
            "AudioBuffer: AudioBuffer.from_numpy makes one of an array"
        )
    try:
        buffer.validate()
    except ValueError as error:
        raise ValueError(f"{number}for node {node_id!r}: {error}") from None
