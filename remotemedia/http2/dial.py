"""Sockets to services: name lookup, happy eyeballs, and the way through a proxy.

A name may have many addresses, of both families. They are tried side by side, as
"Happy Eyeballs" (RFC 8305) has it: the next one 250 ms after the one before, or as soon
as that one failed. The first that connects is taken. The package aiohappyeyeballs does
that on any event loop; uvloop itself cannot.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - asyncio imports it for the first lookup
import ipaddress
import socket
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType, start_connection

from remotemedia.http2.address import Address
from remotemedia.http2.proxy import Proxy, ProxyError

# RFC 8305, section 5, "Connection Attempt Delay".
_NEXT_ATTEMPT_S = 0.25


async def dial(
    address: Address, proxy: Proxy | None = None, first: int = 0
) -> socket.socket:
    """Connect a socket to a host and port.

    Args:
        address: where the service listens.
        proxy: the proxy to go through, or None.
        first: which of the addresses of the name to try first. Counting past the last
            begins again, so that several connections are spread over all of them.

    Raises:
        OSError: the name is not known, or none of its addresses can be connected to.
        ProxyError: the proxy did not make a tunnel.
        UnicodeError: the name has a label that is empty or too long.
    """
    if proxy is None:
        return await _connected(address, first)
    try:
        connection = await _connected(proxy.address, first)
    except (OSError, UnicodeError) as error:
        raise ProxyError(f"cannot connect to {proxy}: {error}") from error
    try:
        await proxy.tunnel(connection, address)
    except ConnectionError as error:
        connection.close()
        raise ProxyError(f"{proxy} closed the connection: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _connected(address: Address, first: int) -> socket.socket:
    found = await _lookup(address)
    first %= len(found)
    try:
        connection = await start_connection(
            [*found[first:], *found[:first]],
            happy_eyeballs_delay=_NEXT_ATTEMPT_S,
            interleave=1,
        )
    except RuntimeError as error:
        # uvloop raises it in place of some kinds of OSError.
        raise OSError(str(error)) from error
    # Nagle's algorithm would delay small messages by up to 40 ms. asyncio switches it
    # off by itself, uvloop does not for a socket that is given to it.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


async def _lookup(address: Address) -> Sequence[AddrInfoType]:
    """The addresses of a name, in the order that the system prefers (RFC 6724)."""
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        loop = asyncio.get_running_loop()
        host: str | bytes = address.host
        if address.host.isascii():
            # For text, Python would import its codec for international names.
            host = address.host.encode()
        return await loop.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    # A number needs no lookup, and no thread for it.
    return socket.getaddrinfo(
        address.host.encode(),
        address.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
