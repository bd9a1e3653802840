"""A channel: where a client connects, and when it connects again.

A channel makes its connection when the first stream needs one. It keeps it for as long
as it trusts the peer: until the connection is lost, the peer announces its end
(GOAWAY), or a caller reports that an answer did not come and the peer has been silent
meanwhile. Streams that are open go on; new ones get a new connection. After a failed
attempt to connect, calls fail at once for a while instead of trying again. A connection
that ended before any call was answered counts as a failed attempt, and so does one that
was ended for what the peer sent.
"""

from __future__ import annotations

import asyncio
import os
import warnings
import weakref
from collections.abc import Callable
from ssl import SSLContext
from typing import TYPE_CHECKING

from remotemedia.http2.address import Address
from remotemedia.http2.connection import Connection
from remotemedia.http2.errors import (
    BadPeerError,
    ConnectFailedError,
    ConnectionLostError,
    HTTP2Error,
    StreamRefusedError,
    connect_failed,
)
from remotemedia.http2.timeouts import WaitTimeoutError, check_seconds, wait_at_most
from remotemedia.http2.tls import tls_context

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

DEFAULT_CONNECT_TIMEOUT_S = 10.0
"""How long connecting may take, TLS and the peer's greeting included."""

# How long closing may take.
_CLOSE_GRACE_S = 1.0
# How long no attempt is made after a failed one; doubled with every further failure.
_FIRST_BACKOFF_S = 0.1
_MAX_DOUBLINGS = 6
_DISCONNECTED = "the client was disconnected"


def _here() -> tuple[int, asyncio.AbstractEventLoop]:
    # After a fork both processes have the socket, so the process counts as well.
    return os.getpid(), asyncio.get_running_loop()


class Channel:
    """The way to a service, over one connection at a time.

    ::

        async with Channel("localhost:50051") as channel:
            stub = GreeterStub(channel)

    Args:
        address: ``host:port``, ``[v6]:port`` or ``unix:/path``.
        ssl: True for TLS with the system's authorities, or an ``SSLContext``; its ALPN
            protocols are set to HTTP/2.
        connect_timeout: seconds that connecting may take, up to the peer's greeting.

    It belongs to the event loop and the process that it is made in.

    Attributes:
        address: the address.
        on_connected: called when a connection was made, if it is set.
    """

    def __init__(
        self,
        address: Address | str,
        *,
        ssl: bool | SSLContext = False,
        connect_timeout: float | None = DEFAULT_CONNECT_TIMEOUT_S,
    ) -> None:
        self.address: Address = (
            address if isinstance(address, Address) else Address.parse(address)
        )
        check_seconds("connect_timeout", connect_timeout)
        self._ssl = tls_context(ssl)
        self._connect_timeout_s = connect_timeout
        self._made_in = _here()
        self._loop = asyncio.get_running_loop()
        self.on_connected: Callable[[], None] | None = None
        self._is_closed = False
        self._connection: Connection | None = None
        # When it was made, while it is not known whether it was of use.
        self._connected_s: float | None = None
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._attempt: asyncio.Task[Connection] | None = None
        self._failures = 0
        self._last_failure: HTTP2Error | None = None
        self._next_attempt_s = 0.0

    @property
    def scheme(self) -> str:
        """``https`` or ``http``, as requests state it."""
        return "https" if self._ssl else "http"

    @property
    def authority(self) -> str:
        """The host and port, as requests state them."""
        return "localhost" if self.address.path else str(self.address)

    @property
    def is_usable_here(self) -> bool:
        """Whether this is the event loop and the process that it was made in."""
        return self._made_in == _here()

    @property
    def is_orphan(self) -> bool:
        """Whether its event loop is closed, so that nobody can use it any more."""
        return self._made_in[0] == os.getpid() and self._loop.is_closed()

    @property
    def connection(self) -> Connection | None:
        """The connection, if a stream can be opened on it at once."""
        connection = self._connection
        if (
            connection is None
            or not connection.accepts_streams
            or not self.is_usable_here
        ):
            return None
        return connection

    async def connect(self) -> Connection:
        """The connection that a new stream goes over; it is made if there is none.

        Raises:
            ConnectFailedError: no connection could be made; or the channel is closed,
                or belongs to another event loop or process.
            StreamRefusedError: it is too early for another connection, since the last
                was of no use.
        """
        if not self.is_usable_here:
            raise ConnectFailedError(
                "the connection belongs to another event loop or process: make one "
                "for each"
            )
        if (connection := self.connection) is not None:
            return connection
        if self._attempt is None:
            self._count_last()
            self._check_backoff()
            self._attempt = self._loop.create_task(self._connect())
            self._attempt.add_done_callback(self._on_attempt_done)
        attempt = self._attempt
        try:
            # The attempt is for everyone who waits: it goes on if one of them leaves.
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():
                raise ConnectFailedError(_DISCONNECTED) from None
            raise

    def close(self) -> None:
        """Close for good: streams that are open fail, and none can be opened."""
        self._is_closed = True
        if self._attempt is not None:
            self._attempt.cancel()
        for connection in list(self._connections):
            connection.close(
                ConnectionLostError(f"the connection was lost: {_DISCONNECTED}")
            )
        self._connection = None

    async def wait_closed(self) -> None:
        """Wait until the sockets of a closed channel are closed, for a second at most.

        After that, connections are cut off that still have something to write.
        """
        lost = [connection.lost for connection in self._connections]
        if lost:
            await asyncio.wait(lost, timeout=_CLOSE_GRACE_S)
        for connection in list(self._connections):
            connection.abort()

    def abandon(self) -> None:
        """Forget the connection, and leave its socket to the loop that it is in."""
        self._is_closed = True
        self._connection = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def __del__(self) -> None:
        # Not set where __init__ failed.
        connection = getattr(self, "_connection", None)
        if connection is not None and connection.end is None:
            warnings.warn(
                f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self
            )
            if not self._loop.is_closed():
                # Garbage may be collected in any thread.
                self._loop.call_soon_threadsafe(
                    connection.close,
                    ConnectionLostError("the channel was dropped without being closed"),
                )

    def _count_last(self) -> None:
        """Count the last connection as a success, or as a failed attempt to connect."""
        connection, connected_s = self._connection, self._connected_s
        if connection is None or connected_s is None:
            return
        self._connected_s = None
        is_bad = isinstance(connection.end, BadPeerError)
        if connection.is_useful and not is_bad:
            self._failures = 0
        elif connection.end is not None and not connection.was_given_up:
            since_s = self._loop.time() if is_bad else connected_s
            self._back_off(connection.end, since_s)

    def _check_backoff(self) -> None:
        """Refuse to connect if the last attempt failed a moment ago."""
        if self._is_closed:
            raise ConnectFailedError(_DISCONNECTED)
        if (
            self._connection is not None
            and self._last_failure is self._connection.end is not None
            and self._loop.time() < self._next_attempt_s
        ):
            raise StreamRefusedError(
                "the last connection was of no use, and it is too early for another: "
                f"{self._last_failure}"
            )
        if self._last_failure is not None and self._loop.time() < self._next_attempt_s:
            raise ConnectFailedError(
                "the last attempt to connect failed a moment ago, and it is too early "
                f"for another: {self._last_failure}"
            ) from self._last_failure

    async def _connect(self) -> Connection:
        """Make one attempt, for everyone who waits for a connection."""
        try:
            connection = await wait_at_most(
                self._connect_timeout_s, self._connect_once()
            )
        except WaitTimeoutError:
            error = ConnectFailedError(
                f"the peer did not greet within {self._connect_timeout_s:g} s: is it "
                "an HTTP/2 service, and is TLS on at both ends or at neither?"
            )
            self._back_off(error, self._loop.time())
            raise error from None
        except HTTP2Error as error:
            if not self._is_closed:
                self._back_off(error, self._loop.time())
            raise
        self._last_failure = None
        self._connection, self._connected_s = connection, self._loop.time()
        if self.on_connected is not None:
            self.on_connected()
        return connection

    def _on_attempt_done(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempt = None
        if not attempt.cancelled():
            # Retrieve the exception, or the event loop would log that nobody did.
            attempt.exception()

    def _back_off(self, error: HTTP2Error, since_s: float) -> None:
        backoff_s = _FIRST_BACKOFF_S * 2 ** min(self._failures, _MAX_DOUBLINGS)
        self._failures += 1
        self._last_failure = error
        self._next_attempt_s = since_s + backoff_s

    async def _connect_once(self) -> Connection:
        try:
            connection = await self._open_transport()
        except (OSError, UnicodeError) as error:
            # A host name with an empty label is a UnicodeError.
            raise connect_failed(self.address, error) from error
        self._connections.add(connection)
        try:
            problem = await connection.greeted
            # The peer may have greeted and hung up at once.
            if problem := problem or connection.end:
                text = _DISCONNECTED if self._is_closed else str(problem)
                raise ConnectFailedError(text) from problem
        except BaseException as error:
            connection.close(ConnectionLostError(str(error)))
            raise
        return connection

    async def _open_transport(self) -> Connection:
        host, port, path = self.address.host, self.address.port, self.address.path
        if path:
            # A unix socket has no host name that a certificate could be for.
            name = "localhost" if self._ssl else None
            _, connection = await self._loop.create_unix_connection(
                Connection, path, ssl=self._ssl, server_hostname=name
            )
        else:
            _, connection = await self._loop.create_connection(
                Connection, host, port, ssl=self._ssl
            )
        return connection
