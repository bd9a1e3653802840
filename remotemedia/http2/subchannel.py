"""A subchannel: the way to one address, over one connection or a few.

It makes a connection when a stream needs one. It keeps it for as long as it trusts the
peer: until the connection is lost, the peer announces its end (GOAWAY), or a caller or
keepalive finds that the peer is silent. Streams that are open go on; new ones get a new
connection, for which the name is looked up again.

Attempts are spaced by a backoff, which all connections to the address have in common.
After an attempt that failed, there is none for a while, and whoever needs one is told
so at once. After a connection that ended before a single call was answered, or that was
ended for what the peer sent, the next attempt waits, so that a peer which greets and
hangs up is not connected to in a tight loop.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from functools import partial

from remotemedia.http2.backoff import Backoff
from remotemedia.http2.config import ChannelConfig, Server
from remotemedia.http2.connection import Connection
from remotemedia.http2.dial import dial
from remotemedia.http2.errors import (
    BadPeerError,
    CertificateError,
    ConnectFailedError,
    ConnectionLostError,
    connect_failed,
)
from remotemedia.http2.timeouts import WaitTimeoutError, wait_at_most

DISCONNECTED = "the client was disconnected"

_log = logging.getLogger("remotemedia.connections")


class Subchannel:
    """One address, its connections, and its backoff.

    Args:
        server: the address, and the proxy on the way to it.
        config: the options of the channel.

    Attributes:
        last_failure: why the last attempt to connect failed, or None.
        on_connected: called when a connection was made, if it is set.
        connections: all connections that were made and still exist, including those
            that accept no new streams.
    """

    def __init__(self, server: Server, config: ChannelConfig) -> None:
        self._server = server
        self._config = config
        self._keepalive = config.keepalive
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(self._loop.time)
        # The connections for new streams, and when each was made.
        self._current: dict[Connection, float] = {}
        self._attempt: asyncio.Task[Connection] | None = None
        self._is_closed = False
        self.on_connected: Callable[[], None] | None = None
        self.last_failure: ConnectFailedError | None = None
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    @property
    def backoff_s(self) -> float:
        """Seconds until an attempt may begin after one that failed."""
        return self._backoff.remaining_s if self.last_failure is not None else 0.0

    def pick(self) -> Connection | None:
        """The connection with the fewest streams, or None if there is none.

        Another one begins to be made, where it is missing or all others are in use.
        """
        chosen: Connection | None = None
        for connection in self._current:
            if connection.accepts_streams and (
                chosen is None or connection.open_streams < chosen.open_streams
            ):
                chosen = connection
        if chosen is None or (self._config.connections > 1 and chosen.open_streams):
            self.attempt()
        return chosen

    def attempt(self) -> asyncio.Task[Connection] | None:
        """The attempt to connect that is under way, or a new one.

        It is for everyone who waits: it goes on if one of them leaves.

        Returns:
            The attempt; None if it is too early for one, or there is nothing to make.
        """
        if self._attempt is not None and self._attempt.done():
            # The event loop has not called back yet.
            self._attempt = None
        if self._attempt is None and not self._is_closed:
            self._leave_ended()
            if not self.backoff_s and len(self._current) < self._config.connections:
                self._attempt = self._loop.create_task(self._connect())
                self._attempt.add_done_callback(self._on_attempt_done)
        return self._attempt

    def close(self) -> None:
        """Close for good: streams that are open fail, and none can be opened."""
        self._is_closed = True
        if self._attempt is not None:
            self._attempt.cancel()
        end = ConnectionLostError(f"the connection was closed: {DISCONNECTED}")
        for connection in list(self.connections):
            connection.close(end)
        self._current.clear()

    def abandon(self) -> list[Connection]:
        """Forget the connections, and leave their sockets to their event loop."""
        self._is_closed = True
        connections = list(self._current)
        self._current.clear()
        return connections

    def _leave_ended(self) -> None:
        """Forget the connections that have ended, and learn from them."""
        for connection, made_s in list(self._current.items()):
            if connection.accepts_streams:
                continue
            del self._current[connection]
            is_bad = isinstance(connection.end, BadPeerError)
            if connection.is_useful and not is_bad:
                self._backoff.reset()
            elif not connection.was_given_up:
                self._backoff.fail(None if is_bad else made_s)
            if connection.was_pinged_too_often and self._keepalive is not None:
                self._keepalive = self._keepalive.slower()
                _log.warning(
                    "%s finds the pings too frequent: the next connection sends them "
                    "after %g s of silence",
                    self._server.address,
                    self._keepalive.interval_s,
                )

    def _on_attempt_done(self, attempt: asyncio.Task[Connection]) -> None:
        if self._attempt is attempt:
            self._attempt = None
        if not attempt.cancelled():
            # Retrieve the exception, or the event loop would log that nobody did.
            attempt.exception()

    async def _connect(self) -> Connection:
        """Make one attempt, after what is left of the wait."""
        if wait_s := self._backoff.remaining_s:
            await asyncio.sleep(wait_s)
        address, timeout_s = self._server.address, self._config.connect_timeout_s
        try:
            connection = await wait_at_most(timeout_s, self._connect_once())
        except WaitTimeoutError:
            error = ConnectFailedError(
                f"{address} did not greet within {timeout_s:g} s: is it an HTTP/2 "
                "service, and is TLS on at both ends or at neither?"
            )
            self._fail(error)
            raise error from None
        except ConnectFailedError as error:
            if not self._is_closed:
                self._fail(error)
            raise
        self.last_failure = None
        self._current[connection] = self._loop.time()
        _log.info("connected to %s", address)
        connection.lost.add_done_callback(partial(self._on_lost, connection))
        if self.on_connected is not None:
            self.on_connected()
        return connection

    def _fail(self, error: ConnectFailedError) -> None:
        self._backoff.fail()
        self.last_failure = error
        _log.warning(
            "no connection to %s, and no attempt for %.1f s: %s",
            self._server.address,
            self._backoff.remaining_s,
            error,
        )

    def _on_lost(self, connection: Connection, lost: asyncio.Future[None]) -> None:
        is_wanted = self._is_closed or connection.is_retired
        _log.log(
            logging.INFO if is_wanted else logging.WARNING,
            "%s: %s",
            self._server.address,
            connection.end,
        )

    async def _connect_once(self) -> Connection:
        address = self._server.address
        try:
            connection = await self._open_transport()
        except Exception as error:
            # An OSError, or a UnicodeError for a host name with an empty label. What
            # else a library raises must not pass for no failure at all.
            raise connect_failed(address, error) from error
        self.connections.add(connection)
        try:
            problem = await connection.greeted
            # `close` may have come before it knew of the connection.
            if self._is_closed:
                raise ConnectFailedError(DISCONNECTED)
            # The peer may have greeted and hung up at once.
            if problem := problem or connection.end:
                is_lasting = isinstance(problem, CertificateError)
                error_type = CertificateError if is_lasting else ConnectFailedError
                raise error_type(f"{address}: {problem}") from problem
        except BaseException as error:
            connection.close(ConnectionLostError(str(error)))
            raise
        return connection

    async def _open_transport(self) -> Connection:
        address = self._server.address
        make = partial(Connection, address, self._keepalive)
        ssl = self._config.ssl
        # A unix socket has no host name that a certificate could be for.
        name = (address.host or "localhost") if ssl else None
        if address.path:
            _, connection = await self._loop.create_unix_connection(
                make, address.path, ssl=ssl, server_hostname=name
            )
            return connection
        # Several connections are spread over the addresses of the name.
        sock = await dial(address, self._server.proxy, len(self._current))
        try:
            _, connection = await self._loop.create_connection(
                make, sock=sock, ssl=ssl, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return connection
