"""One HTTP/2 connection over a transport, and the streams on it.

A connection is opening until the peer has greeted with a SETTINGS frame, as RFC 9113,
section 3.4, demands: that tells an HTTP/2 service from anything else, and brings its
limit of streams before the first stream is opened. It then accepts streams until it is
*retired*, by a GOAWAY or because the peer seems to be dead: streams that are open
finish, and the connection closes after the last one. Once it is closed, ``end`` says
why.

What is received is handed on as it arrives. The peer is allowed to send more on the
connection at once, and on a stream only when its reader says so, so that a stream that
nobody reads takes nothing from the others. What is sent waits for the socket, the
connection's window and the stream's window, and leaves the event loop to others in
between. Everything written in one turn of the loop goes out in one write.

No peer holds the event loop: after ``TURN_S`` of frames reading pauses, and goes on in
the next turn. And none fills the memory with answers to its frames that it does not
read: where more than ``MAX_UNWRITTEN_BYTES`` wait for the socket, nothing is read until
it took them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from ssl import SSLError
from typing import TYPE_CHECKING, TypeAlias, cast

from h2.errors import ErrorCodes
from h2.events import (
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import (
    H2Error,
    NoAvailableStreamIDError,
    ProtocolError,
    TooManyStreamsError,
)
from h2.settings import SettingCodes

from remotemedia.http2.address import Address
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
from remotemedia.http2.frames import ClientConnection
from remotemedia.http2.headers import Headers
from remotemedia.http2.keepalive import Keepalive, KeepaliveTimes
from remotemedia.http2.tls import explained

if TYPE_CHECKING:
    from ssl import SSLObject

OnData: TypeAlias = "Callable[[bytes, int], None]"
"""Takes the payload of a DATA frame, and how much of the windows it used, in bytes."""
OnEnd: TypeAlias = "Callable[[HTTP2Error | None], None]"
"""Takes why a stream ended; None where the peer finished it."""

# Many streams share the connection's window, so one unread stream must not fill it.
CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024
STREAM_WINDOW_BYTES = 1024 * 1024
TURN_S = 0.005
"""How long the frames of one connection may hold the event loop: a few hundred of them,
or one that is unusually expensive."""
MAX_UNWRITTEN_BYTES = 256 * 1024
"""How much waits for the socket at most, while frames are read that ask for answers."""
WRITE_BYTES = 64 * 1024
"""Up to this size, what is written in one turn of the loop goes out together; more is
written in steps of it, and a request that is larger has to wait in between."""
# A socket that takes all that it is given would block the event loop.
_STEPS_BETWEEN_YIELDS = 16
# How much of several requests the first write of a turn takes: two or three small ones.
_REQUESTS_BYTES = 256
# The buffer that each connection reads into.
_READ_BYTES = 256 * 1024
_SETTINGS = b"\x04"
"""The type of a SETTINGS frame."""
# What gRPC's servers say with ENHANCE_YOUR_CALM (its proposal A8).
_TOO_MANY_PINGS = b"too_many_pings"


class Stream:
    """One stream of a connection, from when its request headers were sent.

    Attributes:
        connection: the connection that it is on.
        headers: the response headers, or None before they arrived.
        trailers: the trailers, or None before they arrived.
        on_data: called for each DATA frame.
        on_end: called when the peer, or the end of the connection, ended the stream.
            It may be called more than once before ``close``.
    """

    def __init__(
        self, connection: Connection, number: int, on_data: OnData, on_end: OnEnd
    ) -> None:
        self.connection = connection
        self.headers: Sequence[tuple[str, str]] | None = None
        self.trailers: Sequence[tuple[str, str]] | None = None
        self.on_data: OnData = on_data
        self.on_end: OnEnd = on_end
        self._number = number
        self._http2 = connection.http2
        self._window_waiter: asyncio.Future[None] | None = None

    @property
    def is_live(self) -> bool:
        """Whether the stream is open in at least one direction."""
        return not self.connection.is_closing and self._http2.is_live(self._number)

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Send bytes, as the socket and the peer's windows allow.

        Args:
            data: the bytes; they are not copied before they are sent.
            end: whether the stream ends with them.

        Raises:
            StreamClosedError: the stream takes nothing more; ``on_end`` was told why.
        """
        connection = self.connection
        view = memoryview(data)
        try:
            for step_number in count(1):
                if connection.is_paused:
                    connection.next_turn()
                    await connection.wait_until_resumed()
                step = view[:WRITE_BYTES]
                is_last = end and len(step) == len(view)
                sent = self._http2.send_part(self._number, step, end_stream=is_last)
                if is_last:
                    connection.flush_after_request()
                else:
                    connection.flush_soon()
                view = view[sent:]
                if not view:
                    return
                if self._http2.outbound_flow_control_window <= 0:
                    await connection.wait_for_turn()
                elif sent < len(step):
                    # The stream's own window is used up.
                    connection.next_turn()
                    await self._wait_for_window()
                elif step_number % _STEPS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
        except H2Error as error:
            raise StreamClosedError from error
        finally:
            if connection.waiting_senders:
                connection.next_turn()

    def half_close(self) -> None:
        """Say that nothing more is sent.

        Raises:
            StreamClosedError: the stream is closed already.
        """
        try:
            self._http2.end_stream(self._number)
        except H2Error as error:
            raise StreamClosedError from error
        self.connection.flush_soon()

    def acknowledge(self, size: int) -> None:
        """Let the peer send `size` bytes more on this stream."""
        self._http2.open_window(size, self._number)
        self.connection.flush_soon()

    def close(self) -> None:
        """Give the stream up; the peer sees CANCEL, unless the stream was over."""
        if self.is_live:
            self._http2.reset_stream(self._number, ErrorCodes.CANCEL)
            self.connection.flush_soon()
        # Without these references a call that is over is freed at once.
        self.on_data, self.on_end = _ignore_data, _ignore_end
        self.connection.forget(self._number)

    def on_window_opened(self) -> None:
        """Go on sending, if that waits for the stream's window."""
        if self._window_waiter is not None and not self._window_waiter.done():
            self._window_waiter.set_result(None)

    async def _wait_for_window(self) -> None:
        self._window_waiter = asyncio.get_running_loop().create_future()
        try:
            await self._window_waiter
        finally:
            self._window_waiter = None


def _ignore_data(data: bytes, window_bytes: int) -> None:
    pass


def _ignore_end(error: HTTP2Error | None) -> None:
    pass


class Connection(asyncio.BufferedProtocol):
    """One HTTP/2 connection, as the protocol of an asyncio transport.

    Args:
        address: where it goes to.
        keepalive: when to ping a silent peer; None for no pings.
        clock: tells the time in seconds.

    Attributes:
        address: where it goes to.
        authority: the host and port, as requests state them.
        was_pinged_too_often: whether the peer ended it because of too many pings.
        greeted: done when the peer has greeted. The result is what went wrong, or None.
        lost: done when the socket is closed.
        end: why the connection is closed, or None while it is not.
        is_retired: whether it accepts no new streams.
        is_paused: whether the socket takes nothing more for now.
        is_useful: whether the peer answered a call on it.
        was_given_up: whether it was retired here, and not by the peer.
        last_received_s: when a whole frame last arrived, as ``time.monotonic`` has it.
        waiting_senders: whoever waits for a part of the connection's window.
        http2: the connection without I/O.
    """

    def __init__(
        self,
        address: Address,
        keepalive: KeepaliveTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.address = address
        self.authority: str = "localhost" if address.path else str(address)
        self.was_pinged_too_often: bool = False
        self._keepalive: Keepalive | None = None
        if keepalive is not None:
            self._keepalive = Keepalive(keepalive, self, self._loop, clock)
        self.greeted: asyncio.Future[HTTP2Error | None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.end: HTTP2Error | None = None
        self.is_retired: bool = False
        self.is_paused: bool = False
        self.is_useful: bool = False
        self.was_given_up: bool = False
        self.last_received_s: float = clock()
        self.http2: ClientConnection = ClientConnection(
            STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES, clock
        )
        self.http2.on_go_away(self._on_go_away)
        self._streams: dict[int, Stream] = {}
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._first_bytes = b""
        # What was received and waits for the next turn; nothing is read meanwhile.
        self._unread: deque[bytes] = deque()
        self._is_reading = True
        self._will_flush = False
        self._requests_bytes = _REQUESTS_BYTES
        self._resumed = asyncio.Event()
        # Whoever waits to open a stream, first come, first served.
        self._opening: deque[asyncio.Event] = deque()
        self.waiting_senders: deque[asyncio.Future[None]] = deque()

    @property
    def accepts_streams(self) -> bool:
        """Whether new streams may be opened."""
        return not self.is_retired and not self.is_closing

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.end is not None or self._transport.is_closing()

    @property
    def open_streams(self) -> int:
        """How many streams are open, or wait until they can be opened."""
        return len(self._streams) + len(self._opening)

    @property
    def has_room(self) -> bool:
        """Whether the peer's limit allows another stream at once."""
        return self.open_streams < self.http2.remote_settings.max_concurrent_streams

    # -- streams

    async def open(
        self,
        headers: Headers,
        own_headers: Sequence[tuple[str, str]],
        on_data: OnData,
        on_end: OnEnd,
    ) -> Stream:
        """Open a stream, as soon as the peer accepts one more.

        The headers go out with whatever is sent next, or by ``flush``.

        Args:
            headers: request headers that many streams have in common.
            own_headers: request headers of this stream alone.
            on_data: see ``Stream``.
            on_end: see ``Stream``.

        Raises:
            StreamRefusedError: the connection accepts no streams any more.
        """
        number = None if self._opening else self._request(headers, own_headers)
        if number is None:
            turn = asyncio.Event()
            self._opening.append(turn)
            # There may be no stream yet, and the socket of a dead peer is full.
            if self._keepalive is not None and not self._keepalive.is_watching:
                self._keepalive.watch()
            try:
                while number is None:
                    await turn.wait()
                    turn.clear()
                    number = self._request(headers, own_headers)
            finally:
                self._opening.remove(turn)
                # There may be room for one more, or the turn was not used.
                self._wake_opener()
        return self._register(number, on_data, on_end)

    def open_now(
        self,
        headers: Headers,
        own_headers: Sequence[tuple[str, str]],
        data: bytes,
        on_data: OnData,
        on_end: OnEnd,
    ) -> Stream | None:
        """Open a stream, send all of its data and half-close it, without waiting.

        Returns:
            The stream; None, and nothing was done, if there is something to wait for.
        """
        if (
            not self.accepts_streams
            or self.is_paused
            or self._opening
            or len(data) > WRITE_BYTES
            or not self.http2.can_send(len(data))
        ):
            return None
        try:
            number = self.http2.send_request(headers, own_headers)
        except ProtocolError:
            # `open` finds out what it is.
            return None
        stream = self._register(number, on_data, on_end)
        self.http2.send_part(number, memoryview(data), end_stream=True)
        self.flush_after_request()
        return stream

    def forget(self, number: int) -> None:
        """Remove a stream that is over; its callbacks are not called any more."""
        if self._streams.pop(number, None) is not None:
            self._wake_opener()
            self._close_if_done()

    def retire(self) -> None:
        """Accept no new streams, and close after the last one that is open."""
        self.was_given_up = True
        self._retire()

    def _retire(self) -> None:
        self.is_retired = True
        self._wake_opener()
        self._close_if_done()

    def retire_if_silent(self, since_s: float) -> None:
        """Retire if nothing has arrived since then, as ``time.monotonic`` has it."""
        if self.last_received_s < since_s:
            self.retire()

    def close(self, end: HTTP2Error) -> None:
        """Close, after writing what waits; streams that are open end as well."""
        if self.end is not None:
            return
        self.flush()
        self.end = end
        self._unread.clear()
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None
        self._transport.close()
        if self.is_paused:
            # What waits to be written never will be.
            self._transport.abort()
        for stream in list(self._streams.values()):
            stream.on_end(end)
        self._wake_opener()
        self._resumed.set()
        self.http2.forget_handlers()

    def _request(
        self, headers: Headers, own_headers: Sequence[tuple[str, str]]
    ) -> int | None:
        """Send the headers of a new stream, and return its number.

        Returns:
            The number; None if the socket or the peer accepts none for now.

        Raises:
            StreamRefusedError: the connection accepts no streams any more.
        """
        if not self.accepts_streams:
            raise StreamRefusedError("the peer ended the connection before the call")
        if self.is_paused:
            return None
        try:
            return self.http2.send_request(headers, own_headers)
        except TooManyStreamsError:
            return None
        except NoAvailableStreamIDError:
            self.retire()
            raise StreamRefusedError(
                "the connection has carried as many calls as it can"
            ) from None

    def _wake_opener(self) -> None:
        """Have the first in line try to open a stream. It then wakes the next."""
        if self._opening:
            self._opening[0].set()

    def abort(self) -> None:
        """Cut the connection off, if it is not closed yet."""
        if not self.lost.done():
            self._transport.abort()

    def _register(self, number: int, on_data: OnData, on_end: OnEnd) -> Stream:
        stream = self._streams[number] = Stream(self, number, on_data, on_end)
        if self._keepalive is not None and not self._keepalive.is_watching:
            self._keepalive.watch()
        return stream

    def _close_if_done(self) -> None:
        if self.is_retired and not self._streams:
            why = "it was given up here" if self.was_given_up else "the peer ended it"
            text = f"the connection was closed after its last call: {why}"
            self.close(ConnectionLostError(text))

    # -- keepalive

    def ping(self) -> None:
        """Send a PING frame; the answer counts as bytes that arrive."""
        self.http2.ping(bytes(8))
        self.http2.budget.on_ping()
        self.flush()

    def on_keepalive_timeout(self, timeout_s: float) -> None:
        """Close without waiting for the peer, which does not answer."""
        self.close(
            ConnectionLostError(
                f"the connection was lost: {self.address} did not answer a ping "
                f"within {timeout_s:g} s"
            )
        )
        self.abort()

    # -- sending

    def flush(self) -> None:
        """Write what waits to be sent."""
        if self.http2.outgoing and not (self.end or self._transport.is_closing()):
            self._transport.write(self.http2.take_outgoing())

    def flush_soon(self) -> None:
        """Write at the end of this turn of the loop, or at once if there is much."""
        if not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._end_turn)
        if len(self.http2.outgoing) >= WRITE_BYTES:
            self.flush()

    def flush_after_request(self) -> None:
        """Write at once if this is the only stream, else together with some more.

        The peer can work on the first requests of a turn while more are made. Each
        write costs, and it has work by then, so each takes twice as much.
        """
        if len(self._streams) == 1:
            self.flush()
            return
        self.flush_soon()
        if len(self.http2.outgoing) >= self._requests_bytes:
            self._requests_bytes *= 2
            self.flush()

    def _end_turn(self) -> None:
        self._will_flush = False
        self._requests_bytes = _REQUESTS_BYTES
        self.flush()

    def pause_writing(self) -> None:
        """Wait: the socket's buffer is full."""
        self.is_paused = True
        self._resumed.clear()

    def resume_writing(self) -> None:
        """Go on: the socket's buffer has room."""
        self.is_paused = False
        self._resumed.set()
        self._wake_opener()
        self._read_on()

    async def wait_until_resumed(self) -> None:
        """Wait until the socket's buffer has room, or the connection is closed."""
        await self._resumed.wait()

    async def wait_for_turn(self) -> None:
        """Wait for a part of the connection's window, first come, first served.

        Call ``next_turn`` after sending, and before waiting for anything else, so that
        exactly as many waiters wake as can send.
        """
        sender = self._loop.create_future()
        self.waiting_senders.append(sender)
        await sender

    def next_turn(self) -> None:
        """Wake whoever has waited longest, if there is a window to send in."""
        while self.waiting_senders and self.http2.outbound_flow_control_window > 0:
            sender = self.waiting_senders.popleft()
            if not sender.done():
                sender.set_result(None)
                return

    # -- receiving: what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._tls: SSLObject | None = transport.get_extra_info("ssl_object")
        if self._tls is not None and self._tls.selected_alpn_protocol() != "h2":
            text = (
                "the peer's TLS did not agree to HTTP/2 (ALPN): is it a service, or a "
                "proxy that speaks only HTTP/1.1?"
            )
            self._fail_greeting(ConnectFailedError(text))
        else:
            self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read into; asyncio would allocate a new buffer for every read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read. Bytes that make no sense end the connection."""
        data = self._buffer[:nbytes]
        if not self.greeted.done():
            self._first_bytes = (self._first_bytes + bytes(data[:4]))[:4]
            if self._first_bytes[3:] not in (b"", _SETTINGS):
                self._fail_as_not_http2()
                return
        if self._unread:
            # TLS hands over what it has, also when reading is paused.
            self._unread.append(bytes(data))
        else:
            self._take(data, self._clock() + TURN_S)

    def _take(self, data: memoryview | bytes, turn_ends_s: float = math.inf) -> None:
        """Read frames until the turn is over, and keep the rest for the next turn."""
        frames = self.http2.received_frames
        try:
            taken = self.http2.receive(data, self, turn_ends_s)
        except ProtocolError as error:
            self._fail(str(error))
            return
        except Exception as error:  # noqa: BLE001 - h2 raises many types on bad bytes
            self._fail(repr(error))
            return
        if self.http2.received_frames != frames:
            self.last_received_s = self._clock()
        if self.http2.outgoing:
            self.flush()
        if self.end is not None:
            return
        if taken < len(data):
            self._unread.appendleft(bytes(data[taken:]))
        if self._unread or (self.is_paused and self._is_overdue):
            self._pause_reading()

    @property
    def _is_overdue(self) -> bool:
        """Whether the peer has to read before it may say more."""
        return self._transport.get_write_buffer_size() > MAX_UNWRITTEN_BYTES

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()
        if self._unread and not (self.is_paused and self._is_overdue):
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """Read what waits, in a turn of its own, and then from the socket again."""
        if self._is_reading or self.is_closing or (self.is_paused and self._is_overdue):
            return
        if self._unread:
            self._take(self._unread.popleft(), self._clock() + TURN_S)
        if not self._unread and not self.is_closing and not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is open, with what is known of the cause."""
        while self._unread and self.end is None:
            # What came before the end still counts.
            self._take(self._unread.popleft())
        problem = explained(exc) if isinstance(exc, SSLError) else ""
        reason = f": {problem or exc}" if exc else ""
        if not self.greeted.done():
            hint = "does it ask for a certificate" if self._tls else "does it want TLS"
            hint = f": is it an HTTP/2 service, and {hint}?" if not problem else ""
            text = f"the peer closed the connection without a greeting{reason}{hint}"
            error_type = CertificateError if problem else ConnectFailedError
            self._fail_greeting(error_type(text))
        self.close(ConnectionLostError(f"the connection was lost{reason}"))
        if not self.lost.done():
            self.lost.set_result(None)

    # -- receiving: what the frames mean

    def on_data(self, stream_id: int, data: bytes, window_bytes: int) -> None:
        """Handle a DATA frame."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.on_data(data, window_bytes)

    def on_bad_response(self, stream_id: int, error: BadResponseError) -> None:
        """Handle the end of a stream on which the peer broke a rule."""
        if stream := self._streams.get(stream_id):
            self._wake_opener()
            stream.on_end(error)

    def on_event(self, event: Event) -> None:
        """Handle an event of h2; those of no interest are ignored."""
        if self.end is not None:
            return
        if isinstance(event, WindowUpdated):
            if event.stream_id:
                if stream := self._streams.get(event.stream_id):
                    stream.on_window_opened()
            else:
                self.next_turn()
        elif isinstance(event, RemoteSettingsChanged):
            # The windows of streams may have grown, or the limit of streams.
            if SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
                for stream in self._streams.values():
                    stream.on_window_opened()
            self._wake_opener()
            if not self.greeted.done():
                self.greeted.set_result(None)
        elif isinstance(
            event, (ResponseReceived, TrailersReceived, StreamEnded, StreamReset)
        ) and (stream := self._streams.get(event.stream_id or 0)):
            self._on_stream_event(stream, event)

    def _on_stream_event(
        self,
        stream: Stream,
        event: ResponseReceived | TrailersReceived | StreamEnded | StreamReset,
    ) -> None:
        if isinstance(event, ResponseReceived):
            stream.headers = cast("list[tuple[str, str]]", event.headers)
            self.is_useful = True
        elif isinstance(event, TrailersReceived):
            stream.trailers = cast("list[tuple[str, str]]", event.headers)
        else:
            self._wake_opener()
            if isinstance(event, StreamEnded):
                stream.on_end(None)
            elif event.remote_reset:
                code = int(event.error_code or 0)
                stream.on_end(
                    StreamRefusedError(str(StreamResetError(code)))
                    if code == ErrorCodes.REFUSED_STREAM
                    else StreamResetError(code)
                )
            else:
                code = int(event.error_code or 0)
                stream.on_end(
                    BadResponseError(
                        code, f"the peer broke a rule of HTTP/2 (error code {code})"
                    )
                )

    def _on_go_away(self, last_stream_id: int, error_code: int, debug: bytes) -> None:
        """Refuse what the peer will not answer, and let the rest finish."""
        if error_code == ErrorCodes.ENHANCE_YOUR_CALM and debug == _TOO_MANY_PINGS:
            self.was_pinged_too_often = True
        for number, stream in list(self._streams.items()):
            if number > last_stream_id:
                stream.on_end(
                    StreamRefusedError(
                        "the peer ended the connection (GOAWAY, HTTP/2 error code "
                        f"{error_code}) before the call"
                    )
                )
        self._retire()

    def _fail_greeting(self, error: ConnectFailedError) -> None:
        self.greeted.set_result(error)
        self.close(ConnectionLostError(str(error)))

    def _fail(self, reason: str) -> None:
        """End the connection for what the peer sent."""
        if self.greeted.done():
            self.close(BadPeerError(reason))
        else:
            self._fail_as_not_http2()

    def _fail_as_not_http2(self) -> None:
        self.greeted.set_result(NotHTTP2Error())
        self.close(NotHTTP2Error())
