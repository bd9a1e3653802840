"""Live sessions under pressure: slow services, slow readers, many tasks at once."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from remotemedia import (
    AudioBuffer,
    ErrorType,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.http2 import Address, Channel
from remotemedia.testing import LocalService, NodeCall
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamClosed,
    StreamingPipelineServiceStub,
    StreamResponse,
    VersionRequest,
    VersionResponse,
)
from tests.faults.tools import drained, is_version
from tests.support.calls import READY, no_input, stub
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, pipeline, tone
from tests.support.sessions import reset
from tests.support.waiting import GUARD_S, turns, until

CHUNK = tone(16_000)
CHUNK_BYTES = len(CHUNK.samples)


def deaf(exchange: Exchange) -> None:
    """Answer like a service that opens sessions, and then reads nothing."""
    if not is_version(exchange):
        exchange.headers()
        exchange.message(READY)


@asynccontextmanager
async def too_slow(stream: PipelineStream) -> AsyncIterator[PipelineStream]:
    """Leave a session normally, which takes the service too long."""
    with pytest.raises(RemoteMediaTimeoutError, match="was not closed within"):
        async with stream:
            yield stream


async def fill(stream: PipelineStream) -> int:
    """Send until the buffer is full; return the number of accepted chunks."""
    count = 0
    while True:
        try:
            await asyncio.wait_for(stream.send("src", CHUNK), 0.05)
        except asyncio.TimeoutError:
            return count
        count += 1


async def test_send_waits_while_the_service_is_slow() -> None:
    """The client accepts what fits the window and the buffer, and no more."""
    async with (
        h2_peer(deaf, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        reset(client.open_stream(PASS, max_buffered_chunks=4)) as stream,
    ):
        taken = await fill(stream)
        # The window of 64 kB holds one chunk at most. One more is being sent.
        assert 4 <= taken <= 6
        assert stream.chunks_sent <= 2
        assert await fill(stream) == 0
        with pytest.raises(RemoteMediaError, match="max_buffered_chunks") as caught:
            stream.try_send("src", CHUNK)
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        before = stream.chunks_dropped
        for _ in range(10):
            stream.try_send("src", CHUNK, when_full="drop_oldest")
        assert stream.chunks_dropped - before == 10


async def test_memory_does_not_grow_while_the_service_is_slow() -> None:
    async with (
        h2_peer(deaf, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        reset(client.open_stream(PASS)) as stream,
    ):
        tracemalloc.start()
        try:
            for _ in range(300):
                # Each chunk has 64 kB, and is a separate copy.
                buffer = AudioBuffer(
                    samples=bytes(bytearray(CHUNK.samples)),
                    sample_rate=16_000,
                    channels=1,
                    format=CHUNK.format,
                    num_samples=CHUNK.num_samples,
                )
                stream.try_send("src", buffer, when_full="drop_oldest")
                await asyncio.sleep(0)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size < 24 * CHUNK_BYTES
        assert stream.chunks_dropped >= 300 - 20


async def test_memory_does_not_grow_while_the_reader_is_slow() -> None:
    """The window of the stream, 1 MiB, bounds what is not read."""
    sent = 0

    def script(exchange: Exchange) -> None:
        exchange.headers()
        asyncio.get_running_loop().create_task(flood(exchange))

    async def flood(exchange: Exchange) -> None:
        nonlocal sent
        connection, id_ = exchange.connection, exchange.stream_id
        message = VersionResponse(compatibility_message="m" * 10_000)
        body = bytes(message)
        while True:
            while connection.local_flow_control_window(id_) > len(body) + 5:
                exchange.message(body)
                sent += len(body) + 5
                exchange.flush()
            await asyncio.sleep(0.001)
            if id_ not in connection.streams or connection.streams[id_].closed:
                return

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(no_input())
        # The bytes are no valid StreamResponse, but nobody decodes them.
        await anext(responses)
        await asyncio.sleep(0.1)
        assert sent <= 1024 * 1024 + 65_535
        held = sent
        for _ in range(200):
            await anext(responses)
        await until(lambda: sent > held)
        assert sent <= 1024 * 1024 + 65_535 + 200 * 10_100
        await responses.aclose()


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_closing_while_the_service_reads_nothing(how: str) -> None:
    """The client's timeout bounds both `close` and `cancel`."""
    async with (
        h2_peer(deaf, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.1) as client,
        reset(client.open_stream(PASS, max_buffered_chunks=3)) as stream,
    ):
        taken = await fill(stream)
        with pytest.raises(RemoteMediaTimeoutError):
            await asyncio.wait_for(getattr(stream, how)(), GUARD_S)
        with pytest.raises(RemoteMediaError):
            await asyncio.wait_for(stream.send("src", CHUNK), GUARD_S)
        if how == "cancel":
            assert stream.chunks_dropped >= 2
    assert taken == stream.chunks_sent + stream.chunks_dropped


async def test_leaving_accounts_for_every_chunk() -> None:
    async with (
        h2_peer(deaf, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.1) as client,
    ):
        for leave in (reset, too_slow):
            async with leave(client.open_stream(PASS, max_buffered_chunks=5)) as stream:
                taken = await fill(stream)
            assert taken == stream.chunks_sent + stream.chunks_dropped


async def test_the_services_closed_message_is_the_end() -> None:
    """After `closed`, the client does not wait for the end of the call."""
    exchanges: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        deaf(exchange)
        exchanges.append(exchange)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone(160))
        await until(lambda: stream.chunks_sent == 1)
        exchanges[-1].message(
            bytes(StreamResponse(closed=StreamClosed(reason="tired")))
        )
        exchanges[-1].flush()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(stream.__anext__(), 1.0)
        assert stream.closed is not None
        with pytest.raises(RemoteMediaError, match="the session is over: tired"):
            await asyncio.wait_for(stream.send("src", tone(160)), 1.0)
        with pytest.raises(RemoteMediaError, match="the session is over: tired"):
            stream.try_send("src", tone(160))
    assert (stream.chunks_sent, stream.chunks_dropped) == (1, 0)


async def test_chunks_that_were_accepted_as_the_session_ended() -> None:
    """They were never sent, so they count as dropped."""
    exchanges: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        deaf(exchange)
        exchanges.append(exchange)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        reader = asyncio.create_task(_drain(stream))
        await turns(3)
        exchanges[-1].message(
            bytes(StreamResponse(closed=StreamClosed(reason="tired")))
        )
        exchanges[-1].flush()
        taken = 0
        for _ in range(1_000):
            try:
                stream.try_send("src", tone(160))
            except RemoteMediaError:
                if stream.closed is not None:
                    break
            else:
                taken += 1
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
    assert taken == stream.chunks_sent + stream.chunks_dropped


async def _drain(stream: PipelineStream) -> None:
    async for _ in stream:
        pass


async def test_many_senders_and_readers_of_one_session(core: CoreServer) -> None:
    """Every chunk is sent once, and every result is read once."""
    async with (
        RemoteMediaClient(core.address) as client,
        client.open_stream(PASS, max_buffered_chunks=3) as stream,
    ):
        received: list[int] = []

        async def read() -> None:
            await drained(stream, received)

        async def send() -> None:
            for _ in range(20):
                await stream.send("src", tone(160))

        readers = [asyncio.create_task(read()) for _ in range(4)]
        await asyncio.gather(*[send() for _ in range(5)])
        await stream.close()
        await asyncio.wait_for(asyncio.gather(*readers), GUARD_S)
        assert received == list(range(100))
        assert (stream.chunks_sent, stream.chunks_acknowledged) == (100, 100)


async def test_an_unread_session_does_not_stop_the_others(
    local: LocalService,
) -> None:
    async with (
        RemoteMediaClient(local.address) as client,
        client.open_stream(PASS) as unread,
    ):
        taken = await fill(unread)
        assert taken > 4
        received = 0
        async for _ in client.stream_pipeline(PASS, [("src", tone())] * 20):
            received += 1
        assert received == 20
        assert (await client.get_version()).protocol_version == "v1"


async def test_more_unread_sessions_than_the_connection_window_holds() -> None:
    """With 80 full stream windows, the next call still gets through."""

    def script(exchange: Exchange) -> None:
        asyncio.get_running_loop().create_task(answer(exchange))

    async def answer(exchange: Exchange) -> None:
        connection, id_ = exchange.connection, exchange.stream_id
        while connection.local_flow_control_window(id_) < 100:
            await asyncio.sleep(0.01)
            if id_ not in connection.streams or connection.streams[id_].closed:
                return
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            while (window := connection.local_flow_control_window(id_)) > 5:
                exchange.message(bytes(min(window - 5, 16_000)))
        exchange.flush()

    async with h2_peer(script) as port:
        channel = Channel(Address("127.0.0.1", port))
        streaming = StreamingPipelineServiceStub(channel)
        unread = [streaming.stream_pipeline(no_input()) for _ in range(80)]
        service = PipelineExecutionServiceStub(channel, timeout=1.0)
        try:
            for responses in unread:
                await asyncio.wait_for(responses.read(), 1.0)
            assert (await service.get_version(VersionRequest())).compatible
        finally:
            for responses in unread:
                await responses.aclose()
            channel.close()
            await turns(2)


async def test_a_failing_call_does_not_affect_the_others(core: CoreServer) -> None:
    async with (
        RemoteMediaClient(core.address) as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone())
        for _ in range(3):
            with pytest.raises(RemoteMediaError):
                await client.execute_pipeline(pipeline("n", "No"), None, {"n": 1})
            with pytest.raises(RemoteMediaTimeoutError):
                await client.get_version(timeout=1e-6)
        assert (await anext(stream)).sequence == 0
        await stream.close()


async def test_a_slow_node_delays_only_its_own_session() -> None:
    release = asyncio.Event()

    async def slow(call: NodeCall) -> AudioBuffer:
        await release.wait()
        assert call.audio is not None
        return call.audio

    async with (
        LocalService(nodes={"Slow": slow}) as service,
        RemoteMediaClient(service.address) as client,
        client.open_stream(pipeline("src", "Slow")) as stream,
    ):
        taken = await fill(stream)
        received = 0
        async for _ in client.stream_pipeline(PASS, [("src", tone())] * 5):
            received += 1
        assert received == 5
        release.set()
        await stream.close()
        assert stream.chunks_acknowledged == taken
