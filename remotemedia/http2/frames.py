"""h2's connection, with a short way for the frames that calls are made of.

h2 takes every frame through a parser, two state machines and a dozen log lines. That
is right for what comes once a connection, and is most of what a call costs for what
comes with every message. Here the plain form of HEADERS and DATA takes a short way
over the same state; all else, and all that is wrong, goes through h2. A test runs both
ways side by side.

Attributes of h2 with a leading underscore are used, and a test holds h2 to them. The
numbers are those of RFC 9113 and, for header blocks, RFC 7541.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from h2.connection import (
    AllowedStreamIDs,
    ConnectionInputs,
    ConnectionState,
    H2Connection,
)
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
from h2.stream import StreamInputs, StreamState
from h2.windows import LARGEST_FLOW_CONTROL_WINDOW
from hpack.hpack import encode_integer
from hpack.table import HeaderTable

if TYPE_CHECKING:
    from h2.config import H2Configuration
    from h2.stream import H2Stream
    from hpack.struct import Header

Headers: TypeAlias = "tuple[tuple[str, str], ...]"
KeyT = TypeVar("KeyT")
T = TypeVar("T")

_HEAD = struct.Struct(">HBBBI")
"""Length (of 24 bits, in two parts), type, flags and stream of a frame."""
_DATA, _HEADERS, _PUSH_PROMISE, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 5, 8, 9
_NO_FLAGS, _END_STREAM, _END_HEADERS = 0, 1, 4
_RECEIVING = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)
_SENDING = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
_LIVE = (*_RECEIVING, StreamState.HALF_CLOSED_REMOTE)
# Blocks of headers that are remembered; a service has two or three.
_MAX_KNOWN = 64
# Closed streams are let go when there are so many; h2 does it for every new one.
_CLOSED_STREAMS = 32


class ClientConnection(H2Connection):
    """A client's HTTP/2 connection, without I/O."""

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        # What has come of a frame, and how much is missing of it or of its head.
        self._parts: list[bytes] = []
        self._missing = 0
        # Whether a block of headers goes on in the next frame.
        self._continues = False
        self._most_streams = _CLOSED_STREAMS
        self.decoder.header_table = self._received_table = _Table()
        self.encoder.header_table = self._sent_table = _Table()
        self._received_blocks: _Known[bytes, list[Header]] = _Known(
            self._received_table
        )
        self._sent_blocks: _Known[Headers, bytes] = _Known(self._sent_table)

    # -- what comes in

    def received(self, data: bytes | memoryview) -> Iterator[Event]:
        """Take bytes from the peer, and yield what they mean, frame by frame.

        What is kept is copied: the memory may be used again when all was yielded.

        Raises:
            ProtocolError: the peer broke the protocol. What came before has been
                yielded.
        """
        view = memoryview(data)
        # The frame that has begun is put together, or first its head.
        while self._parts and view:
            part = bytes(view[: self._missing])
            view = view[len(part) :]
            self._parts.append(part)
            self._missing -= len(part)
            if not self._missing:
                begun = b"".join(self._parts)
                self._parts.clear()
                yield from self._frames(memoryview(begun))
        if view:
            yield from self._frames(view)

    def _frames(self, data: memoryview) -> Iterator[Event]:
        """What frames mean; the last may not be all there, and is kept."""
        size = len(data)
        pos = 0
        while True:
            if size - pos < _HEAD.size:
                self._missing = _HEAD.size - (size - pos)
                break
            high, low, kind, flags, stream_id = _HEAD.unpack_from(data, pos)
            length = high << 8 | low
            body = pos + _HEAD.size
            stop = body + length
            # h2 would say so too, but only when all of the frame is there.
            if length > self.max_inbound_frame_size:
                self._terminate_connection(ErrorCodes.FRAME_SIZE_ERROR)
                raise FrameTooLargeError(
                    f"a frame of {length} bytes, over the limit of "
                    f"{self.max_inbound_frame_size}"
                )
            if kind <= _HEADERS and not stream_id:
                self._terminate_connection(ErrorCodes.PROTOCOL_ERROR)
                raise ProtocolError("a frame of a call, on no stream")
            if stop > size:
                self._missing = stop - size
                break
            events: Iterable[Event] = ()
            if self._continues:
                pass
            elif kind == _DATA and flags == _NO_FLAGS:
                events = self._data(stream_id, bytes(data[body:stop]))
            elif kind == _HEADERS:
                events = self._headers(stream_id, flags, bytes(data[body:stop]))
            elif kind == _WINDOW_UPDATE:
                events = self._window_update(stream_id, bytes(data[body:stop]))
            if not events:
                events = self._long_way(kind, flags, bytes(data[pos:stop]))
            yield from events
            pos = stop
        if pos < size:
            self._parts.append(bytes(data[pos:]))

    def _data(self, stream_id: int, data: bytes) -> Sequence[Event]:
        """What a DATA frame means, or nothing if it is not a plain one."""
        stream = self.streams.get(stream_id)
        size = len(data)
        connection_window = self._inbound_flow_control_window_manager
        if (
            stream is None
            or not self._takes_headers_and_data(stream)
            or not stream.state_machine.headers_received
            or size > connection_window.current_window_size
            or size > stream._inbound_window_manager.current_window_size
        ):
            return ()
        connection_window.current_window_size -= size
        stream._inbound_window_manager.current_window_size -= size
        event = DataReceived(
            stream_id=stream_id, data=data, flow_controlled_length=size
        )
        return (event,)

    def _headers(self, stream_id: int, flags: int, block: bytes) -> Sequence[Event]:
        """What a HEADERS frame means, or nothing if it is not like one before."""
        headers = self._received_blocks.get(block)
        stream = self.streams.get(stream_id)
        if (
            headers is None
            or stream is None
            or not self._takes_headers_and_data(stream)
        ):
            return ()
        machine = stream.state_machine
        is_last = flags == _END_HEADERS | _END_STREAM
        if not is_last and (flags != _END_HEADERS or machine.headers_received):
            return ()
        event: ResponseReceived | TrailersReceived
        if machine.headers_received:
            machine.trailers_received = True
            event = TrailersReceived(stream_id=stream_id, headers=headers)
        else:
            machine.headers_received = True
            event = ResponseReceived(stream_id=stream_id, headers=headers)
        if not is_last:
            return (event,)
        ended: list[StreamEnded] = machine.process_input(StreamInputs.RECV_END_STREAM)  # type: ignore[assignment]  # of that input
        event.stream_ended = ended[0]
        return (event, ended[0])

    def _window_update(self, stream_id: int, data: bytes) -> Sequence[Event]:
        """What a WINDOW_UPDATE frame means, or nothing if it is not a plain one."""
        of: H2Connection | H2Stream = self
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is None or stream.state_machine.state not in _LIVE:
                return ()
            of = stream
        increment = int.from_bytes(data, "big") & LARGEST_FLOW_CONTROL_WINDOW
        window = of.outbound_flow_control_window + increment
        if len(data) != 4 or not increment or window > LARGEST_FLOW_CONTROL_WINDOW:
            return ()
        of.outbound_flow_control_window = window
        return (WindowUpdated(stream_id=stream_id, delta=increment),)

    def _takes_headers_and_data(self, stream: H2Stream) -> bool:
        return (
            stream.state_machine.state in _RECEIVING
            and stream._expected_content_length is None
            and self.state_machine.state is ConnectionState.CLIENT_OPEN
        )

    def _long_way(self, kind: int, flags: int, frame: bytes) -> Sequence[Event]:
        """What a frame means, by h2; remember the headers in it."""
        if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
            self._continues = not flags & _END_HEADERS
        before = self._received_table.state
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
        return events

    # -- what goes out

    def send_request(
        self,
        headers: Headers,
        own_headers: Sequence[tuple[str, str]],
    ) -> int:
        """Open a stream with a request's headers.

        Args:
            headers: those that other requests have as well.
            own_headers: those of this one alone, which are not put into the table.

        Returns:
            The stream's number.

        Raises:
            TooManyStreamsError: the peer takes no more streams for now.
            NoAvailableStreamIDError: the connection has carried all it can.
        """
        limit = self.remote_settings.max_concurrent_streams
        if len(self.streams) >= min(limit, self._most_streams):
            # Looking lets go of the closed ones.
            is_open = self.open_outbound_streams
            self._most_streams = 2 * is_open + _CLOSED_STREAMS
            if is_open >= limit:
                raise TooManyStreamsError(f"{is_open} streams are open, of {limit}")
        stream_id = self.get_next_available_stream_id()
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        stream = self._begin_new_stream(stream_id, AllowedStreamIDs.ODD)
        stream.state_machine.process_input(StreamInputs.SEND_HEADERS)
        stream.request_method = b"POST"
        block = self._encoded(headers) + b"".join(starmap(_literal, own_headers))
        kind = _HEADERS
        for start in range(0, len(block), self.max_outbound_frame_size):
            part = block[start : start + self.max_outbound_frame_size]
            is_last = start + len(part) == len(block)
            self._queue(kind, _END_HEADERS if is_last else 0, stream_id, part)
            kind = _CONTINUATION
        return stream_id

    def takes(self, size: int) -> bool:
        """Whether so much can be sent at once on a new stream."""
        return size <= min(
            self.outbound_flow_control_window, self.remote_settings.initial_window_size
        )

    def send_part(
        self, stream_id: int, data: memoryview, *, end_stream: bool = False
    ) -> int:
        """Send as much of some data as the peer's windows allow.

        Args:
            stream_id: number of the stream.
            data: the data, or its rest.
            end_stream: whether the stream ends with the data.

        Returns:
            How many bytes of the data go out.

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
            # Without a stream, or on one that is closed, h2 says so.
            self.local_flow_control_window(stream_id)
            self.send_data(stream_id, b"", end_stream=end_stream and not data)
            return 0
        size = min(
            len(data),
            self.outbound_flow_control_window,
            stream.outbound_flow_control_window,
        )
        for pos in range(0, size, self.max_outbound_frame_size):
            part = data[pos : min(pos + self.max_outbound_frame_size, size)]
            flags = _NO_FLAGS
            if end_stream and pos + len(part) == len(data):
                stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
                flags = _END_STREAM
            self._queue(_DATA, flags, stream_id, part)
            self.outbound_flow_control_window -= len(part)
            stream.outbound_flow_control_window -= len(part)
        # A window may be negative, where the peer has made it smaller.
        return max(size, 0)

    def open_window(self, size: int, stream_id: int) -> None:
        """Let the peer send so much more on a stream, unless it is closed."""
        stream = self.streams.get(stream_id)
        if stream is not None and stream.state_machine.state in _RECEIVING:
            stream._inbound_window_manager.window_opened(size)
            self._queue(_WINDOW_UPDATE, _NO_FLAGS, stream_id, size.to_bytes(4, "big"))

    def _queue(
        self, kind: int, flags: int, stream_id: int, data: bytes | memoryview
    ) -> None:
        length = len(data)
        out = self._data_to_send
        out += _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)
        out += data

    @property
    def outgoing_bytes(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._data_to_send)

    def take_outgoing(self) -> bytearray:
        """Take what is to be sent, without the copy that ``data_to_send`` makes."""
        data, self._data_to_send = self._data_to_send, bytearray()
        return data

    def _encoded(self, headers: Headers) -> bytes:
        block = self._sent_blocks.get(headers)
        if block is None:
            before = self._sent_table.state
            block = self.encoder.encode(headers)
            self._sent_blocks.put(headers, block, before)
        return block


class _Table(HeaderTable):
    """HPACK's table of headers, which tells one state of itself from another."""

    def __init__(self) -> None:
        super().__init__()
        self._additions = 0

    @property
    def state(self) -> tuple[int, int]:
        """The same where the same block means the same headers."""
        return self._additions, self.maxsize

    def add(self, name: bytes, value: bytes) -> None:
        """Put a header into the table, in place of the oldest where it is full."""
        super().add(name, value)
        self._additions += 1


class _Known(Generic[KeyT, T]):
    """What was encoded or decoded before, while the table stays as it is."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._state = table.state
        self._values: dict[KeyT, T] = {}

    def get(self, key: KeyT) -> T | None:
        """What is known."""
        value = self._values.get(key)
        return None if value is None or self._table.state != self._state else value

    def put(self, key: KeyT, value: T, before: tuple[int, int]) -> None:
        """Remember what was found, if the table is in the same state as before it."""
        now = self._table.state
        if now != before:
            return
        if now != self._state or len(self._values) >= _MAX_KNOWN:
            self._values.clear()
            self._state = now
        self._values[key] = value


def _literal(name: str, value: str) -> bytes:
    """A header that is never put into a table, here or by a proxy on the way."""
    return b"".join((b"\x10", *_string(name), *_string(value)))


def _string(text: str) -> tuple[bytes | bytearray, bytes]:
    """A length and a text, not compressed."""
    data = text.encode()
    size = len(data)
    return bytes((size,)) if size < 0x7F else encode_integer(size, 7), data
