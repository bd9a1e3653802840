"""One HTTP/2 connection, and how far its peer is trusted.

grpclib's classes do the work; the subclasses here have what they lack. Attributes of
grpclib and h2 with a leading underscore are used as a connection is made, and a test
holds both libraries to them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count
from ssl import SSLObject
from typing import TYPE_CHECKING, cast

from grpclib.protocol import AbstractHandler, EventsProcessor, H2Protocol
from grpclib.protocol import Connection as GrpclibConnection
from grpclib.protocol import Stream as GrpclibStream
from grpclib.utils import Wrapper
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from remotemedia.grpc.status import NOT_HTTP2, RefusedError
from remotemedia.http2.frames import ClientConnection

if TYPE_CHECKING:
    from grpclib.client import Handler
    from grpclib.config import Configuration
    from h2.config import H2Configuration

    from remotemedia.http2.frames import Headers

# The connection's window is opened again in steps of this size.
_ARRIVED_STEP_BYTES = 1024 * 1024
# What is written in one turn of the loop goes out together, up to this size. More is
# written in steps of it.
_WRITE_BYTES = 64 * 1024
# A socket that takes all it is given would keep the loop from everything else.
_STEPS_BETWEEN_YIELDS = 16
# Requests are small, and the peer can work on the first while more are made.
_REQUESTS_BYTES = 256
# As much is read at once; each connection has a buffer of it.
_READ_BYTES = 256 * 1024
_FRAME_BYTES = 64 * 1024
"""The largest frame that the peer may send."""
_SETTINGS = b"\x04"
"""Type of a SETTINGS frame."""
# What every call of a method says alike. All else is never put into HPACK's table,
# where a token could be guessed from the size of what is sent, and where a request id
# pushes out what is of use.
_SHARED_HEADERS = frozenset(
    (":method", ":scheme", ":path", ":authority", "te", "content-type", "user-agent")
)


class Protocol(H2Protocol, asyncio.BufferedProtocol):
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
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._first_bytes = b""
        self.last_received: float = self._loop.time()
        self.greeted: asyncio.Future[str] = self._loop.create_future()
        """Done when the peer has greeted; the text is what went wrong, or ""."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer."""
        self._tls: SSLObject | None = transport.get_extra_info("ssl_object")
        http2 = ClientConnection(self.h2_config)
        http2.local_settings = Settings(
            initial_values={
                SettingCodes.INITIAL_WINDOW_SIZE: (
                    self.config.http2_stream_window_size
                ),
                SettingCodes.MAX_FRAME_SIZE: _FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: http2.DEFAULT_MAX_HEADER_LIST_SIZE,
            }
        )
        http2.max_inbound_frame_size = _FRAME_BYTES
        # h2 itself would drop the streams that the peer still means to finish.
        http2._frame_dispatch_table[GoAwayFrame] = self._on_go_away
        http2.initiate_connection()
        http2.increment_flow_control_window(
            self.config.http2_connection_window_size - http2.inbound_flow_control_window
        )
        self.http2 = http2
        connection = Connection(
            http2, cast("asyncio.Transport", transport), config=self.config
        )
        self.connection: GrpclibConnection = connection
        self.retirable: Processor = Processor(self.handler, connection, self.greeted)
        self.processor: EventsProcessor = self.retirable
        connection.flush()
        connection.initialize()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to; otherwise asyncio allocates as much for every reading."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Take bytes from the peer; an end, not an error, where they make no sense."""
        self.last_received = self._loop.time()
        if not self.greeted.done():
            self._first_bytes = (self._first_bytes + bytes(data[:4]))[:4]
            if self._first_bytes[3:] not in (b"", _SETTINGS):
                self.greeted.set_result(NOT_HTTP2)
                self.processor.close(NOT_HTTP2)
                return
        try:
            for event in self.http2.received(data):
                self.processor.process(event)
                if self.retirable.closed:
                    return
        except Exception:  # noqa: BLE001 - of h2 on bad bytes; none must reach the loop
            self.processor.close(NOT_HTTP2)
        else:
            self.connection.flush()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is under way, with what is known of why."""
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


class Connection(GrpclibConnection):
    """grpclib's connection, which knows the calls that wait to be sent over it.

    What is written in one turn of the event loop goes out together.

    Attributes:
        opening: what ends the calls that wait for a stream.
        streams: those that are under way, by number.
    """

    def __init__(
        self,
        http2: ClientConnection,
        transport: asyncio.Transport,
        *,
        config: Configuration,
    ) -> None:
        super().__init__(http2, transport, config=config)
        self.http2 = http2
        self.opening: set[Wrapper] = set()
        self._loop = asyncio.get_running_loop()
        self.streams: dict[int, GrpclibStream] = {}
        self._arrived = 0
        self._will_flush = False
        self._turns: deque[asyncio.Future[None]] = deque()

    def flush(self) -> None:
        """Write what is to be sent."""
        self._will_flush = False
        if self.http2.outgoing_bytes and not self.is_closing():
            self._transport.write(self.http2.take_outgoing())

    def flush_soon(self, much_bytes: int = _WRITE_BYTES) -> None:
        """Write it at the end of this turn of the loop, or now if it is much."""
        if self.http2.outgoing_bytes >= much_bytes:
            self.flush()
        elif not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self.flush)

    def flush_after_end(self) -> None:
        """Write it, after the last of a call: soon, or now if no other may come."""
        self.flush_soon(0 if len(self.streams) == 1 else _REQUESTS_BYTES)

    def close(self) -> None:
        """Close, after what is to be sent has been written."""
        self.flush()
        super().close()

    def ack(self, stream_id: int, size: int) -> None:
        """Let the peer send so much more on a stream.

        On the stream only: for the connection that was done as the bytes arrived, so
        that streams nobody reads take nothing from the others.
        """
        self.http2.open_window(size, stream_id)
        self.flush_soon()

    def arrived(self, size: int) -> None:
        """Let the peer send so much more on the connection, from time to time."""
        self._arrived += size
        if self._arrived >= _ARRIVED_STEP_BYTES:
            self.http2.increment_flow_control_window(self._arrived)
            self._arrived = 0

    async def turn(self) -> None:
        """Wait for a part of the connection's window, in the order of asking.

        Each that has had its turn calls ``next_turn``, whatever became of it, and so
        does each that waits for something else meanwhile: no more are woken than can
        send.
        """
        turn = self._loop.create_future()
        self._turns.append(turn)
        await turn

    def next_turn(self) -> None:
        """Wake the one that has waited longest, if there is something to send with."""
        while self._turns and self.http2.outbound_flow_control_window > 0:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def create_stream(
        self, *, stream_id: int | None = None, wrapper: Wrapper | None = None
    ) -> Stream:
        """Make a stream of our kind."""
        return Stream(
            self, self.http2, self._transport, stream_id=stream_id, wrapper=wrapper
        )


class Stream(GrpclibStream):
    """grpclib's stream, with a shorter way to the socket."""

    connection: Connection
    _h2_connection: ClientConnection
    number: int = 0

    def init_stream(self, stream_id: int, connection: GrpclibConnection) -> None:
        """Take the number that the stream has from when it is open."""
        super().init_stream(stream_id, connection)
        self.number = stream_id

    async def send_request(
        self,
        headers: list[tuple[str, str]],
        end_stream: bool = False,
        *,
        _processor: EventsProcessor,
    ) -> Callable[[], None]:
        """Open the stream, as soon as the peer takes one more.

        The headers go out with what is sent next.
        """
        if end_stream:
            return await super().send_request(headers, True, _processor=_processor)
        shared = tuple(header for header in headers if header[0] in _SHARED_HEADERS)
        own = [header for header in headers if header[0] not in _SHARED_HEADERS]
        connection = self.connection
        while True:
            if not connection.write_ready.is_set():
                await self._waiting_to_open(connection.write_ready)
            try:
                stream_id = self._h2_connection.send_request(shared, own)
            except TooManyStreamsError:
                connection.stream_close_waiter.clear()
                await self._waiting_to_open(connection.stream_close_waiter)
            else:
                self.init_stream(stream_id, connection)
                return _processor.register(self)

    def send_now(
        self,
        headers: Headers,
        own_headers: list[tuple[str, str]],
        data: bytes,
        processor: Processor,
    ) -> Callable[[], None] | None:
        """Open the stream and send all there is to send, if it can go out now.

        Returns:
            What to call when the stream is over; None if there is something to wait
            for, and nothing was done.
        """
        connection = self.connection
        http2 = self._h2_connection
        if (
            connection.is_closing()
            or not connection.write_ready.is_set()
            or len(data) > _WRITE_BYTES
            or not http2.takes(len(data))
        ):
            return None
        try:
            stream_id = http2.send_request(headers, own_headers)
        except ProtocolError:
            # The long way says what it is.
            return None
        self.init_stream(stream_id, connection)
        release = processor.register(self)
        http2.send_part(stream_id, memoryview(data), end_stream=True)
        connection.flush_after_end()
        return release

    async def _waiting_to_open(self, event: asyncio.Event) -> None:
        opening = self.connection.opening
        if self.wrapper is not None:
            opening.add(self.wrapper)
        try:
            await event.wait()
        finally:
            if self.wrapper is not None:
                opening.discard(self.wrapper)

    async def send_data(self, data: bytes, end_stream: bool = False) -> None:
        """Send some bytes as DATA frames, as the peer's windows allow.

        Step by step, so that little waits in memory for a socket that is full, and
        others have their turn.
        """
        connection = self.connection
        http2 = self._h2_connection
        view = memoryview(data)
        try:
            for number in count(1):
                if not connection.write_ready.is_set():
                    connection.next_turn()
                    await connection.write_ready.wait()
                step = view[:_WRITE_BYTES]
                is_last = end_stream and len(step) == len(view)
                sent = http2.send_part(self.number, step, end_stream=is_last)
                if is_last:
                    connection.flush_after_end()
                else:
                    connection.flush_soon()
                view = view[sent:]
                if not view:
                    return
                if http2.outbound_flow_control_window <= 0:
                    await connection.turn()
                elif sent < len(step):
                    # It is the stream's own window that is used up.
                    connection.next_turn()
                    self.window_updated.clear()
                    await self.window_updated.wait()
                elif number % _STEPS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
        finally:
            connection.next_turn()

    async def end(self) -> None:
        """End the stream."""
        self._h2_connection.end_stream(self.number)
        self.connection.flush_soon()

    def reset_nowait(self, error_code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Give the stream up."""
        self._h2_connection.reset_stream(self.number, error_code=error_code)
        self.connection.flush_soon()


class Processor(EventsProcessor):
    """grpclib's processor of a connection that may be retired.

    Attributes:
        closed: why nothing more can come over the connection, or "".
    """

    def __init__(
        self,
        handler: AbstractHandler,
        connection: Connection,
        greeted: asyncio.Future[str],
    ) -> None:
        super().__init__(handler, connection)
        self.closed: str = ""
        self.own_connection: Connection = connection
        self.streams: dict[int, GrpclibStream] = connection.streams
        self._greeted = greeted
        self._is_retired = False

    def process(self, event: Event) -> None:
        """Pass over what grpclib does not know."""
        if not self.closed:
            # Of a kind that HTTP/2 allows and tells clients to ignore, otherwise.
            handle = self.processors.get(type(event))
            if handle is not None:
                handle(event)  # type: ignore[operator]  # mypy takes it for any function

    def process_remote_settings_changed(self, event: RemoteSettingsChanged) -> None:
        """Note that the peer has greeted."""
        super().process_remote_settings_changed(event)
        # The peer may have raised its limit of streams.
        self.connection.stream_close_waiter.set()
        if not self._greeted.done():
            self._greeted.set_result("")

    def process_data_received(self, event: DataReceived) -> None:
        """Hand the data over, and count it for the connection."""
        size = event.flow_controlled_length
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.buffer.add(event.data, size)
        self.own_connection.arrived(size)

    def process_window_updated(self, event: WindowUpdated) -> None:
        """Wake those that can send now."""
        if event.stream_id:
            super().process_window_updated(event)
        else:
            self.own_connection.next_turn()

    def process_stream_ended(self, event: StreamEnded) -> None:
        """Wake those that wait for a free stream."""
        super().process_stream_ended(event)
        self.connection.stream_close_waiter.set()

    def process_stream_reset(self, event: StreamReset) -> None:
        """Wake those that wait for a free stream."""
        super().process_stream_reset(event)
        self.connection.stream_close_waiter.set()

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        """Refuse what the peer will not answer, and let the rest finish."""
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

    def register(self, stream: GrpclibStream) -> Callable[[], None]:
        """Note that a call was sent; what is returned notes that it is over."""
        super().register(stream)
        number = cast("int", stream.id)

        def release() -> None:
            # Nothing is acknowledged, unlike in grpclib: the stream is over, and for
            # the connection that was done.
            del self.streams[number]
            self.connection.stream_close_waiter.set()
            self._close_if_done()

        return release

    def close(self, reason: str = "Connection closed") -> None:
        """Close, and let those know that still wait to be sent."""
        self.closed = self.closed or reason
        super().close(reason)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """End the calls that wait to be sent over this connection."""
        for wrapper in list(self.own_connection.opening):
            wrapper.cancel(
                RefusedError("the peer ended the connection before the call")
            )

    def _close_if_done(self) -> None:
        if self._is_retired and not self.streams:
            self.close()
