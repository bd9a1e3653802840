"""The sending half of a client's HTTP/2 connection, without I/O.

Requests, data and windows are written here, straight into h2's own state: h2 takes each
frame through two state machines and a dozen log calls. A test compares what is sent
with what h2 alone would send.
"""

from __future__ import annotations

from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState
from h2.exceptions import TooManyStreamsError
from h2.stream import StreamInputs, StreamState

from remotemedia.http2 import framing
from remotemedia.http2.budget import BYTES_PER_WINDOW_UPDATE, Budget
from remotemedia.http2.compat import OpenH2Connection, inbound_window
from remotemedia.http2.headers import HeaderEncoder, Headers

RECEIVING = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)
"""The states of a stream that the peer may send on."""
_SENDING = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
# h2 looks for closed streams whenever it opens one; we do once there are this many.
_MAX_CLOSED_STREAMS = 32


class SendingConnection(OpenH2Connection):
    """What a client says on an HTTP/2 connection.

    Args:
        budget: earns the WINDOW_UPDATE frames that answer what is sent.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            H2Configuration(
                client_side=True,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.budget: Budget = budget
        self._max_streams = _MAX_CLOSED_STREAMS
        self.header_encoder: HeaderEncoder = HeaderEncoder(self.encoder)

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
        block = self.header_encoder.encode(headers, own_headers)
        out = self.outgoing
        kind = framing.HEADERS
        for start in range(0, len(block), self.max_outbound_frame_size):
            part = block[start : start + self.max_outbound_frame_size]
            is_last = start + len(part) == len(block)
            flags = framing.END_HEADERS if is_last else framing.NO_FLAGS
            out += framing.head(len(part), kind, flags, stream_id)
            out += part
            kind = framing.CONTINUATION
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
            flags = framing.NO_FLAGS
            if end_stream and pos + length == len(data):
                stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
                flags = framing.END_STREAM
            out += framing.HEAD.pack(
                length >> 8, length & 0xFF, framing.DATA, flags, stream_id
            )
            out += part
            self.outbound_flow_control_window -= length
            stream.outbound_flow_control_window -= length
            self.budget.window_updates += 2 + length // BYTES_PER_WINDOW_UPDATE
        # A window is negative where the peer has made it smaller.
        return max(size, 0)

    def open_window(self, size: int, stream_id: int) -> None:
        """Let the peer send `size` bytes more on a stream, unless it is closed."""
        stream = self.streams.get(stream_id)
        if stream is not None and stream.state_machine.state in RECEIVING:
            inbound_window(stream).window_opened(size)
            out = self.outgoing
            out += framing.head(4, framing.WINDOW_UPDATE, framing.NO_FLAGS, stream_id)
            out += size.to_bytes(4, "big")

    def is_live(self, stream_id: int) -> bool:
        """Whether either side may still send on a stream."""
        stream = self.streams.get(stream_id)
        return (
            stream is not None
            and stream.state_machine.state is not StreamState.CLOSED
            and self.state_machine.state is not ConnectionState.CLOSED
        )
