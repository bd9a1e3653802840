"""The embedded service's sessions: a pipeline that runs chunk by chunk.

A session reads one request at a time and answers it before it reads the next. Chunks
that were not read yet fill the HTTP/2 flow-control window, which slows down a client
that sends too fast. ``remotemedia.session.machine`` checks every message, in both
directions. The messages themselves are the business of the front ends.

When the client says that no more audio comes, by CLOSE or by ending its side of the
call, what the nodes held back is sent as one more result, with the sequence of the last
chunk. CANCEL drops it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from remotemedia.errors import RemoteMediaError
from remotemedia.session import Event, Session
from remotemedia.testing.execution import Engine
from remotemedia.testing.failures import invalid
from remotemedia.testing.front import ChunkOutput, StreamFront
from remotemedia.testing.pipeline import NodeInput, Pipeline
from remotemedia.testing.transport import serialization
from remotemedia.v1 import StreamClosed, StreamMetrics, StreamReady, StreamResponse

DataT = TypeVar("DataT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_RECOMMENDED_CHUNK_SAMPLES = 4096
_MAX_BUFFER_LATENCY_MS = 100
_CHUNKS_BETWEEN_METRICS = 10

_REASONS = {
    Event.CLOSE: "closed by the client",
    Event.CANCEL: "cancelled by the client",
}


@dataclass(frozen=True)
class _Reply(Generic[ResponseT]):
    """A message to the client: what it is, and for a result the number of its chunk."""

    event: Event
    sequence: int
    message: ResponseT


async def converse(
    requests: AsyncIterator[RequestT],
    front: StreamFront[RequestT, ResponseT, DataT],
    engine: Engine[DataT],
    idle_timeout: float,
) -> AsyncGenerator[ResponseT, None]:
    """Serve one session; a failure is a message, and the call ends with OK."""
    rules = Session()
    conversation = _Conversation(requests, front, engine, idle_timeout, rules)
    async with aclosing(conversation.replies()) as replies:
        try:
            async for reply in replies:
                rules.server_sends(reply.event, reply.sequence)
                yield reply.message
        except RemoteMediaError as error:
            rules.server_sends(Event.ERROR)
            yield front.error(error)


class _Conversation(Generic[RequestT, ResponseT, DataT]):
    """The messages of one session, in both directions."""

    def __init__(
        self,
        requests: AsyncIterator[RequestT],
        front: StreamFront[RequestT, ResponseT, DataT],
        engine: Engine[DataT],
        idle_timeout: float,
        rules: Session,
    ) -> None:
        self._requests = requests
        self._front = front
        self._engine = engine
        self._idle_timeout = idle_timeout
        self._rules = rules

    async def replies(self) -> AsyncGenerator[_Reply[ResponseT], None]:
        """Answer each message of the client.

        Raises:
            RemoteMediaError: the session failed.
        """
        rules, front = self._rules, self._front
        try:
            request = await self._next()
        except asyncio.TimeoutError:
            raise invalid(f"no init came within {self._idle_timeout:g} s") from None
        if request is None:
            return
        rules.client_sends(*front.event(request))
        opening = front.opening(request)
        if not opening.client_version:
            raise invalid("init.client_version is empty; a stream must say it")
        session = _LiveSession(self._engine.pipeline(opening))
        for message in front.loading(opening.manifest):
            yield _Reply(Event.LOADING, 0, message)
        yield self._say(Event.READY, session.ready())
        while True:
            try:
                request = await self._next()
            except asyncio.TimeoutError:
                reason = f"idle for {self._idle_timeout:g} s"
                yield self._say(Event.CLOSED, session.closed(reason))
                return
            event = None
            if request is not None:
                event = rules.client_sends(*front.event(request))
            if event in (None, Event.CLOSE) and rules.chunks:
                rest = await session.finish(rules.chunks - 1)
                if rest is not None:
                    yield self._result(rest)
            if request is None or event is None:
                return
            if event is not Event.CHUNK:
                yield self._say(Event.CLOSED, session.closed(_REASONS[event]))
                return
            output = await session.process(front.chunk(request), rules.chunks - 1)
            yield self._result(output)
            if rules.chunks % _CHUNKS_BETWEEN_METRICS == 0:
                yield self._say(Event.METRICS, session.metrics())

    async def _next(self) -> RequestT | None:
        """The next request, or None after the last."""
        return await asyncio.wait_for(anext(self._requests, None), self._idle_timeout)

    def _say(self, event: Event, response: StreamResponse) -> _Reply[ResponseT]:
        return _Reply(event, 0, self._front.response(response))

    def _result(self, output: ChunkOutput[DataT]) -> _Reply[ResponseT]:
        return _Reply(Event.RESULT, output.sequence, self._front.result(output))


class _LiveSession(Generic[DataT]):
    """An open session: its pipeline, and the messages about it."""

    def __init__(self, pipeline: Pipeline[DataT]) -> None:
        self._id = uuid.uuid4().hex
        self._pipeline = pipeline
        self._chunks = 0

    def ready(self) -> StreamResponse:
        return StreamResponse(
            ready=StreamReady(
                session_id=self._id,
                recommended_chunk_size=_RECOMMENDED_CHUNK_SAMPLES,
                max_buffer_latency_ms=_MAX_BUFFER_LATENCY_MS,
            )
        )

    async def process(
        self, inputs: Mapping[str, NodeInput], sequence: int
    ) -> ChunkOutput[DataT]:
        output = await self._run(inputs, sequence, is_end=False)
        self._chunks += 1
        return output

    async def finish(self, sequence: int) -> ChunkOutput[DataT] | None:
        """What the nodes held back, if anything, as a result for the last chunk."""
        if not self._pipeline.has_last_calls:
            return None
        output = await self._run({}, sequence, is_end=True)
        has_audio = any(buffer.samples for buffer in output.outputs.audio.values())
        return output if has_audio or output.outputs.data else None

    async def _run(
        self, inputs: Mapping[str, NodeInput], sequence: int, *, is_end: bool
    ) -> ChunkOutput[DataT]:
        pipeline = self._pipeline
        seconds_before = pipeline.seconds
        outputs = await pipeline.run(inputs, sequence, is_end=is_end)
        return ChunkOutput(
            sequence,
            outputs,
            (pipeline.seconds - seconds_before) * 1000,
            pipeline.samples,
        )

    def metrics(self) -> StreamResponse:
        """The state of the session; no chunk is ever queued or dropped."""
        return StreamResponse(
            metrics=StreamMetrics(
                session_id=self._id,
                chunks_processed=self._chunks,
                average_latency_ms=self._pipeline.seconds * 1000 / self._chunks,
                total_samples=self._pipeline.samples,
                peak_memory_bytes=self._pipeline.memory.peak_bytes,
            )
        )

    def closed(self, reason: str) -> StreamResponse:
        return StreamResponse(
            closed=StreamClosed(
                session_id=self._id,
                final_metrics=self._pipeline.metrics(serialization.get().seconds),
                reason=reason,
            )
        )
