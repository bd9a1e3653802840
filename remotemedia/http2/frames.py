"""A client's HTTP/2 connection without I/O: what comes in, beside h2.

h2 takes every frame through a parser, two state machines and a dozen log calls, and
ends the connection for most of what is wrong with a single answer. So the frames of
streams are read here, straight into h2's own state: HEADERS, DATA, WINDOW_UPDATE and
whatever comes for a stream that is over. The frames of the connection (SETTINGS, PING,
GOAWAY) go through h2, and so does RST_STREAM of a stream that is open.

What a peer can make the client do is bounded:

- A rule that is broken on one stream ends that stream alone, where RFC 9113 leaves a
  choice. ``receive`` raises only for what ends the connection.
- Frames that move no call on are paid for out of a ``Budget``.
- Header blocks are limited as they arrive (``headers``), and of SETTINGS only what
  this client knows reaches h2, which would keep the rest.
- Reading stops when the turn of the event loop is over, and goes on where it stopped.

It is right where it leaves h2 in the state that h2 alone would be in. A test drives
both side by side with the same frames. Numbers are those of RFC 9113.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    Event,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import (
    FlowControlError,
    FrameTooLargeError,
    ProtocolError,
)
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs, StreamState
from h2.windows import LARGEST_FLOW_CONTROL_WINDOW

from remotemedia.http2 import framing
from remotemedia.http2.budget import (
    EARNED_PER_MOVE,
    MAX_IDLE_FRAMES,
    Budget,
)
from remotemedia.http2.compat import inbound_window
from remotemedia.http2.errors import BadResponseError
from remotemedia.http2.headers import (
    MAX_HEADER_BLOCK_BYTES,
    MAX_HEADER_LIST_BYTES,
    HeaderDecoder,
    HeadersTooLargeError,
    ReceivedHeaders,
    far_too_large,
)
from remotemedia.http2.sending import RECEIVING, SendingConnection

_LIVE = (*RECEIVING, StreamState.HALF_CLOSED_REMOTE)
_MAX_FRAME_BYTES = 64 * 1024
"""The largest frame that we allow the peer to send."""
# The connection's window is opened again in steps of this size.
_WINDOW_STEP_BYTES = 1024 * 1024


class Sink(Protocol):
    """Whoever handles the frames that a connection receives."""

    def on_data(self, stream_id: int, data: bytes, window_bytes: int) -> None:
        """Handle a DATA frame: its payload, and its cost to the windows in bytes."""
        ...

    def on_event(self, event: Event) -> None:
        """Handle any other frame, as an event of h2."""
        ...

    def on_bad_response(self, stream_id: int, error: BadResponseError) -> None:
        """Handle the end of a stream on which the peer broke a rule."""
        ...


class ClientConnection(SendingConnection):
    """A client's HTTP/2 connection, without I/O.

    Attributes:
        budget: how much the peer may still send that moves no call on.
        received_frames: how many whole frames have come.
    """

    def __init__(
        self,
        stream_window_bytes: int,
        connection_window_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a connection, and the greeting in ``outgoing``.

        Args:
            stream_window_bytes: how much the peer may send on a stream beyond what was
                acknowledged.
            connection_window_bytes: the same for all streams together.
            clock: tells the time in seconds.
        """
        super().__init__(Budget(clock))
        self.received_frames: int = 0
        self._clock = clock
        # The parts of an incomplete frame, and how many bytes complete it or its head.
        self._parts: list[bytes] = []
        self._missing_bytes = 0
        # The header block that has begun, with its stream and flags.
        self._begun_block: tuple[int, int, bytearray] | None = None
        # How much of its body each stream still owes that announced a length.
        self._owed_bytes: dict[int, int] = {}
        self._received_bytes = 0
        self._header_decoder = HeaderDecoder()
        self.local_settings: Settings = Settings(
            initial_values={
                # No call expects a push (section 8.4).
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: stream_window_bytes,
                SettingCodes.MAX_FRAME_SIZE: _MAX_FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
            }
        )
        self.max_inbound_frame_size = _MAX_FRAME_BYTES
        self.initiate_connection()
        self.increment_flow_control_window(
            connection_window_bytes - self.inbound_flow_control_window
        )

    # -- receiving

    def receive(
        self, data: bytes | memoryview, sink: Sink, turn_ends_s: float = math.inf
    ) -> int:
        """Take bytes from the peer, and tell the sink what they mean, frame by frame.

        What is kept is copied, so the memory of ``data`` may be used again.

        Args:
            data: what was received.
            sink: whom to tell.
            turn_ends_s: when to stop, by the clock. At least one frame is read.

        Returns:
            How many bytes were taken; the rest has to come again in the next turn.

        Raises:
            ProtocolError: the peer broke a rule that ends the connection, and is told
                by GOAWAY. The sink has been told of the frames before.
        """
        view = memoryview(data)
        taken = 0
        try:
            if self.state_machine.state is ConnectionState.CLOSED:
                raise ProtocolError("it went on after the end of the connection")
            # Complete the frame that has begun; of an incomplete head, the head first.
            while self._parts and taken < len(view):
                part = bytes(view[taken : taken + self._missing_bytes])
                taken += len(part)
                self._parts.append(part)
                self._missing_bytes -= len(part)
                if not self._missing_bytes:
                    begun = memoryview(b"".join(self._parts))
                    self._parts.clear()
                    self._read_frames(begun, sink, math.inf)
            return taken + self._read_frames(view[taken:], sink, turn_ends_s)
        except ProtocolError as error:
            # h2 has done so for the frames that it reads.
            if self.state_machine.state is not ConnectionState.CLOSED:
                self.terminate(error.error_code)
            raise

    def _read_frames(self, data: memoryview, sink: Sink, turn_ends_s: float) -> int:
        size = len(data)
        pos = 0
        clock = self._clock
        while pos < size:
            if size - pos < framing.HEAD.size:
                self._missing_bytes = framing.HEAD.size - (size - pos)
                break
            high, low, kind, flags, stream_id = framing.HEAD.unpack_from(data, pos)
            length: int = high << 8 | low
            body = pos + framing.HEAD.size
            stop = body + length
            stream_id &= framing.STREAM_ID
            if length > self.max_inbound_frame_size:
                raise FrameTooLargeError(
                    f"a frame of {length} bytes, over the limit of "
                    f"{self.max_inbound_frame_size}"
                )
            if not stream_id and kind in framing.OF_A_STREAM:
                raise ProtocolError("a frame of a stream, without a stream's number")
            if self._begun_block is not None and kind != framing.CONTINUATION:
                raise ProtocolError("a frame in the middle of a header block")
            if stop > size:
                self._missing_bytes = stop - size
                break
            self.received_frames += 1
            if kind == framing.DATA:
                self._read_data(stream_id, flags, bytes(data[body:stop]), sink)
            elif kind == framing.HEADERS:
                block = framing.header_block(flags, bytes(data[body:stop]))
                if flags & framing.END_HEADERS:
                    self._read_headers(stream_id, flags, block, sink)
                else:
                    self._begun_block = stream_id, flags, bytearray(block)
            elif kind == framing.WINDOW_UPDATE:
                self._read_window_update(stream_id, data[pos:stop], sink)
            else:
                self._read_rare(kind, flags, stream_id, data[pos:stop], sink)
            pos = stop
            if clock() >= turn_ends_s:
                return pos
        if pos < size:
            self._parts.append(bytes(data[pos:]))
        return size

    def _read_data(self, stream_id: int, flags: int, data: bytes, sink: Sink) -> None:
        size = len(data)
        window = self.inbound_window
        if size > window.current_window_size:
            raise FlowControlError("more data than the connection's window allows")
        window.current_window_size -= size
        # Streams have windows of their own, so the connection's is opened at once.
        self._received_bytes += size
        if self._received_bytes >= _WINDOW_STEP_BYTES:
            self.increment_flow_control_window(self._received_bytes)
            self._received_bytes = 0
        if flags & framing.PADDED:
            data = framing.unpadded(data)
        stream = self.streams.get(stream_id)
        if stream is None or (machine := stream.state_machine).state not in RECEIVING:
            self._on_late_frame(stream_id, sink)
            return
        window = inbound_window(stream)
        if size > window.current_window_size:
            self._end_stream_for(
                stream_id,
                ErrorCodes.FLOW_CONTROL_ERROR,
                "the peer sent more data than the window of the stream allows",
                sink,
            )
            return
        window.current_window_size -= size
        if not machine.headers_received:
            self._end_stream_for(
                stream_id,
                ErrorCodes.PROTOCOL_ERROR,
                "the peer sent data before the headers",
                sink,
            )
            return
        is_last = flags & framing.END_STREAM
        if self._owed_bytes and stream_id in self._owed_bytes:
            self._owed_bytes[stream_id] = owed = self._owed_bytes[stream_id] - len(data)
            if owed < 0 or (is_last and owed):
                self._end_stream_for(
                    stream_id,
                    ErrorCodes.PROTOCOL_ERROR,
                    "the length of the data is not what the peer announced "
                    "(content-length)",
                    sink,
                )
                return
        budget = self.budget
        if not data and not is_last:
            budget.spend()
        elif budget.frames < MAX_IDLE_FRAMES:
            budget.frames += EARNED_PER_MOVE
        sink.on_data(stream_id, data, size)
        # Whoever took the data may have reset the stream.
        if is_last and machine.state in RECEIVING:
            self._owed_bytes.pop(stream_id, None)
            (ended,) = machine.process_input(StreamInputs.RECV_END_STREAM)
            sink.on_event(ended)

    def _read_headers(
        self, stream_id: int, flags: int, block: bytes, sink: Sink
    ) -> None:
        """Read a whole header block: informational or response headers, or trailers."""
        too_large = ""
        headers: ReceivedHeaders = []
        try:
            headers = self._header_decoder.decode(block)
        except HeadersTooLargeError as error:
            too_large = str(error)
        stream = self.streams.get(stream_id)
        if stream is None or (machine := stream.state_machine).state not in RECEIVING:
            self._on_late_frame(stream_id, sink)
            return
        if too_large:
            code = ErrorCodes.ENHANCE_YOUR_CALM
            self._end_stream_for(stream_id, code, too_large, sink)
            return
        is_last = flags & framing.END_STREAM
        status = next((value for name, value in headers if name == ":status"), "")
        is_informational = status[:1] == "1"
        if (
            (is_informational and (is_last or machine.headers_received))
            or (machine.headers_received and not is_last)
        ):  # fmt: skip
            self._end_stream_for(
                stream_id,
                ErrorCodes.PROTOCOL_ERROR,
                "the peer sent headers where none belong",
                sink,
            )
            return
        if is_informational:
            self.budget.spend()
            return
        if not self._note_length(stream_id, headers, sink):
            return
        event: ResponseReceived | TrailersReceived
        if machine.headers_received:
            machine.trailers_received = True
            event = TrailersReceived(stream_id=stream_id, headers=headers)  # type: ignore[arg-type]  # h2 has its own tuples
        else:
            machine.headers_received = True
            event = ResponseReceived(stream_id=stream_id, headers=headers)  # type: ignore[arg-type]  # as above
        if self.budget.frames < MAX_IDLE_FRAMES:
            self.budget.frames += EARNED_PER_MOVE
        if is_last:
            self._owed_bytes.pop(stream_id, None)
            ended: list[StreamEnded] = machine.process_input(  # type: ignore[assignment]  # the only event of this input
                StreamInputs.RECV_END_STREAM
            )
            event.stream_ended = ended[0]
            sink.on_event(event)
            sink.on_event(ended[0])
        else:
            sink.on_event(event)

    def _note_length(
        self, stream_id: int, headers: ReceivedHeaders, sink: Sink
    ) -> bool:
        """Note the length that the headers announce; whether it makes sense."""
        lengths = {value for name, value in headers if name == "content-length"}
        if not lengths:
            return True
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit() and len(length) < 20):
            self._end_stream_for(
                stream_id,
                ErrorCodes.PROTOCOL_ERROR,
                "the peer announced an invalid length (content-length)",
                sink,
            )
            return False
        self._owed_bytes[stream_id] = int(length)
        return True

    def _read_window_update(
        self, stream_id: int, frame: memoryview, sink: Sink
    ) -> None:
        budget = self.budget
        if budget.window_updates:
            budget.window_updates -= 1
        else:
            budget.spend()
        owner: H2Connection | H2Stream = self
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is None or stream.state_machine.state not in _LIVE:
                self._check_known(stream_id)
                return
            owner = stream
        data = frame[framing.HEAD.size :]
        increment = int.from_bytes(data, "big") & LARGEST_FLOW_CONTROL_WINDOW
        window = owner.outbound_flow_control_window + increment
        if stream_id and len(data) == 4 and not increment:
            self._end_stream_for(
                stream_id,
                ErrorCodes.PROTOCOL_ERROR,
                "the peer opened the window of the stream by nothing",
                sink,
            )
        elif len(data) != 4 or not increment or window > LARGEST_FLOW_CONTROL_WINDOW:
            self._read_by_h2(frame, sink)
        else:
            owner.outbound_flow_control_window = window
            sink.on_event(WindowUpdated(stream_id=stream_id, delta=increment))

    def _read_rare(
        self, kind: int, flags: int, stream_id: int, frame: memoryview, sink: Sink
    ) -> None:
        """Read a frame that ordinary calls do without, or that concerns no call."""
        if kind == framing.CONTINUATION:
            self._read_continuation(stream_id, flags, frame[framing.HEAD.size :], sink)
        elif kind == framing.PUSH_PROMISE:
            raise ProtocolError("a push, which this client has switched off")
        elif kind == framing.RST_STREAM:
            stream = self.streams.get(stream_id)
            if stream is None or stream.state_machine.state not in _LIVE:
                self.budget.spend_late()
            else:
                self._owed_bytes.pop(stream_id, None)
                self._read_by_h2(frame, sink)
        else:
            self.budget.spend()
            if kind == framing.SETTINGS and not flags & framing.ACK:
                self._read_by_h2(framing.known_settings(frame), sink)
                self.header_encoder.on_settings()
            elif kind in (framing.SETTINGS, framing.PING, framing.GOAWAY):
                self._read_by_h2(frame, sink)
            # PRIORITY is obsolete, and what is unknown is ignored (section 5.5).

    def _read_continuation(
        self, stream_id: int, flags: int, data: memoryview, sink: Sink
    ) -> None:
        if self._begun_block is None or self._begun_block[0] != stream_id:
            raise ProtocolError("a CONTINUATION of no header block")
        _, first_flags, block = self._begun_block
        self.budget.spend()
        block += data
        if len(block) > MAX_HEADER_BLOCK_BYTES:
            raise far_too_large()
        if flags & framing.END_HEADERS:
            self._begun_block = None
            self._read_headers(stream_id, first_flags, bytes(block), sink)

    def _read_by_h2(self, frame: memoryview | bytes, sink: Sink) -> None:
        for event in self.receive_data(bytes(frame)):
            sink.on_event(event)

    def _on_late_frame(self, stream_id: int, sink: Sink) -> None:
        """Ignore a frame of a stream that is over, within the budget (section 5.1).

        Raises:
            ProtocolError: the stream never began.
            DenialOfServiceError: the budget is spent.
        """
        self._check_known(stream_id)
        self.budget.spend_late()
        stream = self.streams.get(stream_id)
        if stream is not None and stream.state_machine.state in _LIVE:
            self._end_stream_for(
                stream_id,
                ErrorCodes.STREAM_CLOSED,
                "the peer went on after the end of its answer",
                sink,
            )

    def _check_known(self, stream_id: int) -> None:
        # Section 5.1.1 would allow to end the connection for the number of a push too.
        # Nobody waits for one, so it costs no call, as with gRPC's C core and with Go.
        if stream_id % 2 and stream_id > self.highest_outbound_stream_id:
            raise ProtocolError("a frame of a stream that never began")

    def _end_stream_for(
        self, stream_id: int, code: ErrorCodes, reason: str, sink: Sink
    ) -> None:
        """End a stream on which the peer broke a rule (section 5.4.2)."""
        self.reset_stream(stream_id, code)
        sink.on_bad_response(stream_id, BadResponseError(code, reason))

    def reset_stream(self, stream_id: int, error_code: ErrorCodes | int = 0) -> None:
        """Reset a stream that is open."""
        if stream := self.streams.get(stream_id):
            self.budget.on_reset(inbound_window(stream).current_window_size)
        self._owed_bytes.pop(stream_id, None)
        super().reset_stream(stream_id, error_code)
