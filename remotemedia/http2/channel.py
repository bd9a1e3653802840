"""Where a client connects, and how: address, TLS, token, HTTP/2 windows."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import weakref
from dataclasses import dataclass
from ssl import SSLContext, create_default_context
from typing import TYPE_CHECKING, TypeVar, cast

from grpclib.client import Channel as GrpclibChannel
from grpclib.client import Handler
from grpclib.client import Stream as GrpclibRequest
from grpclib.config import Configuration
from grpclib.encoding.base import GRPC_CONTENT_TYPE
from grpclib.metadata import USER_AGENT, Deadline, encode_metadata, encode_timeout
from grpclib.protocol import H2Protocol
from multidict import MultiDict

from remotemedia.http2.connection import Protocol
from remotemedia.http2.timeouts import bounded

if TYPE_CHECKING:
    from grpclib.const import Cardinality
    from grpclib.metadata import _Metadata

    from remotemedia.grpc.stub import MetadataLike
    from remotemedia.http2.frames import Headers

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

# The connection's window is that of many streams, and is opened again as bytes
# arrive; a stream's, as they are read.
_CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024
_STREAM_WINDOW_BYTES = 1024 * 1024
# After a failed attempt to connect, calls fail at once for this long; doubled with
# every further failure, so often at the most.
_FIRST_BACKOFF_S = 0.1
_MAX_DOUBLINGS = 6
_DISCONNECTED = "the client was disconnected"


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
        self._connect_timeout = connect_timeout
        self._protocols: weakref.WeakSet[Protocol] = weakref.WeakSet()
        self._is_closed = False
        self._home = _here()
        self._connecting: asyncio.Future[H2Protocol] | None = None
        self._headers: dict[str, Headers] = {}
        self._failures = 0
        self._last_failure: Exception | None = None
        self._next_attempt = 0.0

    def request(
        self,
        name: str,
        cardinality: Cardinality,
        request_type: type[SendT],
        reply_type: type[ReceiveT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> Request[SendT, ReceiveT]:
        """Prepare a call; as grpclib's."""
        if timeout is not None:
            end = Deadline.from_timeout(timeout)
            deadline = end if deadline is None else min(end, deadline)
        return Request(
            self,
            name,
            cast("_Metadata", MultiDict(metadata or ())),
            cardinality,
            request_type,
            reply_type,
            codec=self._codec,
            status_details_codec=self._status_details_codec,
            dispatch=self.__dispatch__,
            deadline=deadline,
        )

    def headers(self, path: str) -> Headers:
        """What all calls of a method say alike."""
        headers = self._headers.get(path)
        if headers is None:
            headers = self._headers[path] = (
                (":method", "POST"),
                (":scheme", self._scheme),
                (":path", path),
                (":authority", self._authority),
                ("te", "trailers"),
                ("content-type", GRPC_CONTENT_TYPE),
                ("user-agent", USER_AGENT),
            )
        return headers

    @property
    def protocol(self) -> Protocol | None:
        """The connection, if a call can be made over it at once."""
        protocol = self._protocol
        if isinstance(protocol, Protocol) and self._connected and self.is_at_home:
            return protocol
        return None

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
        if isinstance(self._protocol, Protocol):
            self._protocol.retirable.retire()

    def suspect(self, since: float) -> None:
        """Retire the connection if the peer was silent since then, on the loop's clock.

        Told when a call has timed out.
        """
        protocol = self._protocol
        if isinstance(protocol, Protocol) and protocol.last_received < since:
            self.retire()

    def _protocol_factory(self) -> H2Protocol:
        return Protocol(Handler(), self._config, self._h2_config)

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
        protocol: Protocol | None = None
        try:
            protocol = cast("Protocol", await super()._create_connection())
            self._protocols.add(protocol)
            problem = protocol.alpn_problem() or await protocol.greeted
            # The peer may have greeted, and broken off in the same breath.
            if problem := problem or protocol.retirable.closed:
                raise ConnectionError(_DISCONNECTED if self._is_closed else problem)
        except BaseException:
            if protocol is not None:
                protocol.processor.close()
            raise
        return protocol


class Request(GrpclibRequest[SendT, ReceiveT]):
    """grpclib's call, with a short way for a request that need not wait."""

    _channel: Channel

    def send_now(self, message: bytes) -> bool:
        """Send headers and the one message; False, and nothing, if it has to wait."""
        protocol = self._channel.protocol
        # Listeners to grpclib's events are coroutines.
        if protocol is None or self._dispatch._listeners:
            return False
        own_headers = list(encode_metadata(self._metadata))
        if self._deadline is not None:
            timeout = encode_timeout(self._deadline.time_remaining())
            own_headers.insert(0, ("grpc-timeout", timeout))
        stream = protocol.retirable.own_connection.create_stream(wrapper=self._wrapper)
        release = stream.send_now(
            self._channel.headers(self._method_name),
            own_headers,
            message,
            protocol.retirable,
        )
        if release is None:
            return False
        self._stream = stream
        self._release_stream = release
        return True


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
