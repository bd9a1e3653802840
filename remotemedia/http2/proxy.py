"""HTTP CONNECT proxies: which one to use, and a tunnel through it.

The rules are those of gRPC's C core (``doc/environment_variables.md`` of the gRPC
project, and its ``http_proxy_mapper.cc``). The proxy is the first that is set of the
environment variables ``grpc_proxy``, ``https_proxy`` and ``http_proxy``. The first that
is set of ``no_grpc_proxy`` and ``no_proxy`` lists, separated by commas, what to connect
to directly: ends of host names, and networks for addresses that are numbers. The proxy
looks up the name of the service.

One rule is our own: services on this machine are connected to directly, as to a proxy
on another machine they would be another machine.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from remotemedia.http2.address import Address

_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXY_VARIABLES = ("no_grpc_proxy", "no_proxy")
_DEFAULT_PORT = 80
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
# A proxy's response headers take a few hundred bytes.
_MAX_RESPONSE_BYTES = 16 * 1024


class ProxyError(OSError):
    """A proxy did not make a tunnel."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy, and the credentials for it, which nothing shows.

    Attributes:
        address: where it listens.
        authorization: the value of the header Proxy-Authorization, or None.
    """

    address: Address
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, source: str) -> Proxy:
        """Read a URL such as ``http://user:password@proxy:3128``.

        Args:
            url: the URL. No error repeats it, as it may hold a password.
            source: where it comes from, for errors.

        Raises:
            ValueError: it is not the URL of an HTTP proxy.
        """
        try:
            parts = urlsplit(url)
            address = _address_of(parts)
        except ValueError:
            raise ValueError(
                f"{source} is not a URL of the form http://host:port, or "
                "http://user:password@host:port; pass proxy=False for no proxy"
            ) from None
        if parts.username is None:
            return cls(address)
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        encoded = base64.b64encode(credentials.encode()).decode()
        return cls(address, f"Basic {encoded}")

    def __str__(self) -> str:
        return f"the proxy {self.address}"

    async def tunnel(self, connection: socket.socket, target: Address) -> None:
        """Have the proxy connect a socket to a service (RFC 9110, section 9.3.6).

        Raises:
            ProxyError: the proxy refused, or did not answer with HTTP.
            OSError: the connection to it was lost.
        """
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if self.authorization is not None:
            request += f"Proxy-Authorization: {self.authorization}\r\n"
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, f"{request}\r\n".encode())
        response = b""
        while not response.endswith(b"\r\n\r\n"):
            # One byte at a time: what follows the headers is the service's.
            byte = await loop.sock_recv(connection, 1)
            response += byte
            if not byte or len(response) > _MAX_RESPONSE_BYTES:
                raise ProxyError(f"{self} did not answer as one")
        status = _STATUS_LINE.match(response)
        if status is None:
            raise ProxyError(f"{self} did not answer as one")
        code = int(status[1])
        if code == 407:
            raise ProxyError(
                f"{self} refused the credentials, or asks for some "
                "(HTTP status 407): the form is http://user:password@host:port"
            )
        if not 200 <= code < 300:
            raise ProxyError(f"{self} answered with HTTP status {code}")


def _address_of(parts: SplitResult) -> Address:
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address.parse(f"{host}:{parts.port or _DEFAULT_PORT}")


def proxy_for(
    address: Address, setting: str | bool, environment: Mapping[str, str]
) -> Proxy | None:
    """The proxy on the way to a service, or None for a direct connection.

    Args:
        address: where the service listens.
        setting: the URL of a proxy; True for what the environment says; False for none.
        environment: the environment variables.

    Raises:
        TypeError: the setting is neither.
        ValueError: the proxy is not the URL of an HTTP proxy, or the service has a unix
            socket, which no proxy reaches.
    """
    if isinstance(setting, bool):
        if not setting or address.is_local:
            return None
        for variable in _PROXY_VARIABLES:
            if (url := environment.get(variable)) and not _is_excepted(
                address, environment
            ):
                return Proxy.parse(url, f"the environment variable {variable}")
        return None
    if not isinstance(setting, str):
        raise TypeError(f"proxy must be a URL or a bool, got {type(setting).__name__}")
    if address.path:
        raise ValueError(f"no proxy reaches the unix socket {address}")
    return Proxy.parse(setting, "proxy")


def _is_excepted(address: Address, environment: Mapping[str, str]) -> bool:
    excepted = next(
        (value for name in _NO_PROXY_VARIABLES if (value := environment.get(name))), ""
    )
    for entry in filter(None, map(str.strip, excepted.split(","))):
        if address.host.lower().endswith(entry.lower()):
            return True
        try:
            if ipaddress.ip_address(address.host) in ipaddress.ip_network(
                entry, strict=False
            ):
                return True
        except ValueError:
            # One of the two is a name.
            continue
    return False
