"""A channel: connecting, connecting again, and who it belongs to."""

from __future__ import annotations

import asyncio
import gc
import ssl
from pathlib import Path

import pytest

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaTimeoutError,
)
from remotemedia.http2 import Address, Channel, ConnectFailedError
from remotemedia.http2.connection import CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES
from remotemedia.testing import LocalService
from tests.support.peers import tcp_peer


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
    plain = Channel("localhost:50051")
    assert (plain.scheme, plain.authority) == ("http", "localhost:50051")
    secure = Channel(Address(host="::1", port=443), ssl=True)
    assert (secure.scheme, secure.authority) == ("https", "[::1]:443")
    assert Channel("unix:/run/s").authority == "localhost"


async def test_a_connection_is_made_once_and_used_again(local: LocalService) -> None:
    async with Channel(local.address) as channel:
        assert channel.connection is None
        first, second = await asyncio.gather(channel.connect(), channel.connect())
        assert first is second is channel.connection
        first.retire()
        assert channel.connection is None
        assert await channel.connect() is not first
    assert first.end is not None
    assert channel.connection is None


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


async def test_a_failed_attempt_is_not_repeated_at_once() -> None:
    channel = Channel("127.0.0.1:1")
    with pytest.raises(ConnectFailedError, match="is the service running"):
        await channel.connect()
    with pytest.raises(ConnectFailedError, match="too early for another") as caught:
        await channel.connect()
    assert isinstance(caught.value.__cause__, ConnectFailedError)


async def test_a_host_name_that_no_resolver_takes() -> None:
    with pytest.raises(ConnectFailedError, match="label"):
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
