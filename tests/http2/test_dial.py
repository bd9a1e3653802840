"""Sockets: all addresses of a name are tried, side by side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohappyeyeballs import AddrInfoType

from remotemedia.http2 import dial as module
from remotemedia.http2.address import Address
from remotemedia.http2.dial import dial
from remotemedia.http2.proxy import Proxy, ProxyError
from tests.faults.tools import black_hole
from tests.support.processes import free_port
from tests.support.proxies import connect_proxy

NAME = Address("media.example", 443)


@asynccontextmanager
async def listener(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Accept connections on a free port, and yield it."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def means(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Have every name mean these places, without asking a name server."""

    async def lookup(address: Address) -> Sequence[AddrInfoType]:
        return [
            (family, socket.SOCK_STREAM, 0, "", place)
            for place in places
            for family in [socket.AF_INET6 if ":" in place[0] else socket.AF_INET]
        ]

    monkeypatch.setattr(module, "_lookup", lookup)


def port_of(connection: socket.socket) -> int:
    """Where a socket leads; the socket is closed."""
    with connection:
        port: int = connection.getpeername()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_socket_to_an_address(host: str) -> None:
    async with listener() as port:
        connection = await dial(Address(host, port))
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert port_of(connection) == port


async def test_an_address_of_ipv6() -> None:
    try:
        async with listener("::1") as port:
            assert port_of(await dial(Address("::1", port))) == port
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


async def test_an_address_that_refuses_is_passed_over_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_NEXT_ATTEMPT_S", 60.0)
    async with listener() as port:
        means(monkeypatch, ("::1", free_port()), ("127.0.0.1", port))
        assert port_of(await dial(NAME)) == port


async def test_an_address_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_NEXT_ATTEMPT_S", 0.01)
    async with listener() as port:
        with black_hole() as silent:
            means(monkeypatch, ("127.0.0.1", silent), ("127.0.0.1", port))
            assert port_of(await dial(NAME)) == port


async def test_connections_are_spread_over_the_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listener() as one, listener() as two:
        means(monkeypatch, ("127.0.0.1", one), ("127.0.0.1", two))
        found = [port_of(await dial(NAME, first=first)) for first in range(3)]
        assert found == [one, two, one]


async def test_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    means(monkeypatch, ("127.0.0.1", free_port()), ("127.0.0.1", free_port()))
    with pytest.raises(OSError, match=r"Multiple exceptions|Connect call failed"):
        await dial(NAME)


async def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(socket.gaierror):
        await dial(Address("no-such-host.invalid", 1))
    with pytest.raises(UnicodeError):
        await dial(Address("ä..b", 1))


async def test_the_way_leads_through_a_proxy() -> None:
    """The proxy is the one that looks up the name of the service."""
    async with listener() as port, connect_proxy() as proxy:
        proxy.hosts[str(NAME)] = f"127.0.0.1:{port}"
        to_proxy = Proxy(Address("127.0.0.1", proxy.port))
        assert port_of(await dial(NAME, to_proxy)) == proxy.port
        assert proxy.requests == [
            "CONNECT media.example:443 HTTP/1.1\r\nHost: media.example:443\r\n\r\n"
        ]


async def test_a_proxy_that_cannot_be_reached_is_to_blame() -> None:
    for host in ("127.0.0.1", "no-such-host.invalid"):
        proxy = Proxy(Address(host, free_port()))
        with pytest.raises(ProxyError, match=f"cannot connect to the proxy {host}"):
            await dial(NAME, proxy)
