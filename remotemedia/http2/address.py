"""Addresses: where a service listens."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_HOST_PORT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True)
class Address:
    """A host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``, ``[v6]:port`` or ``unix:/path``.

        Raises:
            TypeError: the text is not a ``str``.
            ValueError: the text has none of these forms.
        """
        if not isinstance(text, str):
            raise TypeError(f"address must be a str, got {type(text).__name__}")
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/") or "\0" in path:
                raise ValueError(
                    f"address {text!r}: a unix socket is written unix:/path, with an "
                    "absolute path"
                )
            return cls(path=path)
        if "://" in text:
            raise ValueError(
                f"address {text!r} is a URL: leave out the scheme, and pass ssl=True "
                "for TLS"
            )
        found = _HOST_PORT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"address {text!r} is not one of host:port, [v6]:port, unix:/path"
            )
        host = found["v6"] or found["host"]
        if found["v6"]:
            try:
                ipaddress.IPv6Address(host)
            except ValueError as error:
                raise ValueError(f"address {text!r}: {error}") from None
        port = int(found["port"])
        if not 0 < port < 65536:
            raise ValueError(f"address {text!r}: a port is a number from 1 to 65535")
        return cls(host=host, port=port)

    @property
    def is_local(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
