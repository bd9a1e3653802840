"""A client's HTTP/2 connection without I/O: h2, with a fast path for common frames.

h2 takes every frame through a parser, two state machines and a dozen log calls. That is
fine for connection set-up, and too slow for every message. So the plain forms of
HEADERS, DATA and WINDOW_UPDATE are read and written here, straight from and to h2's own
state, and everything else goes through h2: rare frames, padding, priorities, unknown
header blocks, and all that breaks a rule, so that h2 is the only judge of errors.

The fast path is right where it leaves h2 in the state that h2 alone would be in. A test
drives both side by side with the same frames. ``FAST_PATH`` switches the reading half
off, and every frame then goes through h2.

Numbers are those of RFC 9113 and, for header blocks, of RFC 7541.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import starmap
from typing import Generic, Protocol, TypeAlias, TypeVar

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import FrameTooLargeError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs, StreamState
from h2.windows import LARGEST_FLOW_CONTROL_WINDOW
from hpack.hpack import encode_integer
from hpack.struct import Header
from hpack.table import HeaderTable

from remotemedia.http2.compat import OpenH2Connection, announced_length, inbound_window

FAST_PATH = True
"""Whether received frames take the fast path where they can; off for comparison."""

Headers: TypeAlias = "tuple[tuple[str, str], ...]"
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

_HEAD = struct.Struct(">HBBBI")
"""A frame's head: its length (of 24 bits, in two parts), type, flags and stream."""
_DATA, _HEADERS, _PUSH_PROMISE, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 5, 8, 9
_NO_FLAGS, _END_STREAM, _END_HEADERS = 0, 1, 4
_RECEIVING = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)
_SENDING = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
_LIVE = (*_RECEIVING, StreamState.HALF_CLOSED_REMOTE)
# A service answers with two or three different header blocks.
_MAX_KNOWN_BLOCKS = 64
# h2 looks for closed streams whenever it opens one; we do once there are this many.
_MAX_CLOSED_STREAMS = 32
_MAX_FRAME_BYTES = 64 * 1024
"""The largest frame that we allow the peer to send."""


class Sink(Protocol):
    """Whoever handles the frames that a connection receives."""

    def on_data(self, stream_id: int, data: bytes, window_bytes: int) -> None:
        """Handle a DATA frame: its payload, and its cost to the windows in bytes."""
        ...

    def on_event(self, event: Event) -> None:
        """Handle any other frame, as an event of h2."""
        ...


class ClientConnection(OpenH2Connection):
    """A client's HTTP/2 connection, without I/O."""

    def __init__(self, stream_window_bytes: int, connection_window_bytes: int) -> None:
        """Prepare a connection, and the greeting in ``outgoing``.

        Args:
            stream_window_bytes: how much the peer may send on a stream beyond what was
                acknowledged.
            connection_window_bytes: the same for all streams together.
        """
        super().__init__(
            H2Configuration(
                client_side=True,
                # Any byte is a character of it, so that no header ends the connection.
                header_encoding="latin-1",
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_inbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # The parts of an incomplete frame, and how many bytes complete it or its head.
        self._parts: list[bytes] = []
        self._missing_bytes = 0
        # Whether the next frame continues a header block.
        self._is_in_headers = False
        self._max_streams = _MAX_CLOSED_STREAMS
        self.decoder.header_table = self._received_table = _Table()
        self.encoder.header_table = self._sent_table = _Table()
        self._received_blocks: _KnownBlocks[bytes, list[Header]] = _KnownBlocks(
            self._received_table
        )
        self._sent_blocks: _KnownBlocks[Headers, bytes] = _KnownBlocks(self._sent_table)
        self.local_settings: Settings = Settings(
            initial_values={
                SettingCodes.INITIAL_WINDOW_SIZE: stream_window_bytes,
                SettingCodes.MAX_FRAME_SIZE: _MAX_FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: self.DEFAULT_MAX_HEADER_LIST_SIZE,
            }
        )
        self.max_inbound_frame_size = _MAX_FRAME_BYTES
        self.initiate_connection()
        self.increment_flow_control_window(
            connection_window_bytes - self.inbound_flow_control_window
        )

    # -- receiving

    def receive(self, data: bytes | memoryview, sink: Sink) -> None:
        """Take bytes from the peer, and tell the sink what they mean, frame by frame.

        What is kept is copied, so the memory of ``data`` may be used again.

        Raises:
            ProtocolError: the peer broke the protocol. The sink has been told of the
                frames before.
        """
        data = memoryview(data)
        # Complete the frame that has begun; of an incomplete head, the head first.
        while self._parts and data:
            part = bytes(data[: self._missing_bytes])
            data = data[len(part) :]
            self._parts.append(part)
            self._missing_bytes -= len(part)
            if not self._missing_bytes:
                begun = b"".join(self._parts)
                self._parts.clear()
                self.receive(begun, sink)
        size = len(data)
        pos = 0
        while pos < size:
            if size - pos < _HEAD.size:
                self._missing_bytes = _HEAD.size - (size - pos)
                break
            high, low, kind, flags, stream_id = _HEAD.unpack_from(data, pos)
            length = high << 8 | low
            body = pos + _HEAD.size
            stop = body + length
            # h2 says the same, but only once the whole frame is there.
            if length > self.max_inbound_frame_size:
                self.terminate(ErrorCodes.FRAME_SIZE_ERROR)
                raise FrameTooLargeError(
                    f"a frame of {length} bytes, over the limit of "
                    f"{self.max_inbound_frame_size}"
                )
            if kind <= _HEADERS and not stream_id:
                self.terminate(ErrorCodes.PROTOCOL_ERROR)
                raise ProtocolError("a frame of a stream, without a stream's number")
            if stop > size:
                self._missing_bytes = stop - size
                break
            if self._is_in_headers or not FAST_PATH:
                is_done = False
            elif kind == _DATA:
                is_done = flags == _NO_FLAGS and self._read_data(
                    stream_id, bytes(data[body:stop]), sink
                )
            elif kind == _HEADERS:
                is_done = self._read_headers(
                    stream_id, flags, bytes(data[body:stop]), sink
                )
            elif kind == _WINDOW_UPDATE:
                is_done = self._read_window_update(
                    stream_id, bytes(data[body:stop]), sink
                )
            else:
                is_done = False
            if not is_done:
                self._read_by_h2(kind, flags, bytes(data[pos:stop]), sink)
            pos = stop
        if pos < size:
            self._parts.append(bytes(data[pos:]))

    def _read_data(self, stream_id: int, data: bytes, sink: Sink) -> bool:
        """Read a DATA frame; False, and nothing is done, unless it is a plain one."""
        stream = self.streams.get(stream_id)
        if (
            stream is None
            or not (machine := stream.state_machine).headers_received
            or machine.state not in _RECEIVING
            or self.state_machine.state is not ConnectionState.CLIENT_OPEN
            or announced_length(stream) is not None
        ):
            return False
        size = len(data)
        connection_window, window = self.inbound_window, inbound_window(stream)
        if (
            size > connection_window.current_window_size
            or size > window.current_window_size
        ):
            return False
        connection_window.current_window_size -= size
        window.current_window_size -= size
        sink.on_data(stream_id, data, size)
        return True

    def _read_headers(
        self, stream_id: int, flags: int, block: bytes, sink: Sink
    ) -> bool:
        """Read a HEADERS frame; False, and nothing is done, if the block is new."""
        headers = self._received_blocks.get(block)
        stream = self.streams.get(stream_id)
        if (
            headers is None
            or stream is None
            or (machine := stream.state_machine).state not in _RECEIVING
            or self.state_machine.state is not ConnectionState.CLIENT_OPEN
            or announced_length(stream) is not None
        ):
            return False
        is_last = flags == _END_HEADERS | _END_STREAM
        if not is_last and (flags != _END_HEADERS or machine.headers_received):
            return False
        event: ResponseReceived | TrailersReceived
        if machine.headers_received:
            machine.trailers_received = True
            event = TrailersReceived(stream_id=stream_id, headers=headers)
        else:
            machine.headers_received = True
            event = ResponseReceived(stream_id=stream_id, headers=headers)
        if is_last:
            ended: list[StreamEnded] = machine.process_input(  # type: ignore[assignment]  # the only event of this input
                StreamInputs.RECV_END_STREAM
            )
            event.stream_ended = ended[0]
            sink.on_event(event)
            sink.on_event(ended[0])
        else:
            sink.on_event(event)
        return True

    def _read_window_update(self, stream_id: int, data: bytes, sink: Sink) -> bool:
        """Read a WINDOW_UPDATE frame; False, and nothing is done, if it is odd."""
        owner: H2Connection | H2Stream = self
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is None or stream.state_machine.state not in _LIVE:
                return False
            owner = stream
        increment = int.from_bytes(data, "big") & LARGEST_FLOW_CONTROL_WINDOW
        window = owner.outbound_flow_control_window + increment
        if len(data) != 4 or not increment or window > LARGEST_FLOW_CONTROL_WINDOW:
            return False
        owner.outbound_flow_control_window = window
        sink.on_event(WindowUpdated(stream_id=stream_id, delta=increment))
        return True

    def _read_by_h2(self, kind: int, flags: int, frame: bytes, sink: Sink) -> None:
        """Have h2 read a frame; remember the header block in it."""
        if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
            self._is_in_headers = not flags & _END_HEADERS
        before = self._received_table.version
        events = self.receive_data(frame)
        if (
            kind == _HEADERS
            and flags & ~_END_STREAM == _END_HEADERS
            and events
            and isinstance(event := events[0], (ResponseReceived, TrailersReceived))
            and all(str(name) != "content-length" for name, _ in event.headers)
        ):
            block = frame[_HEAD.size :]
            self._received_blocks.put(block, list(event.headers), before)
        for event in events:
            if isinstance(event, DataReceived):
                size = event.flow_controlled_length or 0
                sink.on_data(event.stream_id or 0, event.data or b"", size)
            else:
                sink.on_event(event)

    # -- sending

    def send_request(
        self, headers: Headers, own_headers: Sequence[tuple[str, str]]
    ) -> int:
        """Open a stream with the headers of a request.

        Args:
            headers: those that many requests have in common. They enter HPACK's table,
                so they are sent once.
            own_headers: those of this request alone. They never enter the table, where
                they would displace the others, and where a secret could be guessed
                from the size of what is sent (RFC 7541, section 7.1).

        Returns:
            The stream's number.

        Raises:
            TooManyStreamsError: the peer takes no more streams for now.
            NoAvailableStreamIDError: the connection has no more stream numbers.
        """
        limit = self.remote_settings.max_concurrent_streams
        if len(self.streams) >= min(limit, self._max_streams):
            # Counting also removes the closed ones.
            open_streams = self.open_outbound_streams
            self._max_streams = 2 * open_streams + _MAX_CLOSED_STREAMS
            if open_streams >= limit:
                raise TooManyStreamsError(
                    f"{open_streams} streams are open, of {limit}"
                )
        stream_id = self.get_next_available_stream_id()
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        stream = self.begin_stream(stream_id)
        stream.state_machine.process_input(StreamInputs.SEND_HEADERS)
        stream.request_method = b"POST"
        block = self._encoded(headers) + b"".join(starmap(_literal, own_headers))
        out = self.outgoing
        kind = _HEADERS
        for start in range(0, len(block), self.max_outbound_frame_size):
            part = block[start : start + self.max_outbound_frame_size]
            is_last = start + len(part) == len(block)
            flags = _END_HEADERS if is_last else _NO_FLAGS
            out += _head(len(part), kind, flags, stream_id)
            out += part
            kind = _CONTINUATION
        return stream_id

    def can_send(self, size: int) -> bool:
        """Whether `size` bytes fit into the windows of a new stream."""
        return size <= min(
            self.outbound_flow_control_window, self.remote_settings.initial_window_size
        )

    def send_part(
        self, stream_id: int, data: memoryview, *, end_stream: bool = False
    ) -> int:
        """Send as much of some data as the peer's windows allow.

        Args:
            stream_id: number of the stream.
            data: the data, or the rest of it.
            end_stream: whether the stream ends with the data.

        Returns:
            How many bytes of the data were sent.

        Raises:
            ProtocolError: nothing can be sent on the stream.
        """
        stream = self.streams.get(stream_id)
        if (
            not data
            or stream is None
            or stream.state_machine.state not in _SENDING
            or self.state_machine.state is not ConnectionState.CLIENT_OPEN
        ):
            # h2 raises where the stream is closed, or was never open.
            self.local_flow_control_window(stream_id)
            self.send_data(stream_id, b"", end_stream=end_stream and not data)
            return 0
        size = min(
            len(data),
            self.outbound_flow_control_window,
            stream.outbound_flow_control_window,
        )
        out = self.outgoing
        for pos in range(0, size, self.max_outbound_frame_size):
            part = data[pos : min(pos + self.max_outbound_frame_size, size)]
            length = len(part)
            flags = _NO_FLAGS
            if end_stream and pos + length == len(data):
                stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
                flags = _END_STREAM
            out += _HEAD.pack(length >> 8, length & 0xFF, _DATA, flags, stream_id)
            out += part
            self.outbound_flow_control_window -= length
            stream.outbound_flow_control_window -= length
        # A window is negative where the peer has made it smaller.
        return max(size, 0)

    def open_window(self, size: int, stream_id: int) -> None:
        """Let the peer send `size` bytes more on a stream, unless it is closed."""
        stream = self.streams.get(stream_id)
        if stream is not None and stream.state_machine.state in _RECEIVING:
            inbound_window(stream).window_opened(size)
            out = self.outgoing
            out += _head(4, _WINDOW_UPDATE, _NO_FLAGS, stream_id)
            out += size.to_bytes(4, "big")

    def is_live(self, stream_id: int) -> bool:
        """Whether either side may still send on a stream."""
        stream = self.streams.get(stream_id)
        return (
            stream is not None
            and stream.state_machine.state is not StreamState.CLOSED
            and self.state_machine.state is not ConnectionState.CLOSED
        )

    def _encoded(self, headers: Headers) -> bytes:
        block = self._sent_blocks.get(headers)
        if block is None:
            before = self._sent_table.version
            block = self.encoder.encode(headers)
            self._sent_blocks.put(headers, block, before)
        return block


class _Table(HeaderTable):
    """HPACK's table of headers, which counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self._additions = 0

    @property
    def version(self) -> tuple[int, int]:
        """Equal for as long as the same block means the same headers."""
        return self._additions, self.maxsize

    def add(self, name: bytes, value: bytes) -> None:
        """Add a header; the oldest leave where there is no room."""
        super().add(name, value)
        self._additions += 1


class _KnownBlocks(Generic[KeyT, ValueT]):
    """Header blocks that were coded before, valid while the table does not change."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._version = table.version
        self._values: dict[KeyT, ValueT] = {}

    def get(self, key: KeyT) -> ValueT | None:
        """What was remembered, if it still holds."""
        value = self._values.get(key)
        if value is None or self._table.version != self._version:
            return None
        return value

    def put(self, key: KeyT, value: ValueT, before: tuple[int, int]) -> None:
        """Remember what was coded, if coding it left the table as it was before."""
        now = self._table.version
        if now != before:
            return
        if now != self._version or len(self._values) >= _MAX_KNOWN_BLOCKS:
            self._values.clear()
            self._version = now
        self._values[key] = value


def _head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


def _literal(name: str, value: str) -> bytes:
    """A header marked never to be indexed (RFC 7541, section 6.2.3)."""
    return b"".join((b"\x10", *_string(name), *_string(value)))


def _string(text: str) -> tuple[bytes | bytearray, bytes]:
    """A length and a text, without Huffman coding."""
    data = text.encode()
    size = len(data)
    return bytes((size,)) if size < 0x7F else encode_integer(size, 7), data
