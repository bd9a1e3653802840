"""A channel: connecting, connecting again, and who it belongs to."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from h2.settings import SettingCodes

from remotemedia import (
    ChunkResults,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import CallError, Compression
from remotemedia.http2 import WRITE_BYTES, Address, Channel, ConnectFailedError
from remotemedia.http2.connection import (
    CONNECTION_WINDOW_BYTES,
    STREAM_WINDOW_BYTES,
    Connection,
)
from remotemedia.testing import LocalService
from remotemedia.v1 import PipelineExecutionServiceStub, VersionRequest
from tests.faults.tools import black_hole, is_version
from tests.support.peers import Exchange, h2_peer, tcp_peer
from tests.support.pipelines import PASS, tone
from tests.support.processes import free_port
from tests.support.waiting import GUARD_S, turns, until


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with LocalService(path=path) as service:
        assert service.address == f"unix:{path}"
        async with RemoteMediaClient(service.address, token="t") as client:
            assert (await client.get_version()).protocol_version == "v1"


async def test_connecting_is_bounded() -> None:
    """A peer that takes the connection and never answers the TLS handshake."""
    async with tcp_peer() as port:
        client = RemoteMediaClient(
            f"127.0.0.1:{port}", ssl=ssl.create_default_context(), connect_timeout=0.05
        )
        with pytest.raises(RemoteMediaConnectionError, match=r"within 0\.05 s"):
            await client.connect()


def test_one_unread_stream_holds_a_part_of_the_connections_window() -> None:
    assert CONNECTION_WINDOW_BYTES >= 16 * STREAM_WINDOW_BYTES


def test_the_error_of_a_deadline_is_another() -> None:
    assert not issubclass(RemoteMediaConnectionError, RemoteMediaTimeoutError)


async def test_what_requests_say_of_the_service() -> None:
    assert Channel("localhost:50051").scheme == "http"
    assert Channel(Address(host="::1", port=443), ssl=True).scheme == "https"


async def test_a_connection_is_made_once_and_used_again(local: LocalService) -> None:
    async with Channel(local.address) as channel:
        assert channel.pick() is None
        first, second = await asyncio.gather(channel.connect(), channel.connect())
        assert first is second is channel.pick()
        first.retire()
        assert channel.pick() is None
        assert await channel.connect() is not first
    assert first.end is not None
    assert channel.pick() is None


async def test_a_channel_that_is_closed_connects_no_more(local: LocalService) -> None:
    async with Channel(local.address) as channel:
        connection = await channel.connect()
        stream_end = connection.end
        assert stream_end is None
    with pytest.raises(ConnectFailedError, match="the client was disconnected"):
        await channel.connect()


async def test_a_closed_channel_ends_the_attempt_to_connect() -> None:
    async with tcp_peer() as port:
        channel = Channel(f"127.0.0.1:{port}")
        connecting = asyncio.create_task(channel.connect())
        await asyncio.sleep(0.01)
        channel.close()
        with pytest.raises(ConnectFailedError, match="the client was disconnected"):
            await connecting


async def test_no_attempt_to_connect_outlives_its_channel() -> None:
    async with tcp_peer() as port:
        async with Channel(f"127.0.0.1:{port}") as channel:
            assert channel.pick() is None
            attempt = channel._subchannels[0].attempt()
            await turns(3)
        assert attempt is not None
        assert attempt.cancelled()


def stay_in_backoff(channel: Channel) -> None:
    """Have the backoff after a failed attempt last, however slow this machine is."""
    for subchannel in channel._subchannels:
        assert subchannel._backoff._until_s > 0
        subchannel._backoff._until_s += GUARD_S


async def test_a_failed_attempt_is_not_repeated_at_once() -> None:
    channel = Channel("127.0.0.1:1")
    with pytest.raises(ConnectFailedError, match="is the service running"):
        await channel.connect()
    stay_in_backoff(channel)
    with pytest.raises(ConnectFailedError, match="too early for another") as caught:
        await channel.connect()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


# -- several addresses


@asynccontextmanager
async def answering(count: int) -> AsyncIterator[tuple[list[str], Counter[str]]]:
    """Run peers that answer GetVersion, and count the calls of each by its address."""
    calls: Counter[str] = Counter()

    async with AsyncExitStack() as stack:
        addresses: list[str] = []
        for _ in range(count):

            def script(exchange: Exchange, number: int = len(addresses)) -> None:
                calls[addresses[number]] += 1
                is_version(exchange)

            port = await stack.enter_async_context(h2_peer(script))
            addresses.append(f"127.0.0.1:{port}")
        yield addresses, calls


async def call(channel: Channel, *, timeout: float = 5, **options: Any) -> None:
    stub = PipelineExecutionServiceStub(channel, **options)
    await stub.get_version(VersionRequest(), timeout=timeout)


async def settled(channel: Channel) -> None:
    """Wait until no attempt to connect is under way."""
    await until(lambda: all(s._attempt is None for s in channel._subchannels))


async def test_calls_go_to_each_address_in_turn() -> None:
    async with answering(3) as (addresses, calls), Channel(addresses) as channel:
        await call(channel)
        await settled(channel)
        calls.clear()
        for _ in range(9):
            await call(channel)
        assert calls == dict.fromkeys(addresses, 3)
        assert repr(channel) == f"<Channel {', '.join(addresses)}>"


@pytest.mark.parametrize(
    ("compression", "size"),
    [("gzip", 0), ("identity", WRITE_BYTES + 1), ("identity", 2**20)],
)
async def test_requests_that_cannot_be_sent_at_once_go_to_each_in_turn(
    compression: Compression, size: int
) -> None:
    async with answering(2) as (addresses, calls), Channel(addresses) as channel:
        stub = PipelineExecutionServiceStub(channel, compression=compression)
        request = VersionRequest(client_version="v" * size)
        await stub.get_version(request, timeout=5)
        await settled(channel)
        calls.clear()
        for _ in range(4):
            await stub.get_version(request, timeout=5)
        assert calls == dict.fromkeys(addresses, 2)


async def test_each_connection_is_asked_for_its_own_name() -> None:
    authorities: set[str] = set()

    def script(exchange: Exchange) -> None:
        authorities.add(exchange.authority)
        is_version(exchange)

    async with h2_peer(script) as one, h2_peer(script) as two:
        addresses = [f"127.0.0.1:{one}", f"localhost:{two}"]
        async with Channel(addresses) as channel:
            await call(channel)
            await settled(channel)
            await call(channel)
            await call(channel)
    assert authorities == set(addresses)


async def test_an_address_that_fails_is_left_out() -> None:
    async with answering(1) as (addresses, calls):
        gone = f"127.0.0.1:{free_port()}"
        async with Channel([gone, *addresses]) as channel:
            for _ in range(10):
                await call(channel)
            assert calls.total() == 10
            assert channel.last_failure is not None


async def test_the_reason_of_each_address_is_told() -> None:
    gone = [f"127.0.0.1:{free_port()}" for _ in range(9)]
    async with Channel(gone) as channel:
        waiting = asyncio.create_task(call(channel, wait_for_ready=True, timeout=0.2))
        await until(lambda: all(s.last_failure for s in channel._subchannels))
        with pytest.raises(CallError, match="was not done within") as caught:
            await waiting
    for address in gone[:8]:
        assert f"cannot connect to {address}" in str(caught.value)
    assert str(caught.value).endswith("; and 1 more")


async def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    with black_hole() as port:
        async with answering(1) as (addresses, calls):
            async with Channel([f"127.0.0.1:{port}", *addresses]) as channel:
                for _ in range(3):
                    await call(channel)
            assert calls.total() == 3


async def test_an_address_that_comes_back_is_used_again() -> None:
    """It is probed by the calls that come after its backoff, which go elsewhere."""
    port = free_port()
    async with (
        answering(1) as (addresses, _),
        Channel([f"127.0.0.1:{port}", *addresses]) as channel,
    ):
        await call(channel)
        await settled(channel)
        assert channel.last_failure is not None
        async with LocalService(port=port):

            async def until_it_is_back() -> None:
                while channel.last_failure is not None:
                    await call(channel)
                    await asyncio.sleep(0.005)

            await asyncio.wait_for(until_it_is_back(), GUARD_S)
            picked = {channel.pick() for _ in range(2)}
            assert len(picked) == 2
            assert None not in picked


async def test_a_stream_stays_where_it_is(local: LocalService) -> None:
    async with LocalService() as other:
        client = RemoteMediaClient([local.address, other.address])
        async with client, client.open_stream(PASS) as stream:
            for sequence in range(4):
                await stream.send("src", tone())
                assert (await anext(stream)).sequence == sequence
                await client.get_version()


async def test_the_error_names_every_address() -> None:
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    async with Channel(addresses) as channel:
        with pytest.raises(ConnectFailedError) as caught:
            await channel.connect()
        stay_in_backoff(channel)
        with pytest.raises(ConnectFailedError, match="too early") as again:
            await channel.connect()
    for address in addresses:
        assert f"cannot connect to {address}" in str(caught.value)
        assert f"cannot connect to {address}" in str(again.value)


async def test_busy_connections_are_joined_by_others() -> None:
    """``connections`` to each address at most, and least calls in flight first."""
    waiting: list[Exchange] = []
    async with (
        h2_peer(waiting.append) as port,
        Channel(f"127.0.0.1:{port}", connections=3) as channel,
    ):
        calls = []
        for count in range(1, 10):
            calls.append(asyncio.create_task(call(channel)))
            await until(lambda count=count: len(waiting) == count)  # type: ignore[misc]  # a default that mypy cannot type
            await settled(channel)
        (made,) = channel._subchannels
        assert sorted(c.open_streams for c in made.connections) == [3, 3, 3]
        for exchange in waiting:
            is_version(exchange)
            exchange.flush()
        await asyncio.gather(*calls)


HEADERS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a"),
)


async def opened(channel: Channel, log: list[Connection]) -> None:
    """Open a stream, and keep it open; log its connection."""
    connection = await channel.connect()
    stream = await connection.open(HEADERS, [], lambda *_: None, lambda _: None)
    log.append(stream.connection)


async def test_streams_are_spread_over_as_many_connections_as_they_need() -> None:
    """A service allows so many streams on a connection; the rest do not wait."""
    settings: dict[SettingCodes | int, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 4}
    async with (
        h2_peer(lambda exchange: exchange.headers(), settings=settings) as port,
        Channel(f"127.0.0.1:{port}", connections=3) as channel,
    ):
        log: list[Connection] = []
        opening = [asyncio.create_task(opened(channel, log)) for _ in range(14)]
        await until(lambda: len(log) == 12)
        assert sorted(Counter(log).values()) == [4, 4, 4]
        await settled(channel)
        # All are full, and there can be no more: two wait for their turn.
        (made,) = channel._subchannels
        await until(lambda: sum(c.open_streams for c in made.connections) == 14)
        for task in opening:
            task.cancel()
        await asyncio.wait(opening)


async def test_streams_are_spread_over_addresses_that_have_room() -> None:
    settings: dict[SettingCodes | int, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 4}

    def script(exchange: Exchange) -> None:
        exchange.headers()

    async with (
        h2_peer(script, settings=settings) as one,
        h2_peer(script) as other,
        Channel([f"127.0.0.1:{one}", f"127.0.0.1:{other}"]) as channel,
    ):
        log: list[Connection] = []
        await asyncio.gather(*[opened(channel, log) for _ in range(2)])
        await settled(channel)
        for _ in range(18):
            await opened(channel, log)
        by_port = {c.address.port: count for c, count in Counter(log).items()}
        assert by_port == {one: 4, other: 16}


# -- waiting until there is a connection


async def test_a_call_that_waits_for_a_service(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Channel(f"unix:{path}") as channel:
        waiting = asyncio.create_task(call(channel, wait_for_ready=True))
        await until(lambda: channel.last_failure)
        with pytest.raises(CallError, match="no connection"):
            await call(channel)
        async with LocalService(path=path):
            await waiting


async def test_a_call_waits_within_its_deadline() -> None:
    address = f"127.0.0.1:{free_port()}"
    client = RemoteMediaClient(address, timeout=0.05, wait_for_ready=True)
    with pytest.raises(RemoteMediaTimeoutError, match="could not be sent") as caught:
        await client.connect()
    assert f"cannot connect to {address}" in str(caught.value)
    assert caught.value.retryable


async def test_waiting_for_a_service_may_be_asked_for_one_call(
    local: LocalService,
) -> None:
    """Or not, where the client waits."""
    async with RemoteMediaClient(local.address) as client:
        await local.stop()
        channel = client._link.channel
        await until(lambda: channel is not None and channel.pick() is None)
        for made in (
            client.get_version(wait_for_ready=True, timeout=0.02),
            client.execute_pipeline(PASS, wait_for_ready=True, timeout=0.02),
            read(client.stream_pipeline(PASS, [], wait_for_ready=True, timeout=0.02)),
            entered(client.open_stream(PASS, wait_for_ready=True, timeout=0.02)),
        ):
            with pytest.raises(RemoteMediaTimeoutError):
                await made
        with pytest.raises(RemoteMediaConnectionError):
            await client.get_version()


async def read(results: ChunkResults) -> None:
    async for _ in results:
        pass


async def entered(stream: PipelineStream) -> None:
    async with stream:
        pass


async def test_a_channel_that_is_closed_ends_the_waiting() -> None:
    channel = Channel(f"127.0.0.1:{free_port()}")
    waiting = asyncio.create_task(channel.connect(wait_for_ready=True))
    await until(lambda: channel.last_failure)
    channel.close()
    with pytest.raises(ConnectFailedError, match="the client was disconnected"):
        await asyncio.wait_for(waiting, GUARD_S)


# -- who it belongs to


async def test_a_host_name_that_no_resolver_takes() -> None:
    with pytest.raises(ConnectFailedError, match="can this machine look it up"):
        await Channel("a..b:1").connect()


def test_a_channel_belongs_to_its_event_loop(local_address: str) -> None:
    async def make() -> Channel:
        channel = Channel(local_address)
        assert channel.is_usable_here
        return channel

    channel = asyncio.run(make())

    async def use() -> None:
        assert not channel.is_usable_here
        with pytest.raises(ConnectFailedError, match="another event loop"):
            await channel.connect()

    asyncio.run(use())


@pytest.fixture
def local_address(tmp_path: Path) -> str:
    """Where nobody listens."""
    return f"unix:{tmp_path / 's'}"


async def test_a_channel_that_was_forgotten_is_closed(local: LocalService) -> None:
    channel = Channel(local.address)
    connection = await channel.connect()
    with pytest.warns(ResourceWarning, match=f"unclosed <Channel {local.address}>"):  # noqa: PT031 - both make the warning
        del channel
        gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert connection.end is not None


async def test_closing_ends_the_waiting_for_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.http2.backoff.FIRST_S", 3600.0)
    channel = Channel(f"127.0.0.1:{free_port()}")
    waiting = asyncio.create_task(channel.connect(wait_for_ready=True))
    await until(lambda: channel.last_failure)
    await turns(5)
    channel.close()
    with pytest.raises(ConnectFailedError, match="the client was disconnected"):
        await asyncio.wait_for(waiting, GUARD_S)


async def test_whatever_goes_wrong_with_connecting_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some libraries raise what is no OSError."""

    async def dial(*arguments: object) -> None:
        raise ValueError("who would have thought")

    monkeypatch.setattr("remotemedia.http2.subchannel.dial", dial)
    channel = Channel("127.0.0.1:1")
    with pytest.raises(ConnectFailedError, match=r"cannot connect .* have thought"):
        await channel.connect()
    stay_in_backoff(channel)
