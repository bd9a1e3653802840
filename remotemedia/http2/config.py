"""What a channel is made of: its addresses and options, checked before it connects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import TypeAlias

from remotemedia.http2.address import Address
from remotemedia.http2.keepalive import (
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
    KeepaliveTimes,
)
from remotemedia.http2.proxy import Proxy, proxy_for
from remotemedia.http2.timeouts import check_seconds
from remotemedia.http2.tls import TLS, tls_context

DEFAULT_CONNECT_TIMEOUT_S = 10.0
"""How long connecting may take, TLS and the peer's greeting included."""

Addresses: TypeAlias = "Address | str | Sequence[Address | str]"
"""One address, or several, of services that do the same."""


@dataclass(frozen=True)
class Server:
    """One address, and the proxy on the way to it, if there is one."""

    address: Address
    proxy: Proxy | None

    @property
    def is_local(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return self.address.is_local and (
            self.proxy is None or self.proxy.address.is_local
        )


@dataclass(frozen=True)
class ChannelConfig:
    """The arguments of a channel, checked. ``Channel`` describes them."""

    servers: tuple[Server, ...]
    ssl: SSLContext | None
    connect_timeout_s: float | None
    connections: int
    keepalive: KeepaliveTimes | None

    @classmethod
    def of(
        cls,
        address: Addresses,
        *,
        ssl: bool | SSLContext | TLS = False,
        proxy: str | bool = True,
        connections: int = 1,
        connect_timeout: float | None = DEFAULT_CONNECT_TIMEOUT_S,
        keepalive: float | None = DEFAULT_KEEPALIVE_S,
        keepalive_timeout: float = DEFAULT_KEEPALIVE_TIMEOUT_S,
    ) -> ChannelConfig:
        """Check the arguments of a channel.

        Raises:
            TypeError: an argument has a wrong type.
            ValueError: an argument has a value that makes no sense.
            OSError: a certificate file cannot be read.
        """
        for name, seconds in (
            ("connect_timeout", connect_timeout),
            ("keepalive", keepalive),
            ("keepalive_timeout", keepalive_timeout),
        ):
            check_seconds(name, seconds)
        if keepalive_timeout is None:
            raise TypeError(
                "keepalive_timeout must be a number of seconds; pass keepalive=None "
                "to send no pings"
            )
        if isinstance(connections, bool) or not isinstance(connections, int):
            raise TypeError(f"connections must be an int, got {connections!r}")
        if connections < 1:
            raise ValueError(f"connections must be at least 1, got {connections}")
        return cls(
            servers=tuple(
                Server(address, proxy_for(address, proxy, os.environ))
                for address in _addresses(address)
            ),
            ssl=tls_context(ssl),
            connect_timeout_s=connect_timeout,
            connections=connections,
            keepalive=None
            if keepalive is None
            else KeepaliveTimes(keepalive, keepalive_timeout),
        )

    @property
    def exposed(self) -> str:
        """The first address to which plaintext would leave this machine, or ""."""
        if self.ssl is not None:
            return ""
        return next((str(s.address) for s in self.servers if not s.is_local), "")

    def __str__(self) -> str:
        return ", ".join(str(server.address) for server in self.servers)


def _addresses(given: Addresses) -> tuple[Address, ...]:
    several = [given] if isinstance(given, (str, Address)) else given
    if not isinstance(several, Sequence):
        raise TypeError(
            "address must be a str or a list of them, such as "
            f"['a:50051', 'b:50051'], got {type(given).__name__}"
        )
    addresses = tuple(
        address if isinstance(address, Address) else Address.parse(address)
        for address in several
    )
    if not addresses:
        raise ValueError("address is an empty list; give at least one address")
    for address in addresses:
        if addresses.count(address) > 1:
            raise ValueError(
                f"address {address} is listed twice; for several connections to each "
                "address pass connections=N"
            )
    return addresses
