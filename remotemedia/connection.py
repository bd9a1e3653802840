"""One HTTP/2 connection, and how far its peer is trusted.

grpclib's classes do the work; the subclasses here have what they lack. Attributes of
grpclib and h2 with a leading underscore are used as a connection is made, and a test
holds both libraries to them.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLObject
from typing import TYPE_CHECKING, cast

from grpclib.protocol import AbstractHandler, EventsProcessor, H2Protocol, Stream
from grpclib.protocol import Connection as GrpclibConnection
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
from h2.frame_buffer import FrameBuffer
from hyperframe.frame import DataFrame, Frame, GoAwayFrame

from remotemedia.status import NOT_HTTP2, RefusedError

if TYPE_CHECKING:
    from grpclib.client import Handler
    from grpclib.config import Configuration
    from h2.config import H2Configuration

# The connection's window is opened again in steps of this size.
_ARRIVED_STEP_BYTES = 1024 * 1024
_SETTINGS = b"\x04"
"""Type of a SETTINGS frame."""


class Protocol(H2Protocol):
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
        self.last_received: float = self._loop.time()
        self.greeted: asyncio.Future[str] = self._loop.create_future()
        """Done when the peer has greeted; the text is what went wrong, or ""."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put our parts where grpclib's would be."""
        super().connection_made(transport)
        self._tls: SSLObject | None = transport.get_extra_info("ssl_object")
        h2_connection = self.connection._connection
        connection = Connection(
            h2_connection, cast("asyncio.Transport", transport), config=self.config
        )
        self.connection: GrpclibConnection = connection
        self.retirable: Processor = Processor(self.handler, connection, self.greeted)
        self.processor: EventsProcessor = self.retirable
        h2_connection.incoming_buffer = _FrameBuffer()
        handlers = h2_connection._frame_dispatch_table
        handlers[_QuietDataFrame] = handlers[DataFrame]
        # h2 itself would drop the streams that the peer still means to finish.
        handlers[GoAwayFrame] = self._on_go_away

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer; an end, not an error, where they make no sense."""
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
        if self._arrived >= _ARRIVED_STEP_BYTES:
            self._connection.increment_flow_control_window(self._arrived)
            self._arrived = 0

    def create_stream(
        self, *, stream_id: int | None = None, wrapper: Wrapper | None = None
    ) -> Stream:
        """Note that a call waits to be sent."""
        if wrapper is not None:
            self.opening.add(wrapper)
        return super().create_stream(stream_id=stream_id, wrapper=wrapper)


class Processor(EventsProcessor):
    """grpclib's processor of a connection that may be retired."""

    def __init__(
        self,
        handler: AbstractHandler,
        connection: Connection,
        greeted: asyncio.Future[str],
    ) -> None:
        super().__init__(handler, connection)
        self._own_connection = connection
        self._greeted = greeted
        self._is_retired = False

    def process(self, event: Event) -> None:
        """Pass over what grpclib does not know."""
        # Of a kind that HTTP/2 allows and tells clients to ignore, otherwise.
        if event.__class__ in getattr(self, "processors", ()):
            super().process(event)

    def process_remote_settings_changed(self, event: RemoteSettingsChanged) -> None:
        """Note that the peer has greeted."""
        super().process_remote_settings_changed(event)
        # The peer may have raised its limit of streams.
        self.connection.stream_close_waiter.set()
        if not self._greeted.done():
            self._greeted.set_result("")

    def process_data_received(self, event: DataReceived) -> None:
        """Count what arrived for the connection."""
        super().process_data_received(event)
        self._own_connection.arrived(event.flow_controlled_length or 0)

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

    def register(self, stream: Stream) -> Callable[[], None]:
        """Note that a call was sent; what is returned notes that it is over."""
        release_stream = super().register(stream)
        if stream.wrapper is not None:
            self._own_connection.opening.discard(stream.wrapper)

        def release() -> None:
            release_stream()
            self._close_if_done()

        return release

    def close(self, reason: str = "Connection closed") -> None:
        """Close, and let those know that still wait to be sent."""
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


class _QuietDataFrame(DataFrame):
    """A DATA frame that is not spelled out.

    h2 spells out every frame it receives, payload and all, for a trace that nobody
    reads. Without this, ``benchmarks/engine.py --profile`` has it near its top.
    """

    def __repr__(self) -> str:
        return f"DataFrame(stream_id={self.stream_id})"


class _FrameBuffer(FrameBuffer):
    """h2's parser of frames, with quiet DATA frames."""

    def __next__(self) -> Frame:
        frame = super().__next__()
        if frame.__class__ is DataFrame:
            frame.__class__ = _QuietDataFrame
        return frame
