"""A channel: the services that a client may use, and which one a call goes to.

In gRPC's terms, a channel has a *subchannel* for each address. Calls go to the
addresses in turn (round robin), and there to the connection with the fewest calls in
flight. An address without a connection is left out until it has one again, so a call
only waits where there is none to any of them, or where all have as many streams as the
services allow. A stream stays on the connection that it was opened on.

Nothing runs in the background: it is the next calls that have a lost connection made
anew, and that probe an address which failed, when its backoff is over. They do not wait
for it while other addresses work.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from remotemedia.http2.config import (
    DEFAULT_CONNECT_TIMEOUT_S,
    Addresses,
    ChannelConfig,
)
from remotemedia.http2.connection import Connection
from remotemedia.http2.errors import (
    CertificateError,
    ConnectFailedError,
    ConnectionLostError,
)
from remotemedia.http2.keepalive import (
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
)
from remotemedia.http2.subchannel import DISCONNECTED, Subchannel
from remotemedia.http2.timeouts import WaitTimeoutError, wait_at_most
from remotemedia.http2.tls import TLS

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

# How long closing may take.
_CLOSE_GRACE_S = 1.0
# How many addresses an error names with their reasons.
_MAX_REASONS = 8
_TOO_EARLY = (
    "the last attempt to connect failed a moment ago, and it is too early for another"
)


def _here() -> tuple[int, asyncio.AbstractEventLoop]:
    # After a fork both processes have the socket, so the process counts as well.
    return os.getpid(), asyncio.get_running_loop()


class Channel:
    """The way to a service, or to several that do the same.

    ::

        async with Channel("localhost:50051") as channel:
            stub = GreeterStub(channel)

    Args:
        address: ``host:port``, ``[v6]:port`` or ``unix:/path``; or a list of them, and
            calls go to each in turn. All addresses of a name are tried.
        ssl: True for TLS with the system's authorities, ``TLS`` for certificate files,
            or an ``SSLContext``, whose ALPN protocols are set to HTTP/2.
        proxy: the URL of an HTTP proxy, as ``http://user:password@host:port``; True for
            what the environment says (``grpc_proxy``, ``https_proxy``, ``http_proxy``,
            ``no_grpc_proxy``, ``no_proxy``); False for none.
        connections: the most connections to each address. Another one is made when
            those that there are have calls in flight.
        connect_timeout: seconds that connecting may take, up to the peer's greeting.
        keepalive: seconds of silence, while calls are open, after which the peer is
            sent a PING; None for no pings.
        keepalive_timeout: seconds that it then has to send anything. After that the
            connection is closed, and its calls fail.

    It belongs to the event loop and the process that it is made in.
    """

    def __init__(
        self,
        address: Addresses,
        *,
        ssl: bool | SSLContext | TLS = False,
        proxy: str | bool = True,
        connections: int = 1,
        connect_timeout: float | None = DEFAULT_CONNECT_TIMEOUT_S,
        keepalive: float | None = DEFAULT_KEEPALIVE_S,
        keepalive_timeout: float = DEFAULT_KEEPALIVE_TIMEOUT_S,
    ) -> None:
        self._set_up(
            ChannelConfig.of(
                address,
                ssl=ssl,
                proxy=proxy,
                connections=connections,
                connect_timeout=connect_timeout,
                keepalive=keepalive,
                keepalive_timeout=keepalive_timeout,
            )
        )

    @classmethod
    def from_config(cls, config: ChannelConfig) -> Self:
        """A channel of arguments that were checked before."""
        channel = cls.__new__(cls)
        channel._set_up(config)
        return channel

    def _set_up(self, config: ChannelConfig) -> None:
        self._config = config
        self._made_in = _here()
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._closed = asyncio.Event()
        self._subchannels = [Subchannel(server, config) for server in config.servers]
        self._has_one = len(config.servers) == config.connections == 1
        self._turn = -1

    @property
    def address(self) -> str:
        """Where the calls go, as text: the address, or all of several."""
        return str(self._config)

    @property
    def on_connected(self) -> Callable[[], None] | None:
        """A function that is called when a connection was made, if it is set."""
        return self._subchannels[0].on_connected

    @on_connected.setter
    def on_connected(self, function: Callable[[], None] | None) -> None:
        for subchannel in self._subchannels:
            subchannel.on_connected = function

    @property
    def scheme(self) -> str:
        """``https`` or ``http``, as requests state it."""
        return "https" if self._config.ssl else "http"

    @property
    def is_usable_here(self) -> bool:
        """Whether this is the event loop and the process that it was made in."""
        return self._made_in == _here()

    @property
    def is_orphan(self) -> bool:
        """Whether its event loop is closed, so that nobody can use it any more."""
        return self._made_in[0] == os.getpid() and self._loop.is_closed()

    @property
    def last_failure(self) -> ConnectFailedError | None:
        """Why addresses have no connection, each with its reason; None if all have one.

        It is a new exception each time, or the frames of callers would pile up on it.
        """
        failures = [f for s in self._subchannels if (f := s.last_failure) is not None]
        if not failures:
            return None
        reasons = [str(failure) for failure in failures[:_MAX_REASONS]]
        if more := len(failures) - len(reasons):
            reasons.append(f"and {more} more")
        is_lasting = all(isinstance(failure, CertificateError) for failure in failures)
        error_type = CertificateError if is_lasting else ConnectFailedError
        error = error_type("; ".join(reasons))
        error.__cause__ = failures[0].__cause__
        return error

    def pick(self) -> Connection | None:
        """The connection for the next stream, or None if there is none at once.

        It is the turn of each address; those without a connection begin to make one.
        A connection with as many streams as the peer allows is only picked where there
        can be no other.
        """
        if not self.is_usable_here:
            return None
        subchannels = self._subchannels
        for _ in subchannels:
            self._turn = (self._turn + 1) % len(subchannels)
            connection = subchannels[self._turn].pick()
            if connection is not None and (self._has_one or connection.has_room):
                return connection
        return None

    async def connect(self, *, wait_for_ready: bool = False) -> Connection:
        """The connection that a new stream goes over; it is made if there is none.

        Args:
            wait_for_ready: whether to try on where no connection can be made, for as
                long as the caller waits (``doc/wait-for-ready.md`` of gRPC), instead of
                failing.

        Raises:
            ConnectFailedError: no connection could be made; or the channel is closed,
                or belongs to another event loop or process.
        """
        if not self.is_usable_here:
            raise ConnectFailedError(
                "the connection belongs to another event loop or process: make one "
                "for each"
            )
        while True:
            if (connection := self.pick()) is not None:
                return connection
            if self._is_closed:
                raise ConnectFailedError(DISCONNECTED)
            # Where all connections are full, wait for one more to an address that
            # works, or else for a turn on the least busy one.
            full = {s: c for s in self._subchannels if (c := s.pick()) is not None}
            attempts = {
                a for s in full or self._subchannels if (a := s.attempt()) is not None
            }
            if full and not attempts:
                return min(full.values(), key=lambda c: c.open_streams)
            was_tried = bool(attempts)
            made: Connection | None = None
            while attempts and made is None:
                done, attempts = await asyncio.wait(
                    attempts, return_when=asyncio.FIRST_COMPLETED
                )
                made = next((c for a in done if (c := _result(a)) is not None), None)
            if self._is_closed:
                raise ConnectFailedError(DISCONNECTED)
            if made is not None and not made.accepts_streams:
                # The peer ended it at once; opening a stream says so.
                return made
            if made is None and not full:
                if not wait_for_ready:
                    failure = self.last_failure or ConnectFailedError(DISCONNECTED)
                    if was_tried:
                        raise failure
                    text = f"{_TOO_EARLY}: {failure}"
                    raise type(failure)(text) from failure.__cause__
                backoff_s = min(s.backoff_s for s in self._subchannels)
                with suppress(WaitTimeoutError):
                    await wait_at_most(backoff_s, self._closed.wait())

    def close(self) -> None:
        """Close for good: streams that are open fail, and none can be opened."""
        self._is_closed = True
        self._closed.set()
        for subchannel in self._subchannels:
            subchannel.close()

    async def wait_closed(self) -> None:
        """Wait until the sockets of a closed channel are closed, for a second at most.

        After that, connections are cut off that still have something to write.
        """
        connections = [c for s in self._subchannels for c in s.connections]
        # Those attempts to connect that were under way have been cancelled.
        attempts = [a for s in self._subchannels if (a := s.attempt()) is not None]
        ends: list[asyncio.Future[Any]] = [*attempts, *(c.lost for c in connections)]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSE_GRACE_S)
        for connection in connections:
            connection.abort()

    def abandon(self) -> None:
        """Forget the connections, and leave their sockets to their event loop."""
        self._is_closed = True
        for subchannel in self._subchannels:
            subchannel.abandon()

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
        return f"<{type(self).__name__} {self._config}>"

    def __del__(self) -> None:
        # Not set where __init__ failed.
        subchannels = getattr(self, "_subchannels", ())
        connections = [c for s in subchannels for c in s.abandon() if c.end is None]
        if not connections:
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
        if not self._loop.is_closed():
            end = ConnectionLostError("the channel was dropped without being closed")
            for connection in connections:
                # Garbage may be collected in any thread.
                self._loop.call_soon_threadsafe(connection.close, end)


def _result(attempt: asyncio.Task[Connection]) -> Connection | None:
    """The connection that an attempt made, or None if it failed."""
    if attempt.cancelled() or attempt.exception() is not None:
        return None
    return attempt.result()
