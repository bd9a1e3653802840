"""Calls over generated stubs, without the facade, and answers for scripted peers.

`VERSION`, `READY` and `METRICS` are encoded responses that a peer can send.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

import h2.events
import pytest

from remotemedia.grpc import Caller, CallError, ServiceStub
from remotemedia.http2 import Address, Channel
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamMetrics,
    StreamReady,
    StreamRequest,
    StreamResponse,
    VersionRequest,
    VersionResponse,
)
from tests.support.peers import Script, h2_peer

VERSION = bytes(VersionResponse(compatible=True))
READY = bytes(StreamResponse(ready=StreamReady(session_id="s")))
METRICS = bytes(StreamResponse(metrics=StreamMetrics(chunks_processed=7)))

StubT = TypeVar("StubT", bound=ServiceStub)


@asynccontextmanager
async def stub(
    cls: type[StubT], port: int, *, timeout: float = 5.0, **options: Any
) -> AsyncIterator[StubT]:
    """A generated stub on a channel of its own to a port of this machine."""
    channel = Channel(Address(host="127.0.0.1", port=port))
    try:
        yield cls(channel, timeout=timeout, **options)
    finally:
        channel.close()
        await asyncio.sleep(0)


def channel_of(service: ServiceStub) -> Channel:
    """The channel that a stub was made with."""
    caller = service._caller
    assert isinstance(caller, Caller)
    return caller._channel


async def unary(script: Script, **limits: int) -> VersionResponse:
    """Call GetVersion at a scripted peer."""
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, **limits) as service,
    ):
        return await service.get_version(VersionRequest())


async def failing(script: Script, **limits: int) -> CallError:
    """Call GetVersion at a scripted peer, which must fail, and return the error."""
    with pytest.raises(CallError) as caught:
        await unary(script, **limits)
    return caught.value


async def no_input() -> AsyncIterator[StreamRequest]:
    """Requests of a stream that stays open and sends nothing."""
    await asyncio.Event().wait()
    yield StreamRequest()


async def stream(
    script: Script, log: list[h2.events.Event] | None = None
) -> tuple[list[StreamResponse], CallError | None]:
    """Open a stream that sends nothing; return its responses and its error, if any."""
    received: list[StreamResponse] = []
    async with (
        h2_peer(script, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
        aclosing(service.stream_pipeline(no_input())) as responses,
    ):
        try:
            async for response in responses:
                received.append(response)  # noqa: PERF401 - kept if the stream fails
        except CallError as error:
            return received, error
    return received, None
