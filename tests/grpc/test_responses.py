"""The responses of a streaming call: a generator, and what is under it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import h2.events
import pytest

from remotemedia.grpc import CallError
from remotemedia.v1 import AudioChunk, StreamingPipelineServiceStub, StreamRequest
from tests.support.calls import METRICS, READY, no_input, stub
from tests.support.peers import Exchange, h2_peer
from tests.support.waiting import until


def two_and_silence(exchange: Exchange) -> None:
    exchange.headers()
    exchange.message(READY, METRICS)


def two(exchange: Exchange) -> None:
    two_and_silence(exchange)
    exchange.trailers()


async def test_reading_to_the_end() -> None:
    async with (
        h2_peer(two) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(no_input())
        assert not responses.is_over
        first = await responses.read()
        assert first is not None
        assert bytes(first) == READY
        await until(lambda: responses.is_over)
        # What arrived before the end is still there.
        assert await responses.read() is not None
        assert await responses.read() is None
        assert await responses.read() is None
        await responses.aclose()
        assert responses.is_over


@pytest.mark.parametrize("fails", [False, True])
async def test_iterating_to_the_end_closes_the_callers_iterable(fails: bool) -> None:
    def script(exchange: Exchange) -> None:
        two_and_silence(exchange)
        exchange.trailers(13 if fails else 0)

    async def source() -> AsyncIterator[StreamRequest]:
        try:
            yield StreamRequest(audio_chunk=AudioChunk())
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    closed: list[bool] = []
    found = []
    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(source())
        error: BaseException | None = None
        try:
            async for response in responses:
                found.append(bytes(response))  # noqa: PERF401 - kept on an error
        except CallError as raised:
            error = raised
        assert (error is not None) is fails
        assert closed == [True]
    assert found == [READY, METRICS]


async def test_a_read_can_be_cancelled_and_repeated() -> None:
    async with (
        h2_peer(two_and_silence) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(no_input())
        assert await responses.read() is not None
        assert await responses.read() is not None
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(responses.read(), 0.01)
        assert not responses.is_over
        await responses.aclose()


@pytest.mark.parametrize("how", ["aclose", "stop", "forgotten", "athrow"])
async def test_leaving_early_resets_the_call(how: str) -> None:
    log: list[h2.events.Event] = []
    async with (
        h2_peer(two_and_silence, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(no_input())
        await anext(responses)
        if how == "aclose":
            await responses.aclose()
        elif how == "stop":
            responses.stop()
            assert await responses.read() is None
        elif how == "athrow":
            with pytest.raises(LookupError):
                await responses.athrow(LookupError)
            with pytest.raises(StopAsyncIteration):
                await responses.asend(None)
        else:
            del responses
            gc.collect()
        await until(lambda: any(isinstance(e, h2.events.StreamReset) for e in log))


async def test_forgetting_it_in_a_thread_resets_the_call() -> None:
    log: list[h2.events.Event] = []
    async with (
        h2_peer(two_and_silence, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        # Before it began there is nothing to reset.
        [service.stream_pipeline(no_input())].clear()
        held = [service.stream_pipeline(no_input())]
        await anext(held[0])
        await asyncio.to_thread(held.clear)
        await until(lambda: any(isinstance(e, h2.events.StreamReset) for e in log))
