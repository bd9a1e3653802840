"""Why a connection or a stream ended, as types.

::

    HTTP2Error
    ├── ConnectFailedError    no connection could be made, so nothing was sent
    │   └── CertificateError  one end refuses the other's certificate, and will again
    ├── StreamRefusedError    the peer did not process the stream; open it again
    ├── StreamResetError      the peer reset the stream
    ├── StreamClosedError     nothing more can be sent on the stream
    ├── BadResponseError      the peer broke a rule on the stream, and only it ended
    ├── ConnectionLostError   the connection ended while the stream was open
    ├── BadPeerError          the peer broke a rule that ends the connection
    └── NotHTTP2Error         the peer does not speak HTTP/2

The layer above turns these into what its own protocol calls them. Nothing parses the
texts, which are for people.
"""

from __future__ import annotations

import socket
import ssl

from remotemedia.http2.address import Address
from remotemedia.http2.proxy import ProxyError
from remotemedia.http2.tls import explained


class HTTP2Error(Exception):
    """A connection or a stream ended, or was never opened."""


class ConnectFailedError(HTTP2Error):
    """No connection could be made. Its cause, where it has one, says why."""


class CertificateError(ConnectFailedError):
    """The peer's certificate was refused, or the peer refused this client's.

    Another attempt would end the same way.
    """


class StreamRefusedError(HTTP2Error):
    """A healthy peer refused the stream unprocessed; it can be opened again at once.

    RFC 9113, section 8.7, names the two ways a peer says so: the error code
    REFUSED_STREAM, and a GOAWAY frame with a lower stream number.
    """


class StreamResetError(HTTP2Error):
    """The peer reset the stream.

    Attributes:
        code: the error code of RFC 9113, section 7; it may be one not listed there.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer reset the stream (HTTP/2 error code {code})")
        self.code = code


class StreamClosedError(HTTP2Error):
    """Nothing more can be sent on the stream; its ``on_end`` was told why."""


class ConnectionLostError(HTTP2Error):
    """The connection ended while the stream was open."""


class BadResponseError(HTTP2Error):
    """The peer broke a rule on one stream, which was reset (RFC 9113, section 5.4.2).

    Attributes:
        code: the error code that the peer was told.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the call was ended here: {reason}")
        self.code = code


class BadPeerError(HTTP2Error):
    """The peer broke a rule of HTTP/2, or wasted work, and the connection was ended.

    RFC 9113, section 5.4.1, says which rules those are.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the connection was ended here, because of what the peer sent: {reason}"
        )


class NotHTTP2Error(HTTP2Error):
    """The peer does not speak HTTP/2: it did not greet as RFC 9113 demands."""

    def __init__(self) -> None:
        super().__init__(
            "what the peer sent is not HTTP/2: is TLS on at both ends or at neither?"
        )


def connect_failed(address: Address, error: Exception) -> ConnectFailedError:
    """Say where the system could not connect, and what to check."""
    text = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLError):
        if problem := explained(error):
            return CertificateError(f"cannot connect to {address}: {problem}")
        hint = "is TLS on at the service?"
    elif isinstance(error, socket.gaierror):
        hint = f"is {address.host!r} the right name, and can this machine look it up?"
    elif isinstance(error, ProxyError):
        hint = ""
    elif isinstance(error, (ConnectionResetError, ConnectionAbortedError)):
        hint = "is TLS on at the service, and does it ask for a certificate?"
    elif isinstance(error, OSError):
        hint = "is the service running, and is this its address?"
    else:
        hint = ""
    return ConnectFailedError(
        f"cannot connect to {address}: {text}" + (hint and f": {hint}")
    )
