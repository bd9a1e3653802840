"""Two clients that hear and say the same: ours, and h2 alone as its oracle.

What the two make of each frame, the state that they are left in, and what they send
must be the same, with two exceptions. Where h2 ends the connection, ours may end the
one stream; and frames of a stream that is over are only counted, where h2 answers each.
What comes after either is not compared. ``Peer`` writes the frames of a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    PriorityUpdated,
    StreamReset,
    UnknownFrameReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from h2.stream import StreamState
from hpack.hpack import Encoder
from hpack.struct import NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from remotemedia.http2.errors import BadResponseError
from remotemedia.http2.frames import ClientConnection

SHARED = ((":method", "POST"), (":scheme", "http"), (":path", "/a/B"))
OWN = [("grpc-timeout", "29S"), ("x-request-id", "0123456789abcdef" * 9)]
# The first have been answered; they are how the others are known to be answered.
ANSWERED, STREAMS = 2, 5
STREAM_WINDOW, CONNECTION_WINDOW = 65_535, 65_536

RESPONSES = (
    [(":status", "200"), ("content-type", "application/grpc")],
    [(":status", "200"), ("content-type", "application/grpc"), ("x-a", "b" * 200)],
    [(":status", "200"), ("content-length", "7")],
    [(":status", "200"), ("content-length", "x")],
    [(":status", "103")],
    [("grpc-status", "0")],
    [("grpc-status", "5"), ("grpc-message", "no")],
)


def plain_h2() -> H2Connection:
    """A client of h2 alone, with the same settings."""
    client = H2Connection(
        H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_inbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    client.local_settings = Settings(
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: 64 * 1024,
            SettingCodes.MAX_HEADER_LIST_SIZE: client.DEFAULT_MAX_HEADER_LIST_SIZE,
        }
    )
    client.max_inbound_frame_size = 64 * 1024
    client.initiate_connection()
    client.increment_flow_control_window(CONNECTION_WINDOW - STREAM_WINDOW)
    return client


class Recorder:
    """Keeps what a connection tells its sink, as events of h2's kinds."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_data(self, stream_id: int, data: bytes, window_bytes: int) -> None:
        self.events.append(
            DataReceived(
                stream_id=stream_id, data=data, flow_controlled_length=window_bytes
            )
        )

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_bad_response(self, stream_id: int, error: BadResponseError) -> None:
        self.events.append(
            StreamReset(
                stream_id=stream_id,
                error_code=ErrorCodes(error.code),
                remote_reset=False,
            )
        )


def received(client: ClientConnection, data: bytes) -> list[Event]:
    """What a client makes of bytes from the peer."""
    recorder = Recorder()
    client.receive(data, recorder)
    return recorder.events


class Pair:
    """Two clients to which the same happens: ours, and h2 alone.

    Attributes:
        is_same: whether the two were told the same and did the same so far.
    """

    def __init__(self, requests: int = STREAMS) -> None:
        self.is_same = True
        self.fast = ClientConnection(STREAM_WINDOW, CONNECTION_WINDOW)
        self.plain = plain_h2()
        for client in (self.fast, self.plain):
            client.receive_data(SettingsFrame(0).serialize())
        for _ in range(requests):
            self.request()

    def request(self) -> None:
        """Make a request."""
        # h2 forgets closed streams with every request, and the fast path when there are
        # many. It shows in what h2 makes of 1xx on a stream that was reset.
        assert self.fast.open_outbound_streams >= 0
        self.fast.send_request(SHARED, OWN)
        self.plain.send_headers(
            self.plain.get_next_available_stream_id(),
            [*SHARED, *(NeverIndexedHeaderTuple(*header) for header in OWN)],
        )

    def hear(self, frame: Frame) -> bool:
        """Take a frame from the peer; whether the two go on as one."""
        states = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)
        if not isinstance(frame, (HeadersFrame, ContinuationFrame, DataFrame)) or is_in(
            self.plain, frame.stream_id, *states
        ):
            return self.hear_bytes(frame.serialize())
        self.is_same = False
        data = frame.serialize()
        ours = result(lambda client: meant(received(client, data)), self.fast)
        theirs = result(lambda client: client.receive_data(data), self.plain)
        if isinstance(ours, type):
            assert isinstance(theirs, type)
        else:
            assert {kind for kind, *_ in ours} <= {StreamReset}
        return False

    def hear_bytes(self, data: bytes) -> bool:
        """Take bytes from the peer."""
        return self.both(
            lambda client: meant(received(client, data)),
            lambda client: meant(client.receive_data(data)),
        )

    def both(
        self,
        fast: Callable[[ClientConnection], object],
        plain: Callable[[H2Connection], object],
    ) -> bool:
        """Do the same with both, and compare; whether it went well."""
        ours, theirs = result(fast, self.fast), result(plain, self.plain)
        if isinstance(ours, type):
            assert isinstance(theirs, type)
            return False
        if isinstance(theirs, type):
            # Nobody but the stream was told.
            assert {kind for kind, *_ in ours} <= {StreamReset}
            self.is_same = False
            return False
        assert ours == theirs
        assert state(self.fast) == state(self.plain)
        return True


def result(act: Callable[[Any], Any], client: H2Connection) -> Any:
    """What comes of an action; of one that fails, the kind of error."""
    try:
        return act(client)
    except H2Error as error:
        return type(error)


def state(client: H2Connection) -> object:
    """What a connection knows, as far as calls go."""
    streams = {
        number: (
            stream.state_machine.state,
            stream.closed_by,
            stream.state_machine.headers_received,
            stream.state_machine.trailers_received,
            stream.outbound_flow_control_window,
            stream.inbound_flow_control_window,
        )
        for number, stream in client.streams.items()
        if not stream.closed
    }
    return (
        client.state_machine.state,
        client.outbound_flow_control_window,
        client.inbound_flow_control_window,
        streams,
    )


UNTOLD = (InformationalResponseReceived, PriorityUpdated, UnknownFrameReceived)
"""What h2 tells and ours does not, since nobody waits for it."""


def meant(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """Events, in a form that compares."""
    return [
        (type(event), *((name, comparable(value)) for name, value in fields(event)))
        for event in events
        if not isinstance(event, UNTOLD)
    ]


def fields(event: Event) -> list[tuple[str, object]]:
    """The fields of an event, by name.

    That a DATA frame ended the stream is said by the event after it, and what HEADERS
    say of priorities is of no interest.
    """
    is_data = isinstance(event, DataReceived)
    return sorted(
        (name, value)
        for name, value in vars(event).items()
        if not (is_data and name == "stream_ended") and name != "priority_updated"
    )


def comparable(value: object) -> object:
    """A value that equals its like; most of h2's are only equal to themselves."""
    return value if isinstance(value, (bytes, int, list, tuple)) else repr(value)


def said(client: H2Connection) -> object:
    """What a server understands of all that a client has sent."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding="ascii"))
    server.initiate_connection()
    data = bytes(client._data_to_send)
    return result(lambda server: meant(server.receive_data(data)), server)


# -- what comes in


class Peer:
    """Spells frames of a server's."""

    def __init__(self) -> None:
        self.encoder = Encoder()

    def frames(self, kind: str, *arguments: Any) -> list[Frame]:
        """The frames of one thing that the peer says."""
        made: Frame | list[Frame] = getattr(self, kind)(*arguments)
        return made if isinstance(made, list) else [made]

    def headers(
        self, stream: int, which: int, flags: set[str], is_split: bool
    ) -> list[Frame]:
        """Response headers or trailers, in one frame or in two."""
        frame = HeadersFrame(stream or 1)
        frame.flags.add("END_HEADERS")
        for flag in flags:
            frame.flags.add(flag)
        block = self.encoder.encode(RESPONSES[which])
        frame.data = block
        if not is_split:
            return [frame]
        frame.flags.discard("END_HEADERS")
        frame.data = block[:3]
        rest = ContinuationFrame(stream or 1)
        rest.flags.add("END_HEADERS")
        rest.data = block[3:]
        return [frame, rest]

    def data(self, stream: int, size: int, flags: set[str]) -> Frame:
        """Audio."""
        frame = DataFrame(stream or 1)
        frame.data = bytes(size)
        for flag in flags - {"PRIORITY"}:
            frame.flags.add(flag)
        return frame

    def window_update(self, stream: int, increment: int) -> Frame:
        """Leave to send more."""
        frame = WindowUpdateFrame(stream)
        frame.window_increment = increment
        return frame

    def settings(self, window: int) -> Frame:
        """Another size of window."""
        frame = SettingsFrame(0)
        frame.settings = {SettingsFrame.INITIAL_WINDOW_SIZE: window}
        return frame

    def reset(self, stream: int) -> Frame:
        """The end of a stream."""
        return RstStreamFrame(stream or 1, error_code=8)

    def push(self, stream: int) -> Frame:
        """A push that nobody asked for."""
        frame = PushPromiseFrame(stream or 1, promised_stream_id=2)
        frame.flags.add("END_HEADERS")
        frame.data = self.encoder.encode([(":method", "GET"), (":path", "/")])
        return frame

    def other(self, which: int) -> Frame:
        """Frames that concern no call."""
        ping = PingFrame(0, opaque_data=b"12345678")
        unknown = ExtensionFrame(0xEE, 1, flag_byte=0x5)
        return (ping, PriorityFrame(1), unknown)[which]


def do(pair: Pair, kind: str, *arguments: Any) -> bool:
    """Have both clients do something; whether it went well."""
    if kind == "request":
        pair.request()
        return True
    stream = arguments[0] or 1
    if kind == "end":
        return pair.both(*[lambda client: client.end_stream(stream)] * 2)
    if kind == "cancel":
        return pair.both(*[lambda c: c.reset_stream(stream, ErrorCodes.CANCEL)] * 2)
    if kind == "acknowledge":
        # The fast path ignores what is closed, instead of failing.
        pair.fast.open_window(arguments[1], stream)
        if is_in(pair.plain, stream, StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL):
            pair.plain.increment_flow_control_window(arguments[1], stream)
        return state(pair.fast) == state(pair.plain)
    _, size, is_last = arguments
    return pair.both(
        lambda client: send_fast(client, stream, bytes(size), is_last),
        lambda client: send_plain(client, stream, bytes(size), is_last),
    )


def is_in(client: H2Connection, stream: int, *states: StreamState) -> bool:
    """Whether a stream is in one of some states."""
    found = client.streams.get(stream)
    return found is not None and found.state_machine.state in states


def send_fast(client: ClientConnection, stream: int, data: bytes, is_last: bool) -> int:
    """Send, as the stream of a call does."""
    if is_in(client, stream, StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE):
        # As the other does, to see whether the stream sends at all.
        client.send_data(stream, b"")
    return client.send_part(stream, memoryview(data), end_stream=is_last)


def send_plain(client: H2Connection, stream: int, data: bytes, is_last: bool) -> int:
    """Send, as h2 has it: frame by frame."""
    client.local_flow_control_window(stream)
    client.send_data(stream, b"")
    pos = 0
    while True:
        window = client.local_flow_control_window(stream)
        part = data[pos : pos + max(min(window, client.max_outbound_frame_size), 0)]
        if not part:
            return pos
        pos += len(part)
        client.send_data(stream, part, end_stream=is_last and pos == len(data))
        if pos == len(data):
            return pos


def answered() -> tuple[Pair, Peer]:
    """Two clients that have had some answers, and their peer."""
    pair, peer = Pair(), Peer()
    for stream in range(1, 2 * ANSWERED, 2):
        for frame in (
            *peer.headers(stream, 0, set(), is_split=False),
            peer.data(stream, 9, set()),
            *peer.headers(stream, 5, {"END_STREAM"}, is_split=False),
        ):
            assert pair.hear(frame)
    return pair, peer
