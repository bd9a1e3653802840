"""The socket side of the embedded service: grpclib's server, and what it lacks.

That is a limit on the size of a request, more than 100 concurrent calls on one
connection, the port that the system chose, and a shutdown that does not wait for
clients to hang up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server
from h2.settings import SettingCodes

from remotemedia.http2.compat import (
    SERVER_NAMES,
    check_names,
    h2_connection,
    is_over,
    postpone_expired_deadlines,
    refuse_compressed_calls,
    wrap_connections,
)
from remotemedia.protobuf import check_wire_types
from remotemedia.testing.limits import MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from grpclib.server import Stream

    from remotemedia.testing.front import Servable
    from remotemedia.testing.script import Handler as HandlerFunction

check_names(SERVER_NAMES)

_log = logging.getLogger(__name__)

_MAX_CALLS_A_CONNECTION = 10_000

# One session that is not read must not use up the window that all streams of its
# connection share.
_WINDOWS = Configuration(
    http2_stream_window_size=1024 * 1024,
    http2_connection_window_size=64 * 1024 * 1024,
)

# How long clients may take to read the rest when the service stops.
_FAREWELL_S = 1.0


class Stopwatch:
    """A sum of times."""

    def __init__(self) -> None:
        self.seconds: float = 0.0


serialization: ContextVar[Stopwatch] = ContextVar("serialization")
"""The time that the current call has spent on decoding and encoding messages."""


class LimitedCodec(ProtoCodec):
    """Encodes and decodes messages, and refuses a request that is too large.

    A request that is too large is read in full before it is refused. So the client
    is sure to see the status, and not a reset while it still sends.
    """

    def __init__(self, max_request_bytes: int = MAX_REQUEST_BYTES) -> None:
        self._max_request_bytes = max_request_bytes

    def decode(self, data: bytes, message_type: Any) -> Any:
        """Decode a request.

        Raises:
            GRPCError: OUT_OF_RANGE, if the request is too large; INTERNAL, if it is not
                a message of this type.
        """
        if len(data) > self._max_request_bytes:
            raise GRPCError(
                Status.OUT_OF_RANGE,
                f"a request message of {len(data)} bytes, where "
                f"{self._max_request_bytes} is the limit; stream the audio in chunks",
            )
        started = time.perf_counter()
        try:
            message: Any = super().decode(data, message_type)
            check_wire_types(message)
            return message
        except ValueError as error:
            raise GRPCError(
                Status.INTERNAL,
                f"failed to decode Protobuf message: {error}",
            ) from error
        finally:
            serialization.get().seconds += time.perf_counter() - started

    def encode(self, message: Any, message_type: Any) -> bytes:
        """Encode a response."""
        started = time.perf_counter()
        try:
            return super().encode(message, message_type)
        finally:
            serialization.get().seconds += time.perf_counter() - started


class SocketServer(Server):
    """A server that closes its connections when it stops.

    It logs no error when a client cancels a call or goes away.
    """

    def __init__(
        self,
        services: Collection[Servable],
        max_request_bytes: int,
    ) -> None:
        codec = LimitedCodec(max_request_bytes)
        super().__init__(services, codec=codec, config=_WINDOWS)
        wrap_connections(self, partial(_Connection, self))
        self.connections: set[_Connection] = set()
        self.is_stopping: bool = False

    async def stop(self) -> None:
        """Cancel every call, close every connection, and wait until all have ended."""
        self.is_stopping = True
        self.close()
        for connection in self.connections:
            connection.hang_up()
        if self.connections:
            lost = [connection.lost for connection in self.connections]
            await asyncio.wait(lost, timeout=_FAREWELL_S)
        # Only what is still open: asyncio cannot abort a transport that has closed.
        for connection in self.connections:
            connection.transport.abort()
        # Only asyncio knows of a client that is in its TLS handshake, and from Python
        # 3.12 on it waits for that client.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.wait_closed(), _FAREWELL_S)


async def let_call_end(handler: HandlerFunction, stream: Stream[Any, Any]) -> None:
    """Run the handler of a call, whose exceptions are of no interest once it is over.

    When a client cancels a call or goes away while a message is sent to it, grpclib and
    h2 raise all kinds of exceptions, which grpclib would log as errors of the handler.

    Raises:
        asyncio.CancelledError: the call is over; grpclib then logs no error.
    """
    try:
        await handler(stream)
    except Exception:
        if not is_over(stream):
            raise
        _log.debug("the call ended before its handler", exc_info=True)
    if is_over(stream):
        raise asyncio.CancelledError


class _Outlet:
    """A transport that drops what is written after the connection is lost.

    asyncio logs a warning for each such write.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Connection(H2Protocol):
    """A connection, which its server has in `connections` while it is open."""

    transport: asyncio.Transport

    def __init__(self, server: SocketServer, plain: H2Protocol) -> None:
        super().__init__(plain.handler, plain.config, plain.h2_config)
        postpone_expired_deadlines(plain)
        refuse_compressed_calls(plain)
        self.lost = asyncio.get_running_loop().create_future()
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, and tell the client how many concurrent calls it may make."""
        self.transport = cast("asyncio.Transport", transport)
        super().connection_made(cast("asyncio.Transport", _Outlet(self.transport)))
        h2_connection(self).update_settings(
            {SettingCodes.MAX_CONCURRENT_STREAMS: _MAX_CALLS_A_CONNECTION}
        )
        self.connection.flush()
        self._server.connections.add(self)
        if self._server.is_stopping:
            # It was accepted just before the server stopped.
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the calls of the connection."""
        super().connection_lost(exc)
        self._server.connections.discard(self)
        if not self.lost.done():
            self.lost.set_result(None)

    def hang_up(self) -> None:
        """Send a GOAWAY frame, and close once it has left."""
        if not self.transport.is_closing():
            h2_connection(self).close_connection()
            self.connection.flush()
            self.transport.close()
