"""The embedded service's sessions: ``StreamingPipelineService``.

A session reads one request at a time and answers it before it reads the next. Chunks
that were not read yet fill the HTTP/2 flow-control window, which slows down a client
that sends too fast. ``remotemedia.session.machine`` checks every message, in both
directions.

When the client says that no more audio comes, by CLOSE or by ending its side of the
call, what the nodes held back is sent as one more result, with the sequence of the last
chunk. CANCEL drops it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from remotemedia.errors import RemoteMediaError
from remotemedia.session import Event, Session
from remotemedia.testing.execution import check_version
from remotemedia.testing.failures import invalid, to_stream_response
from remotemedia.testing.limits import in_force
from remotemedia.testing.node import NodeType
from remotemedia.testing.pipeline import Pipeline
from remotemedia.testing.transport import serialization
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ChunkResult,
    ResourceLimits,
    StreamClosed,
    StreamingPipelineServiceBase,
    StreamInit,
    StreamMetrics,
    StreamReady,
    StreamRequest,
    StreamResponse,
)

_RECOMMENDED_CHUNK_SAMPLES = 4096
_MAX_BUFFER_LATENCY_MS = 100
_CHUNKS_BETWEEN_METRICS = 10

_REASONS = {
    Event.CLOSE: "closed by the client",
    Event.CANCEL: "cancelled by the client",
}


class StreamingService(StreamingPipelineServiceBase):
    """Runs pipelines chunk by chunk."""

    def __init__(
        self,
        node_types: Mapping[str, NodeType],
        limits: ResourceLimits,
        idle_timeout: float,
    ) -> None:
        self._node_types = node_types
        self._limits = limits
        self._idle_timeout = idle_timeout

    async def stream_pipeline(
        self, requests: AsyncIterator[StreamRequest], /
    ) -> AsyncGenerator[StreamResponse, None]:
        """Serve one session; a failure is a message, and the call ends with OK."""
        rules = Session()
        async with aclosing(self._converse(requests, rules)) as responses:
            try:
                async for response in responses:
                    rules.response(response)
                    yield response
            except RemoteMediaError as error:
                failure = StreamResponse(error=to_stream_response(error))
                rules.response(failure)
                yield failure

    async def _converse(
        self, requests: AsyncIterator[StreamRequest], rules: Session
    ) -> AsyncGenerator[StreamResponse, None]:
        try:
            request = await self._next(requests)
        except asyncio.TimeoutError:
            raise invalid(f"no init came within {self._idle_timeout:g} s") from None
        if request is None:
            return
        rules.request(request)
        session = self._open(request.init)
        yield session.ready()
        while True:
            try:
                request = await self._next(requests)
            except asyncio.TimeoutError:
                yield session.closed(f"idle for {self._idle_timeout:g} s")
                return
            event = None if request is None else rules.request(request)
            if event in (None, Event.CLOSE) and rules.chunks:
                rest = await session.finish(rules.chunks - 1)
                if rest is not None:
                    yield rest
            if request is None or event is None:
                return
            if event is not Event.CHUNK:
                yield session.closed(_REASONS[event])
                return
            yield await session.process(request.audio_chunk)
            if rules.chunks % _CHUNKS_BETWEEN_METRICS == 0:
                yield session.metrics()

    async def _next(
        self, requests: AsyncIterator[StreamRequest]
    ) -> StreamRequest | None:
        """The next request, or None after the last."""
        return await asyncio.wait_for(anext(requests, None), self._idle_timeout)

    def _open(self, init: StreamInit) -> _LiveSession:
        if not init.client_version:
            raise invalid("init.client_version is empty; a stream must say it")
        check_version(init.client_version)
        return _LiveSession(
            Pipeline(
                init.manifest,
                init.data_inputs,
                in_force(init.resource_limits, self._limits),
                self._node_types,
            )
        )


class _LiveSession:
    """An open session: its pipeline, and the messages about it."""

    def __init__(self, pipeline: Pipeline) -> None:
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

    async def process(self, chunk: AudioChunk) -> StreamResponse:
        inputs = {chunk.node_id: chunk.buffer}
        result = await self._run(inputs, chunk.sequence, is_end=False)
        self._chunks += 1
        return StreamResponse(result=result)

    async def finish(self, sequence: int) -> StreamResponse | None:
        """What the nodes held back, if anything, as a result for the last chunk."""
        if not self._pipeline.has_last_calls:
            return None
        result = await self._run({}, sequence, is_end=True)
        has_audio = any(buffer.samples for buffer in result.audio_outputs.values())
        if has_audio or result.data_outputs:
            return StreamResponse(result=result)
        return None

    async def _run(
        self, inputs: Mapping[str, AudioBuffer], sequence: int, *, is_end: bool
    ) -> ChunkResult:
        pipeline = self._pipeline
        seconds_before = pipeline.seconds
        outputs = await pipeline.run(inputs, sequence, is_end=is_end)
        return ChunkResult(
            sequence=sequence,
            audio_outputs=outputs.audio,
            data_outputs=outputs.data,
            processing_time_ms=(pipeline.seconds - seconds_before) * 1000,
            total_samples_processed=pipeline.samples,
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
