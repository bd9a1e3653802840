"""The short way of frames, with h2's own as the oracle.

Two clients say the same and get the same frames, one by the short way and one by
h2's. What they make of them, what they are left with, and what they say in turn must
be the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, StreamEnded
from h2.exceptions import (
    FrameTooLargeError,
    H2Error,
    ProtocolError,
    TooManyStreamsError,
)
from h2.stream import StreamState
from hpack.hpack import Decoder, Encoder
from hpack.struct import NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.http2 import ClientConnection

if TYPE_CHECKING:
    from typing_extensions import Buffer

SHARED = ((":method", "POST"), (":scheme", "http"), (":path", "/a/B"))
OWN = [("grpc-timeout", "29S"), ("x-request-id", "0123456789abcdef" * 9)]
# The first have been answered; they are how the others are known to be answered.
ANSWERED, STREAMS = 2, 5

RESPONSES = (
    [(":status", "200"), ("content-type", "application/grpc")],
    [(":status", "200"), ("content-type", "application/grpc"), ("x-a", "b" * 200)],
    [(":status", "200"), ("content-length", "7")],
    [(":status", "200"), ("content-length", "x")],
    [(":status", "103")],
    [("grpc-status", "0")],
    [("grpc-status", "5"), ("grpc-message", "no")],
)


def config() -> H2Configuration:
    """As grpclib configures a client."""
    return H2Configuration(
        client_side=True,
        header_encoding="ascii",
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=False,
    )


class Pair:
    """Two clients to which the same happens: by the short way, and by h2's."""

    def __init__(self, requests: int = STREAMS) -> None:
        self.short = ClientConnection(config())
        self.long = H2Connection(config())
        for client in (self.short, self.long):
            client.initiate_connection()
            client.receive_data(SettingsFrame(0).serialize())
        for _ in range(requests):
            self.request()

    def request(self) -> None:
        """Make a request."""
        # h2 lets go of closed streams for every request, and the short way when there
        # are many. It shows in what h2 makes of 1xx on a stream that was reset.
        assert self.short.open_outbound_streams >= 0
        self.short.send_request(SHARED, OWN)
        self.long.send_headers(
            self.long.get_next_available_stream_id(),
            [*SHARED, *(NeverIndexedHeaderTuple(*header) for header in OWN)],
        )

    def hear(self, frame: Frame) -> bool:
        """Take a frame from the peer."""
        return self.hear_bytes(frame.serialize())

    def hear_bytes(self, data: bytes) -> bool:
        """Take bytes from the peer."""
        return self.both(
            lambda client: meant(client.received(data)),
            lambda client: meant(client.receive_data(data)),
        )

    def both(
        self,
        short: Callable[[ClientConnection], object],
        long: Callable[[H2Connection], object],
    ) -> bool:
        """Do the same with both, and compare; whether it went well."""
        outcome = [result(short, self.short), result(long, self.long)]
        assert outcome[0] == outcome[1]
        assert state(self.short) == state(self.long)
        return not isinstance(outcome[0], type)


def result(act: Callable[[Any], object], client: H2Connection) -> object:
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


def meant(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """Events, in a form that compares."""
    return [
        (type(event), *((name, comparable(value)) for name, value in fields(event)))
        for event in events
    ]


def fields(event: Event) -> list[tuple[str, object]]:
    """The fields of an event that are set, by name."""
    return sorted(vars(event).items())


def comparable(value: object) -> object:
    """A value that equals its like; most of h2's are only equal to themselves."""
    return value if isinstance(value, (bytes, int, list, tuple)) else repr(value)


def said(client: H2Connection) -> object:
    """What a server understands of all that a client has sent."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding="ascii"))
    server.initiate_connection()
    data = client.data_to_send()
    client._data_to_send += data
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


FLAGS = st.sets(st.sampled_from(["END_STREAM", "PADDED", "PRIORITY"]), max_size=2)
STREAM = st.sampled_from([5, 5, 5, 7, 7, 9, 1, 11, 0, 2])
ENDS = st.just({"END_STREAM"})
PLAIN = st.just(set[str]())
SIZE = st.integers(0, 9) | st.just(16_384)
INCREMENT = st.integers(1, 100_000) | st.sampled_from([2**31 - 1, 2**31 - 65_535])
SAID = st.one_of(
    st.tuples(st.just("headers"), STREAM, st.just(0), PLAIN, st.just(False)),
    st.tuples(st.just("headers"), STREAM, st.just(5), ENDS, st.just(False)),
    st.tuples(
        st.just("headers"),
        STREAM,
        st.integers(0, len(RESPONSES) - 1),
        PLAIN | ENDS | FLAGS,
        st.booleans(),
    ),
    st.tuples(st.just("data"), STREAM, SIZE, PLAIN | FLAGS),
    st.tuples(st.just("window_update"), STREAM, INCREMENT),
    st.tuples(st.just("settings"), st.sampled_from([0, 10, 65_535, 2**31 - 1])),
    st.tuples(st.just("reset"), STREAM),
    st.tuples(st.just("push"), STREAM),
    st.tuples(st.just("other"), st.integers(0, 2)),
)
DONE = st.one_of(
    st.tuples(st.just("request")),
    st.tuples(st.just("send"), STREAM, st.integers(1, 40_000), st.booleans()),
    st.tuples(st.just("end"), STREAM),
    st.tuples(st.just("cancel"), STREAM),
    st.tuples(st.just("acknowledge"), STREAM, st.integers(1, 9)),
)


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
        # The short way passes over what is closed, instead of failing.
        pair.short.open_window(arguments[1], stream)
        if is_in(pair.long, stream, StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL):
            pair.long.increment_flow_control_window(arguments[1], stream)
        return state(pair.short) == state(pair.long)
    _, size, is_last = arguments
    return pair.both(
        lambda client: send_short(client, stream, bytes(size), is_last),
        lambda client: send_long(client, stream, bytes(size), is_last),
    )


def is_in(client: H2Connection, stream: int, *states: StreamState) -> bool:
    """Whether a stream is in one of some states."""
    found = client.streams.get(stream)
    return found is not None and found.state_machine.state in states


def send_short(
    client: ClientConnection, stream: int, data: bytes, is_last: bool
) -> int:
    """Send, as the stream of a call does."""
    if is_in(client, stream, StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE):
        # As the other does, to see whether the stream sends at all.
        client.send_data(stream, b"")
    return client.send_part(stream, memoryview(data), end_stream=is_last)


def send_long(client: H2Connection, stream: int, data: bytes, is_last: bool) -> int:
    """Send, as grpclib does."""
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


@given(st.lists(SAID.map(lambda s: ("hear", *s)) | DONE, max_size=40))
def test_both_ways_are_the_same(steps: list[tuple[Any, ...]]) -> None:
    pair, peer = answered()
    went_well = True
    for kind, *arguments in steps:
        if kind == "hear":
            for frame in peer.frames(*arguments):
                went_well = went_well and pair.hear(frame)
        else:
            went_well = do(pair, kind, *arguments) and went_well
        if not went_well:
            break
    assert said(pair.short) == said(pair.long)


@pytest.mark.parametrize(
    ("streams", "frames"), [([5], 6), ([5, 7], 8)], ids=["stream", "connection"]
)
def test_no_more_comes_than_the_windows_allow(streams: list[int], frames: int) -> None:
    pair, peer = answered()
    assert pair.both(*[lambda client: client.increment_flow_control_window(20_000)] * 2)
    for stream in streams:
        assert all(map(pair.hear, peer.headers(stream, 0, set(), is_split=False)))
    heard = 0
    for stream in cycle(streams):
        if not pair.hear(peer.data(stream, 9_999, set())):
            break
        heard += 1
    assert heard == frames


@pytest.mark.parametrize("stream", [0, 5])
def test_leave_to_send_nothing_is_refused(stream: int) -> None:
    pair, _ = answered()
    assert not pair.hear_bytes(struct.pack(">HBBBII", 0, 4, 8, 0, stream, 0))


def test_a_block_means_what_the_table_says() -> None:
    pair, peer = answered()
    # Status 200, and the newest of the table.
    frame = HeadersFrame(5, data=b"\x88\xbe", flags=["END_HEADERS"])
    for frame.stream_id in (5, 7):
        assert pair.hear(frame)
    assert all(map(pair.hear, peer.headers(9, 1, set(), is_split=False)))
    frame.stream_id = 11
    pair.request()
    assert pair.hear(frame)


def test_a_window_may_be_negative() -> None:
    pair, peer = answered()
    assert do(pair, "send", 5, 20_000, False)
    assert all(map(pair.hear, peer.frames("settings", 10)))
    assert do(pair, "send", 5, 1, True)
    assert pair.short.streams[5].outbound_flow_control_window < 0


def test_the_end_goes_with_the_last_bytes() -> None:
    pair, _ = answered()
    for size in (20_000, 5):
        assert do(pair, "send", 5, size, size == 5)
        assert said(pair.short) == said(pair.long)


@pytest.mark.parametrize("which", [0, 2, 4, 6])
@pytest.mark.parametrize("flags", [set(), {"END_STREAM"}, {"PADDED"}, {"PRIORITY"}])
@pytest.mark.parametrize("sizes", [(), (7,), (8,), (4, 4)])
@pytest.mark.parametrize("last", [0, 2, 5, 6])
def test_answers_of_every_kind(
    which: int, flags: set[str], sizes: tuple[int, ...], last: int
) -> None:
    pair, peer = answered()
    # What has been there before is known; the last time it does not fit the data.
    for stream, more in ((5, ()), (7, ()), (9, (1,))):
        frames = [
            *peer.headers(stream, which, flags, is_split=False),
            *(peer.data(stream, size, set()) for size in (*sizes, *more)),
            *peer.headers(stream, last, {"END_STREAM"}, is_split=False),
        ]
        if not all(map(pair.hear, frames)):
            break


def test_nothing_comes_between_the_frames_of_a_block() -> None:
    pair, peer = answered()
    first, _ = peer.headers(5, 0, set(), is_split=True)
    assert pair.hear(first)
    assert not pair.hear(peer.window_update(0, 1))


# -- cuts, and what is only in the short way


class Counting(ClientConnection):
    """Counts the frames that go h2's way."""

    def __init__(self) -> None:
        super().__init__(config())
        self.frames = 0
        self.initiate_connection()

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take a frame."""
        self.frames += 1
        return super().receive_data(data)


def conversation(calls: int = 2) -> bytes:
    """What a service answers to some calls."""
    peer = Peer()
    frames: list[Frame] = [SettingsFrame(0)]
    for call in range(calls):
        stream = 2 * call + 1
        frames += [
            *peer.headers(stream, 0, set(), is_split=False),
            peer.data(stream, 9, set()),
            peer.window_update(0, 9),
            peer.window_update(stream, 9),
            *peer.headers(stream, 5, {"END_STREAM"}, is_split=False),
        ]
    return b"".join(frame.serialize() for frame in frames)


@given(st.lists(st.integers(0, len(conversation())), max_size=20))
def test_bytes_may_be_cut_anywhere(places: list[int]) -> None:
    data = conversation()
    cuts = [0, *sorted(places), len(data)]
    cut, whole = Counting(), Counting()
    for client in (cut, whole):
        client.send_request(SHARED, OWN)
        client.send_request(SHARED, OWN)
    parts = [data[a:b] for a, b in pairwise(cuts)]
    events = [event for part in parts for event in cut.received(part)]
    assert meant(events) == meant(whole.received(data))
    assert state(cut) == state(whole)


def test_the_frames_of_a_call_take_the_short_way() -> None:
    client = Counting()
    for _ in range(4):
        client.send_request(SHARED, OWN)
    list(client.received(conversation(2)))
    # The first headers get into the table, and the second are like them.
    assert client.frames == 5
    rest = conversation(4)[len(conversation(2)) :]
    assert len(list(client.received(rest))) == 12
    assert client.frames == 5


def test_blocks_are_known_for_as_long_as_the_table_is_the_same() -> None:
    pair, peer = Pair(), Peer()
    for stream, which in ((1, 0), (3, 0), (5, 1), (7, 0)):
        (frame,) = peer.headers(stream, which, set(), is_split=False)
        assert pair.hear(frame)


def test_what_came_before_a_bad_frame_is_told() -> None:
    client = Counting()
    client.send_request(SHARED, OWN)
    events = client.received(conversation(1) + DataFrame(99, b"x").serialize())
    # The last good frame is the one with the trailers.
    for event in events:
        if isinstance(event, StreamEnded):
            break
    with pytest.raises(ProtocolError):
        next(events)


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", FrameTooLargeError),
        (b"\x00\x00\x09\x00\x00\x00\x00\x00\x00", ProtocolError),
        (b"\x00\x00\x09\x01\x04\x00\x00\x00\x00", ProtocolError),
    ],
)
def test_a_bad_frame_is_refused_by_its_head(head: bytes, error: type[H2Error]) -> None:
    client = Counting()
    with pytest.raises(error):
        list(client.received(head))


# -- what goes out


def sent_headers(client: ClientConnection) -> list[tuple[bytes, bytes]]:
    """The headers of the frames that wait, decoded by HPACK."""
    data = bytes(client.take_outgoing())
    decoder = Decoder()
    block = b""
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            block += frame.data
        data = data[9 + length :]
    return [tuple(header) for header in decoder.decode(block, raw=True)]  # type: ignore[misc]  # of two


def test_a_calls_own_headers_are_in_no_table() -> None:
    client = Counting()
    for _ in range(2):
        client.send_request(SHARED, [("authorization", "Bearer secret")])
    assert not any(
        b"secret" in value for _, value in client.encoder.header_table.dynamic_entries
    )


def test_the_shared_headers_are_sent_once() -> None:
    client = Counting()
    sizes = []
    for _ in range(3):
        client.take_outgoing()
        client.send_request(SHARED, [])
        sizes.append(client.outgoing_bytes)
    assert sizes[0] > sizes[1] == sizes[2] == 9 + len(SHARED)


def test_headers_larger_than_a_frame() -> None:
    client = Counting()
    client.take_outgoing()
    own = [("x-long", "a" * 40_000), ("x-127", "b" * 127), ("x-none", "")]
    client.send_request(SHARED, own)
    expected = [(n.encode(), v.encode()) for n, v in (*SHARED, *own)]
    assert sent_headers(client) == expected


def test_no_more_streams_than_the_peer_takes() -> None:
    client = Counting()
    frame = SettingsFrame(0)
    frame.settings = {SettingsFrame.MAX_CONCURRENT_STREAMS: 2}
    list(client.received(frame.serialize()))
    client.send_request(SHARED, OWN)
    client.send_request(SHARED, OWN)
    with pytest.raises(TooManyStreamsError):
        client.send_request(SHARED, OWN)
    client.reset_stream(1)
    assert client.send_request(SHARED, OWN) == 5


def test_closed_streams_are_let_go() -> None:
    client = Counting()
    for _ in range(500):
        client.reset_stream(client.send_request(SHARED, OWN))
    assert len(client.streams) < 100


def test_h2_is_what_the_short_way_expects() -> None:
    client = H2Connection(config())
    stream = client._begin_new_stream(1, AllowedStreamIDs.ODD)
    names = {
        client: {"_data_to_send", "_frame_dispatch_table", "_terminate_connection"},
        client._inbound_flow_control_window_manager: {"current_window_size"},
        stream: {"_inbound_window_manager", "_expected_content_length"},
        stream.state_machine: {"state", "headers_received", "trailers_received"},
    }
    for owner, expected in names.items():
        assert expected <= set(dir(owner))
    assert GoAwayFrame in client._frame_dispatch_table
    assert isinstance(client._data_to_send, bytearray)
