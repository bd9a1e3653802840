"""Free streams on a connection, GOAWAY, and which calls are repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import h2.events
import pytest
from grpclib.const import Status
from h2.settings import SettingCodes

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
)
from remotemedia.grpc import CallError
from remotemedia.http2 import Address, Channel
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    VersionRequest,
)
from tests.faults.tools import is_version
from tests.support.calls import channel_of, stub
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.waiting import GUARD_S, turns, until


def hold_the_first(held: list[Exchange], exchange: Exchange) -> None:
    """Do not answer the first call, and answer the others."""
    if held:
        is_version(exchange)
    else:
        held.append(exchange)


async def test_a_connection_without_stream_ids_left() -> None:
    """After 2**30 calls on a connection, the next call opens a new one."""
    connections: set[object] = set()

    def script(exchange: Exchange) -> None:
        connections.add(exchange.transport)
        is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        await service.get_version(VersionRequest())
        connection = channel_of(service).pick()
        assert connection is not None
        connection.http2.highest_outbound_stream_id = 2**31 - 3
        for _ in range(3):
            assert (await service.get_version(VersionRequest())).compatible
    assert len(connections) == 2


async def test_many_calls_where_the_peer_allows_one_stream() -> None:
    def script(exchange: Exchange) -> None:
        asyncio.get_running_loop().call_soon(answer, exchange)

    def answer(exchange: Exchange) -> None:
        is_version(exchange)
        exchange.flush()

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        calls = [service.get_version(VersionRequest()) for _ in range(200)]
        answers = await asyncio.wait_for(asyncio.gather(*calls), GUARD_S)
        assert all(answer.compatible for answer in answers)


async def test_calls_that_wait_for_a_stream_are_served_in_order() -> None:
    """A free stream wakes the first that waits, and no other."""
    answered: list[int] = []

    def script(exchange: Exchange) -> None:
        asyncio.get_running_loop().call_soon(answer, exchange)

    def answer(exchange: Exchange) -> None:
        is_version(exchange)
        exchange.flush()

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        await service.get_version(VersionRequest())

        async def call(number: int) -> None:
            await service.get_version(VersionRequest())
            answered.append(number)

        await asyncio.gather(*map(call, range(20)))
    assert answered == list(range(20))


async def test_the_deadline_includes_waiting_for_a_free_stream() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        blocking = asyncio.create_task(service.get_version(VersionRequest()))
        await asyncio.sleep(0.02)
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=0.05)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert caught.value.unprocessed
        blocking.cancel()
        await asyncio.wait({blocking})


async def test_a_stream_is_free_when_the_peer_raises_its_limit() -> None:
    held: list[Exchange] = []
    script = partial(hold_the_first, held)

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port, timeout=2.0) as service,
    ):
        first = asyncio.create_task(service.get_version(VersionRequest(), timeout=9))
        await until(lambda: held)
        second = asyncio.create_task(service.get_version(VersionRequest()))
        await turns(10)
        held[0].settings({SettingCodes.MAX_CONCURRENT_STREAMS: 10})
        held[0].flush()
        assert (await second).compatible
        is_version(held[0])
        held[0].flush()
        await first


@pytest.mark.parametrize("end", ["status", "deadline", "reset"])
async def test_a_finished_call_frees_its_stream_before_it_is_read(end: str) -> None:
    """Other calls do not wait until somebody reads its end."""

    def script(exchange: Exchange) -> None:
        if "Streaming" not in exchange.path:
            is_version(exchange)
        elif end == "status":
            exchange.headers()
            exchange.trailers()
        elif end == "reset":
            exchange.reset(8)

    async def brief() -> AsyncIterator[StreamRequest]:
        return
        yield

    async with h2_peer(
        script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    ) as port:
        channel = Channel(Address("127.0.0.1", port))
        streaming = StreamingPipelineServiceStub(channel)
        responses = streaming.stream_pipeline(
            brief(), timeout=0.1 if end == "deadline" else None
        )
        # One attempt to read begins the call. Then nobody reads on.
        reading = asyncio.ensure_future(responses.read())
        await turns(3)
        reading.cancel()
        await asyncio.wait({reading})
        service = PipelineExecutionServiceStub(channel, timeout=1.0)
        waiting = asyncio.create_task(service.get_version(VersionRequest()))
        assert (await waiting).compatible
        await responses.aclose()
        channel.close()
        await turns(2)


# -- GOAWAY


async def test_a_goaway_ends_waiting_for_a_free_stream() -> None:
    """The connection still has a call. The waiting call opens a new connection."""
    held: list[Exchange] = []
    script = partial(hold_the_first, held)

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port, timeout=2.0) as service,
    ):
        first = asyncio.create_task(service.get_version(VersionRequest(), timeout=9))
        await until(lambda: held)
        waiting = [
            asyncio.create_task(service.get_version(VersionRequest())) for _ in range(5)
        ]
        await turns(10)
        held[0].announce_end(held[0].stream_id)
        for answer in await asyncio.gather(*waiting):
            assert answer.compatible
        is_version(held[0])
        held[0].flush()
        assert (await first).compatible


@pytest.mark.parametrize("end", ["goaway", "disconnect", "lost"])
async def test_calls_that_wait_for_a_stream_as_the_connection_ends(end: str) -> None:
    """They are repeated on a new connection, or the error says what happened."""
    held: list[Exchange] = []
    script = partial(hold_the_first, held)

    async with (
        h2_peer(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        calls = [
            asyncio.create_task(service.get_version(VersionRequest())) for _ in range(5)
        ]
        await until(lambda: held)
        await turns(10)
        if end == "goaway":
            held[0].announce_end(held[0].stream_id)
            is_version(held[0])
            held[0].flush()
        elif end == "lost":
            held[0].hang_up()
        else:
            channel_of(service).close()
        answers = await asyncio.wait_for(
            asyncio.gather(*calls, return_exceptions=True), GUARD_S
        )
    if end == "goaway":
        assert not [answer for answer in answers if isinstance(answer, Exception)]
    elif end == "lost":
        # The first call may have been processed. The others certainly were not.
        assert isinstance(answers[0], CallError)
        assert not [answer for answer in answers[1:] if isinstance(answer, Exception)]
    else:
        assert all("was disconnected" in str(answer) for answer in answers), answers


async def test_a_goaway_in_two_steps() -> None:
    """A graceful shutdown: first any stream is allowed, then up to the last."""
    held: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        held.append(exchange)
        if len(held) == 2:
            held[0].announce_end(2**31 - 1)
            held[0].announce_end(held[0].stream_id)
            is_version(held[0])
        elif len(held) > 2:
            is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, timeout=2.0) as service,
    ):
        answers = await asyncio.gather(
            *[service.get_version(VersionRequest()) for _ in range(2)]
        )
        assert all(answer.compatible for answer in answers)


@pytest.mark.parametrize("code", [0, 1, 2, 11, 0xDEAD])
async def test_a_goaway_says_whether_a_call_may_be_repeated(code: int) -> None:
    """The peer accepted the call and did not finish it: it may have processed it."""

    def script(exchange: Exchange) -> None:
        exchange.announce_end(exchange.stream_id)
        exchange.hang_up()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest())
    assert caught.value.status is Status.UNAVAILABLE
    assert not caught.value.unprocessed


async def test_only_errors_of_unprocessed_calls_are_retryable() -> None:
    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.hang_up()

    async with h2_peer(script, log) as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}")
        await client.connect()
        with pytest.raises(RemoteMediaConnectionError) as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        assert not caught.value.retryable
        with pytest.raises(RemoteMediaError) as other:
            async with client.open_stream(PASS):
                pass
        assert not other.value.retryable
        await client.disconnect()
