"""`stream_pipeline`: one iteration that opens, ends and cleans up by itself."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import h2.events
import pytest

from remotemedia import AudioBuffer, ChunkResults, RemoteMediaClient, RemoteMediaError
from remotemedia.session import stream as stream_module
from remotemedia.v1 import (
    StreamClosed,
    StreamReady,
    StreamResponse,
    VersionResponse,
)
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.waiting import until


class Audio:
    """Endless audio, and whether it was begun and closed."""

    def __init__(self) -> None:
        self.is_begun = self.is_closed = False

    async def __call__(self) -> AsyncIterator[tuple[str, AudioBuffer]]:
        self.is_begun = True
        try:
            while True:
                yield "src", tone(160)
                await asyncio.sleep(0)
        finally:
            self.is_closed = True


async def test_the_end_of_a_loop_is_the_end_of_the_session(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        results = client.stream_pipeline(PASS, [("src", tone())] * 3)
        assert isinstance(results, ChunkResults)
        assert [chunk.sequence async for chunk in results] == [0, 1, 2]
        assert [chunk async for chunk in results] == []
        await until(lambda: core.streaming.running == 0)


async def test_at_the_end_a_call_that_goes_on_is_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def says_closed_and_stays(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            ready, closed = StreamReady(session_id="s"), StreamClosed(session_id="s")
            exchange.message(bytes(StreamResponse(ready=ready)))
            exchange.message(bytes(StreamResponse(closed=closed)))

    monkeypatch.setattr(stream_module, "_GOODBYE_S", 0.01)
    log: list[h2.events.Event] = []
    async with (
        h2_peer(says_closed_and_stays, log) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = client.stream_pipeline(PASS, Audio()())
        assert [chunk async for chunk in results] == []
        await until(lambda: any(isinstance(e, h2.events.StreamReset) for e in log))


async def test_cancelling_ends_the_session() -> None:
    def ready_and_silent(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            ready = StreamReady(session_id="s")
            exchange.message(bytes(StreamResponse(ready=ready)))

    audio = Audio()
    async with (
        h2_peer(ready_and_silent) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = client.stream_pipeline(PASS, audio())
        first = asyncio.ensure_future(anext(results))
        await until(lambda: audio.is_begun)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert audio.is_closed


@pytest.mark.parametrize("how", ["context", "aclose", "athrow", "forgotten"])
async def test_leaving_early_ends_the_session(core: CoreServer, how: str) -> None:
    audio = Audio()
    async with RemoteMediaClient(core.address) as client:
        results = client.stream_pipeline(PASS, audio())
        if how == "context":
            async with results:
                async for _ in results:
                    break
        else:
            await anext(results)
            if how == "aclose":
                await results.aclose()
                await results.aclose()
            elif how == "athrow":
                with pytest.raises(LookupError):
                    await results.athrow(LookupError)
            else:
                del results
                gc.collect()
        await until(lambda: core.streaming.running == 0 and audio.is_closed)


async def test_closing_before_the_first_result(core: CoreServer) -> None:
    audio = Audio()
    async with RemoteMediaClient(core.address) as client:
        results = client.stream_pipeline(PASS, audio())
        await results.aclose()
        with pytest.raises(StopAsyncIteration):
            await results.asend(None)
    assert core.streaming.timestamps_ms == []


async def test_closing_while_the_session_opens() -> None:
    begun = asyncio.Event()

    def answers_only_get_version(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            exchange.headers()
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            begun.set()

    async with (
        h2_peer(answers_only_get_version) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = client.stream_pipeline(PASS, [])
        first = asyncio.ensure_future(anext(results))
        await begun.wait()
        await results.aclose()
        with pytest.raises(RemoteMediaError, match="left before it was open"):
            await first


async def test_a_failure_ends_the_iteration(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        results = client.stream_pipeline(PASS, [("else", tone())])
        with pytest.raises(RemoteMediaError, match="no node 'else'"):
            await anext(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        await until(lambda: core.streaming.running == 0)


async def test_mistakes_are_told_at_the_call(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        with pytest.raises(RemoteMediaError, match="unknown key"):
            client.stream_pipeline({"node": []}, [])
        with pytest.raises(TypeError, match="audio_chunks must be"):
            client.stream_pipeline(PASS, None)  # type: ignore[arg-type]  # the mistake
