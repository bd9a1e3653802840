"""One address: its connections, and the backoff between attempts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from socket import AF_INET, SOCK_STREAM

import pytest
from aiohappyeyeballs import AddrInfoType

from remotemedia.grpc import Channel
from remotemedia.http2 import Address, dial
from remotemedia.http2.backoff import FIRST_S
from remotemedia.http2.config import ChannelConfig
from remotemedia.http2.connection import Connection
from remotemedia.http2.errors import BadPeerError, ConnectFailedError
from remotemedia.http2.subchannel import Subchannel
from remotemedia.testing import LocalService
from remotemedia.v1 import PipelineExecutionServiceStub, VersionRequest
from tests.support.peers import Exchange, h2_peer
from tests.support.processes import free_port
from tests.support.waiting import GUARD_S, until


@asynccontextmanager
async def subchannel(address: str, connections: int = 1) -> AsyncIterator[Subchannel]:
    config = ChannelConfig.of(address, connections=connections)
    made = Subchannel(config.servers[0], config)
    try:
        yield made
    finally:
        made.close()
        for connection in list(made.connections):
            connection.abort()


async def connected(made: Subchannel) -> Connection:
    attempt = made.attempt()
    assert attempt is not None
    return await attempt


async def test_an_attempt_is_for_everyone(local: LocalService) -> None:
    async with subchannel(local.address) as made:
        assert made.pick() is None
        first, second = made.attempt(), made.attempt()
        assert first is second
        assert first is not None
        connection = await first
        assert made.pick() is connection
        # There is nothing more to make.
        assert made.attempt() is None


async def test_a_failed_attempt_is_followed_by_a_wait() -> None:
    async with subchannel(f"127.0.0.1:{free_port()}") as made:
        for _ in range(2):
            with pytest.raises(ConnectFailedError):
                await connected(made)
            assert isinstance(made.last_failure, ConnectFailedError)
            # However slow this machine is.
            made._backoff._until_s += GUARD_S
            assert made.attempt() is None
            assert made.backoff_s > 0
            made._backoff._until_s = 0.0


async def test_an_attempt_that_is_done_is_under_way_no_more() -> None:
    """The event loop calls back a turn later than the attempt is done."""
    async with subchannel(f"127.0.0.1:{free_port()}") as made:
        attempt = made.attempt()
        assert attempt is not None
        # Whoever is called back first sees it as it is before the others.
        seen: list[object] = []
        attempt.remove_done_callback(made._on_attempt_done)
        attempt.add_done_callback(lambda _: seen.append(made.attempt()))
        attempt.add_done_callback(made._on_attempt_done)
        with pytest.raises(ConnectFailedError):
            await attempt
        assert seen == [None]


async def test_a_peer_that_hangs_up_at_once_is_not_connected_to_in_a_loop() -> None:
    """It greets, so no attempt fails; but it has not answered a call."""
    made_at: list[float] = []
    loop = asyncio.get_running_loop()
    async with (
        h2_peer(lambda exchange: None) as port,
        subchannel(f"127.0.0.1:{port}") as made,
    ):
        for _ in range(3):
            connection = await connected(made)
            made_at.append(loop.time())
            connection.abort()
            await connection.lost
    assert made_at[1] - made_at[0] > FIRST_S * 0.7
    assert made_at[2] - made_at[1] > FIRST_S * 1.5
    assert made.last_failure is None


async def test_a_connection_that_was_given_up_here_is_replaced_at_once(
    local: LocalService,
) -> None:
    async with subchannel(local.address) as made:
        for _ in range(3):
            connection = await connected(made)
            connection.retire()
        assert made._backoff.remaining_s == 0.0


async def test_a_peer_that_was_closed_for_what_it_sent_is_not_trusted_at_once(
    local: LocalService,
) -> None:
    """Even if it answered calls before."""
    async with Channel(local.address) as channel:
        await PipelineExecutionServiceStub(channel).get_version(VersionRequest())
        (made,) = channel._subchannels
        connection = channel.pick()
        assert connection is not None
        connection.close(BadPeerError("it sent too many pings"))
        assert channel.pick() is None
        assert made._backoff.remaining_s > 0.0


async def test_a_connection_that_answered_is_replaced_at_once(
    local: LocalService,
) -> None:
    async with Channel(local.address) as channel:
        service = PipelineExecutionServiceStub(channel)
        (made,) = channel._subchannels
        for _ in range(3):
            await service.get_version(VersionRequest())
            connection = channel.pick()
            assert connection is not None
            connection.retire()
            assert made.attempt() is not None
            assert made._backoff.remaining_s == 0.0


async def test_the_name_is_looked_up_for_each_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fleet that moved is found again when its old connection ends."""
    looked_up: list[Address] = []

    async with LocalService() as old, LocalService() as new:

        async def lookup(address: Address) -> Sequence[AddrInfoType]:
            looked_up.append(address)
            service = old if len(looked_up) == 1 else new
            port = Address.parse(service.address).port
            return [(AF_INET, SOCK_STREAM, 0, "", ("127.0.0.1", port))]

        monkeypatch.setattr(dial, "_lookup", lookup)
        async with subchannel("media.example:443") as made:
            ports = []
            for _ in range(2):
                connection = await connected(made)
                peer = connection._transport.get_extra_info("peername")
                ports.append(f"127.0.0.1:{peer[1]}")
                connection.retire()
            assert ports == [old.address, new.address]
            assert looked_up == [Address("media.example", 443)] * 2


async def test_more_connections_are_made_where_all_are_in_use() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()

    async with (
        h2_peer(script) as port,
        subchannel(f"127.0.0.1:{port}", connections=2) as made,
    ):
        first = await connected(made)
        assert made.pick() is first
        assert made._attempt is None  # the first is not in use
        headers = ((":path", "/"), (":method", "POST"), (":scheme", "http"))
        stream = await first.open(headers, [], lambda *_: None, lambda _: None)
        assert first.open_streams == 1
        assert made.pick() is first
        await until(lambda: len(made.connections) == 2 and made._attempt is None)
        # The one with the fewest streams.
        second = made.pick()
        assert second is not None
        assert second is not first
        assert made.attempt() is None
        stream.close()
        assert first.open_streams == 0


async def test_a_closed_subchannel_makes_no_attempt(local: LocalService) -> None:
    async with subchannel(local.address) as made:
        connection = await connected(made)
        made.close()
        assert connection.end is not None
        assert made.pick() is None
        assert made.attempt() is None
    async with subchannel(local.address) as made:
        await connected(made)
        assert len(made.abandon()) == 1
        assert made.attempt() is None


async def test_a_connection_that_is_made_while_it_closes_is_closed(
    local: LocalService,
) -> None:
    """The peer has greeted, but the attempt has not gone on yet."""
    made_meanwhile: list[Connection] = []

    class Closing(Subchannel):
        async def _open_transport(self) -> Connection:
            connection = await super()._open_transport()
            await connection.greeted
            made_meanwhile.append(connection)
            self.close()
            return connection

    config = ChannelConfig.of(local.address)
    with pytest.raises(asyncio.CancelledError):
        await connected(Closing(config.servers[0], config))
    (connection,) = made_meanwhile
    await until(lambda: connection.end is not None)


async def test_events_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="remotemedia.connections")
    port = free_port()
    async with subchannel(f"127.0.0.1:{port}") as made:
        with pytest.raises(ConnectFailedError):
            await connected(made)
        made._backoff.reset()
        made.last_failure = None
        async with LocalService(port=port):
            connection = await connected(made)
            connection._transport.abort()
            await connection.lost
            await asyncio.sleep(0)
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING", "INFO", "WARNING"]
    assert levels[0][1].startswith(f"no connection to 127.0.0.1:{port}, and no attempt")
    assert levels[1][1] == f"connected to 127.0.0.1:{port}"
    assert levels[2][1].startswith(f"127.0.0.1:{port}: the connection was lost")


async def test_what_the_client_closes_itself_is_not_logged_as_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="remotemedia.connections")
    async with LocalService() as service, subchannel(service.address) as made:
        connection = await connected(made)
        made.close()
        await connection.lost
        await asyncio.sleep(0)
    closed = caplog.records[-1]
    assert closed.levelname == "INFO"
    assert closed.getMessage() == (
        f"{service.address}: the connection was closed: the client was disconnected"
    )
