"""Live sessions: `open_stream`, sending and receiving independently."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes

from remotemedia import (
    ErrorType,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    StreamReady,
    StreamResponse,
    VersionResponse,
)
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, pipeline, tone
from tests.support.waiting import until


async def drain(stream: PipelineStream) -> list[int]:
    return [chunk.sequence async for chunk in stream]


async def test_a_session_from_ready_to_closed(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        assert stream.ready is not None
        assert stream.ready.session_id
        assert stream.ready.recommended_chunk_size > 0
        assert stream.metrics is None
        for _ in range(12):
            await stream.send("src", tone())
        closed = await stream.close()
        assert closed is stream.closed
        assert (stream.chunks_sent, stream.chunks_acknowledged) == (12, 12)
        assert stream.chunks_dropped == 0
        assert stream.round_trip_ms is not None
        assert stream.round_trip_ms > 0
        assert await drain(stream) == list(range(12))
        assert stream.metrics is not None
        assert stream.metrics.chunks_processed == 10
        assert stream.closed is not None
        assert stream.closed.session_id == stream.ready.session_id
        assert await drain(stream) == []


async def test_send_and_receive_in_turn(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        for number in range(5):
            await stream.send("src", tone())
            assert (await anext(stream)).sequence == number


async def test_send_from_another_task(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:

        async def produce() -> None:
            for _ in range(50):
                await stream.send("src", tone())
            await stream.close()

        producer = asyncio.create_task(produce())
        assert await drain(stream) == list(range(50))
        await producer


async def test_timestamps_follow_the_audio(core: CoreServer) -> None:
    async with (
        RemoteMediaClient(core.address) as client,
        client.open_stream(PASS) as stream,
    ):
        for frames in (1600, 800, 1, 1600):
            await stream.send("src", tone(frames))
        await stream.close()
        await drain(stream)
    assert core.streaming.timestamps_ms == [0, 100, 150, 150]


async def test_cancel(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        await stream.send("src", tone())
        await stream.cancel()
        await drain(stream)
        assert stream.closed is not None


@pytest.mark.parametrize("first", ["close", "cancel"])
@pytest.mark.parametrize("second", ["close", "cancel", "send"])
async def test_nothing_after_the_end(
    client: RemoteMediaClient, first: str, second: str
) -> None:
    async with client.open_stream(PASS) as stream:
        await getattr(stream, first)()
        arguments = ("src", tone()) if second == "send" else ()
        with pytest.raises(RemoteMediaError, match="takes nothing more") as caught:
            await getattr(stream, second)(*arguments)
        assert caught.value.error_type is ErrorType.VALIDATION
        assert caught.value.operation == "open_stream"
        with pytest.raises(RemoteMediaError, match="takes nothing more"):
            stream.try_send("src", tone())


async def test_nothing_before_it_is_open(client: RemoteMediaClient) -> None:
    stream = client.open_stream(PASS)
    with pytest.raises(RemoteMediaError, match="is not open"):
        await stream.send("src", tone())
    with pytest.raises(RemoteMediaError, match="is not open"):
        stream.try_send("src", tone())


async def test_a_refusal_comes_on_entering(client: RemoteMediaClient) -> None:
    with pytest.raises(RemoteMediaError, match="NoSuchNode") as caught:
        async with client.open_stream(pipeline("n", "NoSuchNode")):
            raise AssertionError("the session was open")
    assert caught.value.error_type is ErrorType.VALIDATION


async def test_bad_audio_leaves_the_session_as_it_was(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        bad = tone()
        bad.num_samples += 1
        with pytest.raises(ValueError, match="the chunk for node 'src'"):
            await stream.send("src", bad)
        with pytest.raises(TypeError, match="not an AudioBuffer"):
            await stream.send("src", b"")  # type: ignore[arg-type]  # the mistake
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0


async def test_leaving_the_context_ends_the_call(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone())
        await until(lambda: core.streaming.running == 0)
        with pytest.raises(RemoteMediaError, match="the session is over"):
            await stream.send("src", tone())


async def test_an_error_ends_the_session(local: LocalService) -> None:
    async with (
        RemoteMediaClient(local.address) as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone())
        await stream.send("elsewhere", tone())
        assert (await anext(stream)).sequence == 0
        with pytest.raises(RemoteMediaError, match="elsewhere") as caught:
            await anext(stream)
        assert caught.value.error_type is ErrorType.VALIDATION
        assert caught.value.address == local.address


async def test_the_service_goes_away(client: RemoteMediaClient, address: str) -> None:
    """Closing the client's connection is the nearest that both services offer."""
    async with client.open_stream(PASS) as stream:
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0
        await client.disconnect()
        with pytest.raises(RemoteMediaConnectionError, match="connection was lost"):
            await anext(stream)


async def test_opening_is_bounded() -> None:
    """A service that answers calls, and never a stream."""

    def script(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            exchange.headers()
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.2) as client,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"open within 0\.2 s"):
            async with client.open_stream(PASS):
                raise AssertionError("the session was open")


async def test_a_session_without_progress_is_bounded() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", idle_timeout=0.2) as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"no progress for 0\.2 s"):
            await anext(stream)


async def test_a_session_that_is_refused_is_opened_again() -> None:
    """As by a service whose streams are all taken, or that is about to restart."""
    tries: list[str] = []

    def script(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            exchange.headers()
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
            return
        tries.append(exchange.path)
        if len(tries) == 1:
            exchange.reset(ErrorCodes.REFUSED_STREAM)
            return
        exchange.headers()
        exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone())
        await until(lambda: stream.chunks_sent == 1)
    assert len(tries) == 2


async def test_try_send_raises_or_drops_where_there_is_no_room(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS, max_buffered_chunks=2) as stream:
        # Nothing leaves before this task lets the loop turn.
        for _ in range(2):
            stream.try_send("src", tone())
        with pytest.raises(RemoteMediaError, match="service is behind") as caught:
            stream.try_send("src", tone())
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        assert caught.value.retryable
        stream.try_send("src", tone(), when_full="drop_oldest")
        await stream.close()
        assert await drain(stream) == [0, 1]
        assert (stream.chunks_sent, stream.chunks_acknowledged) == (2, 2)
        assert stream.chunks_dropped == 1


async def test_waiting_for_a_result_can_be_cancelled_and_repeated(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for number in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
            await stream.send("src", tone())
            assert (await anext(stream)).sequence == number
