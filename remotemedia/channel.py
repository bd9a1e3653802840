"""Where a client connects, and how: address, TLS, token, HTTP/2 windows."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext, SSLObject, create_default_context
from typing import TYPE_CHECKING, cast

from grpclib.client import Channel as GrpclibChannel
from grpclib.client import Handler
from grpclib.config import Configuration
from grpclib.protocol import (
    AbstractHandler,
    Connection,
    EventsProcessor,
    H2Protocol,
    Stream,
)
from grpclib.utils import Wrapper
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from hyperframe.frame import Frame, GoAwayFrame

from remotemedia.bounded import bounded
from remotemedia.status import NOT_HTTP2, RefusedError

if TYPE_CHECKING:
    from h2.config import H2Configuration

# The connection's window is that of many streams, and is opened again as bytes
# arrive; a stream's, as they are read.
_CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024
_STREAM_WINDOW_BYTES = 1024 * 1024
# After a failed attempt to connect, calls fail at once for this long; doubled with
# every further failure, so often at the most.
_FIRST_BACKOFF_S = 0.1
_MAX_DOUBLINGS = 6
_DISCONNECTED = "the client was disconnected"
_SETTINGS = b"\x04"
"""Type of a SETTINGS frame."""


@dataclass(frozen=True)
class Address:
    """Where a service listens: a host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``, ``[v6]:port`` or ``unix:/path``.

        Raises:
            ValueError: the text is none of these.
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
        return (
            f"[{self.host}]:{self.port}"
            if ":" in self.host
            else (f"{self.host}:{self.port}")
        )


_HOST_PORT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)
_TOKEN = re.compile(r"[\x21-\x7e]+")


def _here() -> tuple[int, asyncio.AbstractEventLoop]:
    # A fork shares the socket, so the process counts as well.
    return os.getpid(), asyncio.get_running_loop()


class Channel(GrpclibChannel):
    """A connection to a service; made when it is first needed, and made again.

    It trusts a connection from when the peer has greeted it as HTTP/2 prescribes,
    until the connection is lost, the peer announces its end (GOAWAY), or a call
    times out on it without a byte from the peer. Calls that are under way on a
    connection that is trusted no more go on; new calls get a new one.
    """

    def __init__(
        self,
        address: Address,
        *,
        ssl: SSLContext | None = None,
        connect_timeout: float | None = 10.0,
    ) -> None:
        """Prepare a connection.

        Args:
            address: where to.
            ssl: the TLS context, or None for plaintext.
            connect_timeout: seconds that connecting may take, up to the peer's
                greeting.
        """
        super().__init__(
            host=address.host or None,
            port=address.port or None,
            path=address.path or None,
            ssl=ssl,
            config=Configuration(
                http2_connection_window_size=_CONNECTION_WINDOW_BYTES,
                http2_stream_window_size=_STREAM_WINDOW_BYTES,
                # A unix socket has no host name that a certificate could be for.
                ssl_target_name_override="localhost" if address.path else None,
            ),
        )
        # Marks `authorization` as never to be indexed, and so never to be logged.
        self._h2_config.normalize_outbound_headers = True
        self._connect_timeout = connect_timeout
        self._protocols: weakref.WeakSet[_Protocol] = weakref.WeakSet()
        self._is_closed = False
        self._home = _here()
        self._connecting: asyncio.Future[H2Protocol] | None = None
        self._failures = 0
        self._last_failure: Exception | None = None
        self._next_attempt = 0.0

    async def __connect__(self) -> H2Protocol:
        """The connection that a new call goes over."""
        if not self.is_at_home:
            raise ConnectionError(
                "the connection belongs to another event loop or process: make one "
                "for each"
            )
        return await super().__connect__()

    def close(self) -> None:
        """Close for good. Calls under way fail, and no new one can be made."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        for protocol in list(self._protocols):
            protocol.processor.close(_DISCONNECTED)
        self._protocol = None

    @property
    def is_at_home(self) -> bool:
        """Whether this is the process and the event loop that it was made in."""
        return self._home == _here()

    def abandon(self) -> None:
        """Forget the connection, and leave its socket to whom it belongs."""
        self._is_closed = True
        self._protocol = None

    def retire(self) -> None:
        """Make no new call over the present connection."""
        if isinstance(self._protocol, _Protocol):
            self._protocol.retirable.retire()

    def suspect(self, since: float) -> None:
        """Retire the connection if the peer was silent since then, on the loop's clock.

        Told when a call has timed out.
        """
        protocol = self._protocol
        if isinstance(protocol, _Protocol) and protocol.last_received < since:
            self.retire()

    def _protocol_factory(self) -> H2Protocol:
        return _Protocol(Handler(), self._config, self._h2_config)

    async def _create_connection(self) -> H2Protocol:
        if self._is_closed:
            raise ConnectionError(_DISCONNECTED)
        if self._last_failure is not None and self._loop.time() < self._next_attempt:
            raise ConnectionError(
                f"the last attempt failed, and it is too early for another: "
                f"{self._last_failure}"
            ) from self._last_failure
        try:
            protocol = await self._connect_in_time()
        except OSError as error:
            if not self._is_closed:
                self._back_off(error)
            raise
        self._failures, self._last_failure = 0, None
        return protocol

    def _back_off(self, error: OSError) -> None:
        backoff = _FIRST_BACKOFF_S * 2 ** min(self._failures, _MAX_DOUBLINGS)
        self._failures += 1
        self._last_failure = error
        self._next_attempt = self._loop.time() + backoff

    async def _connect_in_time(self) -> H2Protocol:
        self._connecting = asyncio.ensure_future(self._connect())
        try:
            return await bounded(self._connecting, self._connect_timeout)
        except asyncio.TimeoutError:
            raise ConnectionError(
                f"the peer did not greet within {self._connect_timeout:g} s: is it a "
                "gRPC service, and is TLS on at both ends or at neither?"
            ) from None
        except asyncio.CancelledError:
            if self._is_closed:
                raise ConnectionError(_DISCONNECTED) from None
            raise
        finally:
            self._connecting = None

    async def _connect(self) -> H2Protocol:
        protocol: _Protocol | None = None
        try:
            protocol = cast("_Protocol", await super()._create_connection())
            self._protocols.add(protocol)
            if problem := protocol.alpn_problem() or await protocol.greeted:
                raise ConnectionError(_DISCONNECTED if self._is_closed else problem)
        except BaseException:
            if protocol is not None:
                protocol.processor.close()
            raise
        return protocol


class _Protocol(H2Protocol):
    """grpclib's protocol, and what it leaves to chance.

    The peer must greet with a SETTINGS frame, as RFC 9113, section 3.4, has it:
    that tells a gRPC service from anything else, and brings its limit of streams
    before the first call. GOAWAY ends the connection for new calls only. Frames
    that nobody asked for are passed over, and whatever breaks is an end, not an
    error in the loop.
    """

    def __init__(
        self, handler: Handler, config: Configuration, h2_config: H2Configuration
    ) -> None:
        super().__init__(handler, config, h2_config)
        self._loop = asyncio.get_running_loop()
        self._first_bytes = b""
        self.last_received = self._loop.time()
        self.greeted: asyncio.Future[str] = self._loop.create_future()
        """Done when the peer has greeted; the text is what went wrong, or ""."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._tls: SSLObject | None = transport.get_extra_info("ssl_object")
        self.connection = _Connection(
            self.connection._connection,
            cast("asyncio.Transport", transport),
            config=self.config,
        )
        self.retirable = _Processor(self.handler, self.connection, self.greeted)
        self.processor = self.retirable
        # h2 itself would drop the streams that the peer still means to finish.
        h2_connection = self.connection._connection
        h2_connection._frame_dispatch_table[GoAwayFrame] = self._on_go_away

    def data_received(self, data: bytes) -> None:
        self.last_received = self._loop.time()
        if not self.greeted.done():
            self._first_bytes = (self._first_bytes + data)[:4]
            if self._first_bytes[3:] not in (b"", _SETTINGS):
                self.greeted.set_result(NOT_HTTP2)
                self.processor.close(NOT_HTTP2)
                return
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 - of h2 on bad bytes; none must reach the loop
            self.processor.close(NOT_HTTP2)

    def connection_lost(self, exc: BaseException | None) -> None:
        reason = f": {exc}" if exc else ""
        if not self.greeted.done():
            hint = "does it ask for a certificate" if self._tls else "does it want TLS"
            self.greeted.set_result(
                f"the peer closed the connection without a greeting{reason}: is it a "
                f"gRPC service, and {hint}?"
            )
        self.processor.close(f"Connection lost{reason}")

    def alpn_problem(self) -> str:
        """What is wrong with the protocol that TLS agreed on, or ""."""
        if self._tls is None or self._tls.selected_alpn_protocol() == "h2":
            return ""
        return (
            "the peer's TLS did not agree to HTTP/2 (ALPN): is it a gRPC service, or a "
            "proxy that speaks only HTTP/1.1?"
        )

    def _on_go_away(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


class _Connection(Connection):
    """grpclib's connection, which knows the calls that wait to be sent over it."""

    def __init__(
        self,
        connection: H2Connection,
        transport: asyncio.Transport,
        *,
        config: Configuration,
    ) -> None:
        super().__init__(connection, transport, config=config)
        self.opening: weakref.WeakSet[Wrapper] = weakref.WeakSet()
        self._arrived = 0

    def ack(self, stream_id: int, size: int) -> None:
        """Let the peer send so much more on a stream.

        On the stream only: for the connection that was done as the bytes arrived, so
        that streams nobody reads take nothing from the others.
        """
        if size:
            # The stream may be closed, or forgotten, meanwhile.
            with suppress(ProtocolError, KeyError):
                self._connection.increment_flow_control_window(size, stream_id)
                self.flush()

    def arrived(self, size: int) -> None:
        """Let the peer send so much more on the connection, from time to time."""
        self._arrived += size
        if self._arrived >= _STREAM_WINDOW_BYTES:
            self._connection.increment_flow_control_window(self._arrived)
            self._arrived = 0

    def create_stream(
        self, *, stream_id: int | None = None, wrapper: Wrapper | None = None
    ) -> Stream:
        if wrapper is not None:
            self.opening.add(wrapper)
        return super().create_stream(stream_id=stream_id, wrapper=wrapper)


class _Processor(EventsProcessor):
    """grpclib's processor of a connection that may be retired."""

    def __init__(
        self,
        handler: AbstractHandler,
        connection: _Connection,
        greeted: asyncio.Future[str],
    ) -> None:
        super().__init__(handler, connection)
        self._own_connection = connection
        self._greeted = greeted
        self._is_retired = False

    def process(self, event: Event) -> None:
        # Of a kind that HTTP/2 allows and tells clients to ignore, otherwise.
        if event.__class__ in getattr(self, "processors", ()):
            super().process(event)

    def process_remote_settings_changed(self, event: RemoteSettingsChanged) -> None:
        super().process_remote_settings_changed(event)
        # The peer may have raised its limit of streams.
        self.connection.stream_close_waiter.set()
        if not self._greeted.done():
            self._greeted.set_result("")

    def process_data_received(self, event: DataReceived) -> None:
        super().process_data_received(event)
        self._own_connection.arrived(event.flow_controlled_length or 0)

    def process_stream_ended(self, event: StreamEnded) -> None:
        super().process_stream_ended(event)
        self.connection.stream_close_waiter.set()

    def process_stream_reset(self, event: StreamReset) -> None:
        super().process_stream_reset(event)
        self.connection.stream_close_waiter.set()

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        last = event.last_stream_id or 0
        refused = [stream for id_, stream in self.streams.items() if id_ > last]
        for stream in refused:
            if stream.wrapper is not None:
                stream.wrapper.cancel(
                    RefusedError(
                        "the peer ended the connection (GOAWAY, HTTP/2 error code "
                        f"{event.error_code}) before the call"
                    )
                )
        self.retire()

    def retire(self) -> None:
        """Take no new streams, and close after the last that is under way."""
        self._is_retired = True
        # The channel connects anew where its handler says so.
        self.handler.close()
        self._refuse_waiting()
        self._close_if_done()

    def register(self, stream: Stream) -> Callable[[], None]:
        release_stream = super().register(stream)
        if stream.wrapper is not None:
            self._own_connection.opening.discard(stream.wrapper)

        def release() -> None:
            release_stream()
            self._close_if_done()

        return release

    def close(self, reason: str = "Connection closed") -> None:
        super().close(reason)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """End the calls that wait to be sent over this connection."""
        for wrapper in list(self._own_connection.opening):
            wrapper.cancel(
                RefusedError("the peer ended the connection before the call")
            )

    def _close_if_done(self) -> None:
        if self._is_retired and not self.streams:
            self.close()


def tls_context(ssl: bool | SSLContext) -> SSLContext | None:
    """The TLS context for what a user passed as ``ssl``, ready for HTTP/2."""
    if ssl is False:
        return None
    if ssl is True:
        context = create_default_context()
    elif isinstance(ssl, SSLContext):
        context = ssl
    else:
        raise TypeError(f"ssl must be a bool or an SSLContext, got {ssl!r}")
    context.set_alpn_protocols(["h2"])
    return context


def authorization(token: str) -> tuple[str, str]:
    """The metadata that a bearer token travels as.

    Raises:
        ValueError: the token has characters that a header cannot carry.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, got {type(token).__name__}")
    if not _TOKEN.fullmatch(token):
        # The token itself stays out of the message.
        raise ValueError("token must be printable ASCII without spaces, and not empty")
    return ("authorization", f"Bearer {token}")
