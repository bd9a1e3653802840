"""HTTP/2 client transport: connections, and the bytes of their streams.

This package handles addresses, TLS, sockets, HTTP/2's frames and windows, and when to
connect again. It must not know gRPC, protobuf or pipelines: it moves bytes, and its
user knows what they mean. Why a stream or a connection ended is a type: a subclass of
``HTTP2Error``.

- ``address``, ``tls`` and ``proxy``: where to connect, how it is secured, and the way.
- ``config``: what a channel is made of, checked.
- ``channel``: the addresses that a client may use, and which one a call goes to.
- ``subchannel``: the connections to one address, made when they are needed.
- ``backoff``: how long to wait before the next attempt to connect.
- ``dial``: sockets: name lookup and happy eyeballs.
- ``connection``: one connection over an asyncio transport, and its streams.
- ``keepalive``: pings that find out whether a silent peer is still there.
- ``frames``: the connection without I/O, on top of h2.
- ``headers``: header blocks, within limits.
- ``budget``: how much a peer may send that moves no call on.
- ``compat``: everything that is private in h2 and grpclib, in one place.
- ``errors``: why a connection or a stream ended.
- ``timeouts``: waiting with a bound.

It is private: applications use ``remotemedia.grpc``, which exports ``Channel``.
"""

from h2.errors import ErrorCodes

from remotemedia.http2.address import Address
from remotemedia.http2.channel import Channel
from remotemedia.http2.config import (
    DEFAULT_CONNECT_TIMEOUT_S,
    Addresses,
    ChannelConfig,
)
from remotemedia.http2.connection import WRITE_BYTES, Connection, Stream
from remotemedia.http2.errors import (
    BadPeerError,
    BadResponseError,
    CertificateError,
    ConnectFailedError,
    ConnectionLostError,
    HTTP2Error,
    NotHTTP2Error,
    StreamClosedError,
    StreamRefusedError,
    StreamResetError,
)
from remotemedia.http2.headers import Headers
from remotemedia.http2.keepalive import (
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
)
from remotemedia.http2.timeouts import WaitTimeoutError, check_seconds, wait_at_most
from remotemedia.http2.tls import TLS

__all__ = [
    "DEFAULT_CONNECT_TIMEOUT_S",
    "DEFAULT_KEEPALIVE_S",
    "DEFAULT_KEEPALIVE_TIMEOUT_S",
    "TLS",
    "WRITE_BYTES",
    "Address",
    "Addresses",
    "BadPeerError",
    "BadResponseError",
    "CertificateError",
    "Channel",
    "ChannelConfig",
    "ConnectFailedError",
    "Connection",
    "ConnectionLostError",
    "ErrorCodes",
    "HTTP2Error",
    "Headers",
    "NotHTTP2Error",
    "Stream",
    "StreamClosedError",
    "StreamRefusedError",
    "StreamResetError",
    "WaitTimeoutError",
    "check_seconds",
    "wait_at_most",
]
