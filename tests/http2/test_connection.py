"""A connection and its streams, over a transport in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived
from h2.settings import SettingCodes
from h2.stream import StreamClosedBy
from hyperframe.frame import DataFrame, GoAwayFrame
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.http2.address import Address
from remotemedia.http2.connection import MAX_UNWRITTEN_BYTES, Connection, Stream
from remotemedia.http2.errors import (
    BadPeerError,
    BadResponseError,
    ConnectFailedError,
    ConnectionLostError,
    HTTP2Error,
    NotHTTP2Error,
    StreamClosedError,
    StreamRefusedError,
    StreamResetError,
)

ADDRESS = Address("a", 1)
HEADERS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/a/B"),
    (":authority", "a"),
)
OWN_HEADERS = [("x-own", "1")]
WINDOW = 65_535


class Wire(asyncio.Transport):
    """Keeps what is written, one entry a write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False
        self.is_read = True
        self.unwritten_bytes = 0
        self.on_write: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))
        self.on_write()

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return self.unwritten_bytes

    def pause_reading(self) -> None:
        assert self.is_read
        self.is_read = False

    def resume_reading(self) -> None:
        assert not self.is_read
        self.is_read = True


class Ends:
    """Our end of a connection, and a server's that h2 keeps."""

    def __init__(self, settings: dict[SettingCodes | int, int] | None = None) -> None:
        self.wire = Wire()
        self.now_s = 0.0
        # How long each frame seems to take.
        self.tick_s = 0.0
        self.connection = Connection(ADDRESS, clock=self.clock)
        self.connection.connection_made(self.wire)
        self.server = H2Connection(H2Configuration(client_side=False))
        self.server.initiate_connection()
        if settings:
            self.server.update_settings(settings)
        self.data: dict[int, int] = {}
        self.ends: dict[int, list[HTTP2Error | None]] = {}
        self.received: list[tuple[bytes, int]] = []
        self.turn()

    def clock(self) -> float:
        """The time, which passes when it is asked for."""
        self.now_s += self.tick_s
        return self.now_s

    def turn(self) -> None:
        """Pass on what was said, both ways."""
        said = b""
        while self.wire.writes or (said := self.server.data_to_send()):
            if self.wire.writes:
                for event in self.server.receive_data(b"".join(self.wire.writes)):
                    if isinstance(event, DataReceived):
                        number = event.stream_id
                        size = self.data.get(number, 0) + len(event.data)
                        self.data[number] = size
                self.wire.writes.clear()
            else:
                self.hear(said)

    def hear(self, said: bytes) -> None:
        """Have our end read some bytes."""
        self.connection.get_buffer(-1)[: len(said)] = said
        self.connection.buffer_updated(len(said))

    async def open(self) -> Stream:
        """Open a stream."""
        ends: list[HTTP2Error | None] = []
        stream = await self.connection.open(
            HEADERS, OWN_HEADERS, lambda *data: self.received.append(data), ends.append
        )
        self.ends[number(stream)] = ends
        return stream

    def open_now(self, size: int) -> Stream | None:
        """Open a stream that sends so many bytes, if it need not wait."""
        return self.connection.open_now(
            HEADERS, OWN_HEADERS, bytes(size), lambda *data: None, lambda error: None
        )


def number(stream: Stream) -> int:
    """The number of a stream."""
    return stream._number


async def rest() -> None:
    """Let all that can go on do so."""
    for _ in range(200):
        await asyncio.sleep(0)


def count_tries(ends: Ends) -> list[int]:
    """The numbers of the streams that try to send, from now on."""
    tries: list[int] = []
    send_part = ends.connection.http2.send_part

    def counted(stream_id: int, *arguments: Any, **options: Any) -> int:
        tries.append(stream_id)
        return send_part(stream_id, *arguments, **options)

    ends.connection.http2.send_part = counted  # type: ignore[method-assign]  # counts
    return tries


async def test_what_is_written_in_one_turn_goes_out_together() -> None:
    ends = Ends()
    for _ in range(5):
        stream = await ends.open()
        await stream.send(b"12345")
    assert ends.wire.writes == []
    await rest()
    assert len(ends.wire.writes) == 1
    ends.turn()
    assert list(ends.data.values()) == [5] * 5


async def test_much_is_written_at_once() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    stream = await ends.open()
    await stream.send(bytes(70_000))
    assert len(ends.wire.writes) == 1


async def test_little_waits_in_memory_for_a_socket_that_is_full() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    stream = await ends.open()
    ends.wire.on_write = ends.connection.pause_writing
    sending = asyncio.create_task(stream.send(bytes(200_000), end=True))
    for _ in range(3):
        await rest()
        assert not sending.done()
        assert sum(map(len, ends.wire.writes)) < 70_000
        ends.turn()
        ends.connection.resume_writing()
    await sending
    ends.turn()
    assert ends.data == {1: 200_000}
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"


async def test_requests_of_one_turn_are_written_in_growing_steps() -> None:
    ends = Ends()
    await ends.open()
    for _ in range(2):
        for _ in range(40):
            stream = await ends.open()
            await stream.send(bytes(40), end=True)
        sizes = [len(data) for data in ends.wire.writes]
        # The peer gets the first few at once, in every turn of the loop.
        assert 256 <= sizes[0] < 400
        assert 1.6 < sizes[1] / sizes[0] < 2.4
        assert 1.6 < sizes[2] / sizes[1] < 2.4
        assert len(sizes) == 3
        await rest()
        ends.turn()


async def test_a_call_that_is_alone_waits_for_nobody() -> None:
    ends = Ends()
    stream = await ends.open()
    await stream.send(b"12345", end=True)
    assert len(ends.wire.writes) == 1


@pytest.mark.parametrize("hindrance", ["buffer", "window", "size", "slot", "end"])
async def test_a_request_that_has_to_wait_is_left_to_wait(hindrance: str) -> None:
    limit = 1 if hindrance == "slot" else 9
    ends = Ends({SettingCodes.MAX_CONCURRENT_STREAMS: limit})
    if hindrance == "size":
        ends.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
        ends.server.increment_flow_control_window(2**20)
        ends.turn()
    if hindrance == "slot":
        await ends.open()
    elif hindrance == "buffer":
        ends.connection.pause_writing()
    elif hindrance == "end":
        ends.wire.close()
    ends.wire.writes.clear()
    size = {"window": WINDOW + 1, "size": 70_000}.get(hindrance, 5)
    streams = len(ends.connection.http2.streams)
    assert ends.open_now(size) is None
    assert ends.wire.writes == []
    assert len(ends.connection.http2.streams) == streams


async def test_a_request_that_need_not_wait_goes_out_at_once() -> None:
    ends = Ends()
    stream = ends.open_now(5)
    assert stream is not None
    ends.turn()
    assert ends.data == {1: 5}
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"
    ends.connection.retire()
    assert ends.connection.end is None
    stream.close()
    # It was the last stream.
    assert isinstance(ends.connection.end, ConnectionLostError)
    assert str(ends.connection.end).endswith("last call: it was given up here")


async def test_what_was_said_goes_out_before_the_end() -> None:
    ends = Ends()
    stream = await ends.open()
    await stream.send(b"12345")
    stream.close()
    ends.connection.close(ConnectionLostError("enough"))
    assert ends.wire.is_closed
    ends.turn()
    assert ends.data == {1: 5}


async def test_those_that_wait_for_the_connection_are_woken_in_turn() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    first = await ends.open()
    await first.send(bytes(WINDOW))
    streams = [await ends.open() for _ in range(50)]
    tries = count_tries(ends)
    senders = [asyncio.create_task(s.send(bytes(100))) for s in streams]
    await rest()
    assert len(tries) == 50
    ends.server.increment_flow_control_window(300)
    ends.turn()
    await rest()
    ends.turn()
    assert len(tries) == 53
    assert [n for n in ends.data if n > 1] == [number(s) for s in streams[:3]]
    # One that gives up passes its turn on, even if it was just woken.
    ends.server.increment_flow_control_window(100)
    ends.turn()
    senders[3].cancel()
    await rest()
    ends.turn()
    assert ends.data.keys() == {1, *(number(s) for s in (*streams[:3], streams[4]))}
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    await rest()
    assert all(sender.done() for sender in senders)


async def test_a_stream_without_a_window_of_its_own_holds_no_other_up() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 50_000})
    full, other = await ends.open(), await ends.open()
    sending = asyncio.create_task(full.send(bytes(60_000)))
    await rest()
    also = asyncio.create_task(other.send(bytes(20_000)))
    await rest()
    ends.turn()
    # The connection's window is used up, by both.
    assert ends.data == {1: 50_000, 3: WINDOW - 50_000}
    ends.server.increment_flow_control_window(50_000)
    ends.turn()
    await rest()
    assert also.done()
    assert not sending.done()
    ends.server.increment_flow_control_window(50_000, stream_id=1)
    ends.turn()
    await rest()
    assert sending.done()


async def test_a_turn_that_is_of_no_use_is_passed_on() -> None:
    half = WINDOW // 2 + 1
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: half})
    first, second, third = [await ends.open() for _ in range(3)]
    await first.send(bytes(WINDOW - half))
    # This uses up both the connection's window and its own.
    sending = asyncio.create_task(second.send(bytes(half + 1)))
    await rest()
    also = asyncio.create_task(third.send(bytes(100)))
    await rest()
    ends.turn()
    assert ends.data == {1: WINDOW - half, 3: half}
    ends.server.increment_flow_control_window(100)
    ends.turn()
    await rest()
    assert also.done()
    assert not sending.done()


@pytest.mark.parametrize("end", ["nothing", "cancelled", "reset"])
async def test_whatever_becomes_of_a_turn_the_next_is_woken(end: str) -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    first, second = await ends.open(), await ends.open()
    sending = asyncio.create_task(first.send(bytes(500_000)))
    await rest()
    also = asyncio.create_task(second.send(bytes(100_000)))
    await rest()
    ends.turn()
    # The window opens far enough for both, and then the socket is full.
    ends.wire.on_write = ends.connection.pause_writing
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    await rest()
    if end == "cancelled":
        sending.cancel()
    elif end == "reset":
        ends.server.reset_stream(1)
    ends.wire.on_write = lambda: None
    ends.turn()
    ends.connection.resume_writing()
    await rest()
    ends.turn()
    assert ends.data[3] == 100_000
    assert also.done()
    assert (ends.data[1] == 500_000) == (end == "nothing")
    await asyncio.gather(sending, return_exceptions=True)


async def test_those_that_wait_for_the_socket_share_it() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    streams = [await ends.open() for _ in range(3)]
    sending = []
    for stream in streams:
        sending.append(asyncio.create_task(stream.send(bytes(300_000))))
        await rest()
    ends.wire.on_write = ends.connection.pause_writing
    ends.server.increment_flow_control_window(2**20)
    for _ in range(2):
        ends.turn()
        ends.connection.resume_writing()
        await rest()
    assert not any(task.done() for task in sending)
    ends.turn()
    assert ends.data.keys() == {number(stream) for stream in streams}
    ends.wire.on_write = lambda: None
    ends.connection.resume_writing()
    await asyncio.gather(*sending)


EVENTS = st.lists(
    st.tuples(st.just("send"), st.integers(1, 300_000))
    | st.tuples(st.just("window"), st.integers(1, 200_000))
    | st.tuples(st.sampled_from(["cancel", "reset"]), st.integers(0, 9))
    | st.tuples(st.sampled_from(["full", "free"]), st.just(0)),
    max_size=25,
)


@given(EVENTS)
def test_whatever_happened_all_is_sent_in_the_end(
    events: list[tuple[str, int]],
) -> None:
    async def run() -> None:
        ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
        sending: list[tuple[Stream, int, asyncio.Task[None]]] = []
        for event, value in events:
            if event == "send":
                # Opening waits for the socket, too.
                ends.connection.resume_writing()
                stream = await ends.open()
                task = asyncio.create_task(stream.send(bytes(value)))
                sending.append((stream, value, task))
            elif event == "window":
                ends.server.increment_flow_control_window(value)
            elif event == "full":
                ends.wire.on_write = ends.connection.pause_writing
            elif event == "free":
                ends.wire.on_write = lambda: None
                ends.connection.resume_writing()
            elif sending:
                stream, _, task = sending.pop(value % len(sending))
                if event == "reset":
                    ends.server.reset_stream(number(stream))
                # A call that is reset cancels what sends for it.
                task.cancel()
                await asyncio.wait({task})
                if event == "cancel":
                    stream.close()
            ends.turn()
            for _ in range(20):
                await asyncio.sleep(0)
            ends.turn()
        ends.wire.on_write = lambda: None
        ends.connection.resume_writing()
        ends.server.increment_flow_control_window(2**24)
        ends.turn()
        await rest()
        ends.turn()
        for stream, size, task in sending:
            assert task.done()
            assert ends.data[number(stream)] == size

    asyncio.run(run())


async def test_one_that_sends_much_leaves_the_loop_to_others() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    ends.server.increment_flow_control_window(2**30)
    ends.turn()
    stream = await ends.open()
    sending = asyncio.create_task(stream.send(bytes(10 * 2**20)))
    turns = 0
    while not sending.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 9


async def test_a_peer_without_room_for_a_stream() -> None:
    ends = Ends({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    first = await ends.open()
    opening = asyncio.create_task(ends.open())
    await rest()
    assert not opening.done()
    first.close()
    await rest()
    assert opening.done()


async def test_a_window_update_wakes_no_stream_that_waits_for_its_own() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    streams = [await ends.open() for _ in range(3)]
    sending = [asyncio.create_task(s.send(bytes(11))) for s in streams]
    await rest()
    tries = count_tries(ends)
    ends.server.increment_flow_control_window(1)
    ends.turn()
    await rest()
    assert tries == []
    ends.server.increment_flow_control_window(1, stream_id=number(streams[1]))
    ends.turn()
    await rest()
    assert tries == [number(streams[1])]
    for task in sending:
        task.cancel()
    await asyncio.wait(sending)


@pytest.mark.parametrize("size", [0, 1, 9, 65_536, 70_000, 131_072])
async def test_bytes_of_every_size_arrive(size: int) -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    stream = await ends.open()
    await stream.send(bytes(size), end=True)
    await rest()
    ends.turn()
    assert ends.data.get(1, 0) == size
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"


# -- how a stream ends


async def test_the_peer_finishes_a_stream() -> None:
    ends = Ends()
    stream = await ends.open()
    await stream.send(b"", end=True)
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")])
    ends.server.send_data(1, b"abc")
    ends.server.send_headers(1, [("x-last", "1")], end_stream=True)
    ends.turn()
    assert stream.headers == [(":status", "200")]
    assert stream.trailers == [("x-last", "1")]
    assert ends.received == [(b"abc", 3)]
    assert ends.ends == {1: [None]}
    assert not stream.is_live


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        (ErrorCodes.CANCEL, StreamResetError, "error code 8"),
        (99, StreamResetError, "error code 99"),
        (ErrorCodes.REFUSED_STREAM, StreamRefusedError, "error code 7"),
    ],
)
async def test_the_peer_resets_a_stream(
    code: int, error: type[HTTP2Error], text: str
) -> None:
    ends = Ends()
    stream, other = await ends.open(), await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.reset_stream(1, error_code=code)
    ends.turn()
    (end,) = ends.ends[1]
    assert type(end) is error
    assert text in str(end)
    assert getattr(end, "code", code) == code
    assert ends.ends[number(other)] == []
    with pytest.raises(StreamClosedError):
        await stream.send(b"more")
    with pytest.raises(StreamClosedError):
        stream.half_close()


async def test_a_goaway_refuses_what_came_after() -> None:
    ends = Ends()
    streams = [await ends.open() for _ in range(3)]
    waiting_ends = Ends({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    waiting = asyncio.create_task(waiting_ends.open())
    await rest()
    for each in (ends, waiting_ends):
        each.turn()
        each.hear(GoAwayFrame(0, last_stream_id=3, error_code=11).serialize())
    assert ends.ends[1] == ends.ends[3] == []
    (end,) = ends.ends[5]
    assert isinstance(end, StreamRefusedError)
    assert "GOAWAY, HTTP/2 error code 11" in str(end)
    with pytest.raises(StreamRefusedError):
        await ends.open()
    assert ends.open_now(1) is None
    with pytest.raises(StreamRefusedError, match="before the call"):
        await waiting
    assert waiting_ends.connection.end is not None
    for stream in streams:
        assert ends.connection.end is None
        stream.close()
    assert ends.connection.end is not None
    assert ends.wire.is_closed


async def test_the_connection_is_lost() -> None:
    ends = Ends()
    stream = await ends.open()
    ends.connection.connection_lost(OSError("gone"))
    ends.connection.connection_lost(None)
    (end,) = ends.ends[1]
    assert isinstance(end, ConnectionLostError)
    assert str(end) == "the connection was lost: gone"
    assert ends.connection.end is end
    assert not stream.is_live
    assert not ends.connection.accepts_streams


async def test_a_stream_that_is_closed_is_told_of_nothing_more() -> None:
    ends = Ends()
    stream = await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")])
    ends.server.send_data(1, b"on its way")
    stream.close()
    stream.close()
    ends.turn()
    ends.connection.connection_lost(None)
    assert (ends.received, ends.ends) == ([], {1: []})
    assert ends.server.streams[1].closed_by is StreamClosedBy.RECV_RST_STREAM


async def test_bytes_that_are_not_http2() -> None:
    ends = Ends()
    await ends.open()
    ends.hear(b"\0\0\1\x08\0\0\0\0\0\0")
    (end,) = ends.ends[1]
    assert isinstance(end, BadPeerError)
    assert ends.wire.is_closed


async def test_a_stream_that_the_peer_finished_can_still_be_sent_on() -> None:
    ends = Ends()
    stream = await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")], end_stream=True)
    ends.turn()
    assert ends.ends[1] == [None]
    await stream.send(b"12345")
    await rest()
    ends.turn()
    assert ends.data == {1: 5}


async def test_data_after_the_end_of_a_stream() -> None:
    ends = Ends()
    stream = await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")], end_stream=True)
    ends.turn()
    ends.hear(DataFrame(1, b"more").serialize())
    assert isinstance(ends.ends[1][-1], BadResponseError)
    assert ends.connection.end is None
    assert not stream.is_live


async def test_silence_retires_a_connection() -> None:
    ends = Ends()
    stream = await ends.open()
    last = ends.connection.last_received_s
    ends.connection.retire_if_silent(last)
    assert ends.connection.accepts_streams
    ends.connection.retire_if_silent(last + 1e-6)
    assert not ends.connection.accepts_streams
    assert ends.connection.end is None
    stream.close()


async def test_what_was_received_is_acknowledged_on_the_connection() -> None:
    ends = Ends()
    await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")])
    before = ends.connection.http2.inbound_flow_control_window
    sent = 0
    while sent < 900_000:
        ends.server.send_data(1, bytes(10_000))
        sent += 10_000
        ends.turn()
    assert ends.connection.http2.inbound_flow_control_window == before - sent
    await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(3, [(":status", "200")])
    for _ in range(20):
        ends.server.send_data(3, bytes(10_000))
        ends.turn()
    assert ends.connection.http2.inbound_flow_control_window > before - sent


async def test_a_stream_is_acknowledged_by_its_reader() -> None:
    ends = Ends()
    stream = await ends.open()
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")])
    before = ends.server.local_flow_control_window(1)
    ends.server.send_data(1, bytes(1000))
    ends.turn()
    assert ends.server.local_flow_control_window(1) == before - 1000
    stream.acknowledge(1000)
    await rest()
    ends.turn()
    assert ends.server.local_flow_control_window(1) == before


# -- no peer holds the event loop, or fills the memory


def answers(ends: Ends, count: int) -> bytes:
    """Headers of the first stream, and so many DATA frames of a byte."""
    ends.connection.flush()
    ends.turn()
    ends.server.send_headers(1, [(":status", "200")])
    for number in range(count):
        ends.server.send_data(1, bytes([number]))
    return ends.server.data_to_send()


async def test_frames_beyond_a_turn_wait_for_the_next() -> None:
    ends = Ends()
    await ends.open()
    said = answers(ends, 20)
    ends.tick_s = 0.002
    ends.hear(said)
    seen = []
    while not ends.wire.is_read:
        seen.append(len(ends.received))
        await asyncio.sleep(0)
    # Three frames a turn, the headers among them.
    assert seen[:3] == [2, 5, 8]
    assert [data for data, _ in ends.received] == [bytes([n]) for n in range(20)]


async def test_what_comes_while_reading_is_paused_keeps_its_place() -> None:
    ends = Ends()
    await ends.open()
    said = answers(ends, 20)
    ends.tick_s = 0.002
    # TLS hands over what it has decrypted.
    for start in range(0, len(said), 50):
        ends.hear(said[start : start + 50])
    assert len(ends.received) < 20
    await rest()
    assert [data for data, _ in ends.received] == [bytes([n]) for n in range(20)]
    assert ends.wire.is_read


async def test_what_came_before_the_end_of_the_connection_is_told() -> None:
    ends = Ends()
    await ends.open()
    said = answers(ends, 20)
    ends.tick_s = 0.002
    ends.hear(said)
    ends.connection.connection_lost(None)
    assert len(ends.received) == 20
    (end,) = ends.ends[1]
    assert isinstance(end, ConnectionLostError)
    await rest()


async def test_what_waits_is_dropped_where_we_close() -> None:
    ends = Ends()
    await ends.open()
    said = answers(ends, 20)
    ends.tick_s = 0.002
    ends.hear(said)
    ends.connection.close(ConnectionLostError("closed"))
    before = len(ends.received)
    await rest()
    assert len(ends.received) == before < 20


PING = b"\0\0\x08\6\0\0\0\0\0" + bytes(8)


@pytest.mark.parametrize("frames", [1, 20])
async def test_a_peer_that_does_not_read_is_not_read(frames: int) -> None:
    ends = Ends()
    ends.connection.pause_writing()
    ends.hear(PING)
    assert ends.wire.is_read
    ends.wire.unwritten_bytes = MAX_UNWRITTEN_BYTES + 1
    ends.tick_s = 0.002
    ends.hear(PING * frames)
    await rest()
    assert not ends.wire.is_read
    written = len(ends.wire.writes)
    ends.wire.unwritten_bytes = 0
    ends.connection.resume_writing()
    await rest()
    assert ends.wire.is_read
    assert b"".join(ends.wire.writes).count(b"\0\0\x08\6\1") == 1 + frames
    assert (len(ends.wire.writes) > written) == (frames > 1)


async def test_a_part_of_a_frame_is_no_sign_of_life() -> None:
    ends = Ends()
    await ends.open()
    last = ends.connection.last_received_s
    ends.now_s += 10
    ends.hear(PING[:-1])
    assert ends.connection.last_received_s == last
    ends.hear(PING[-1:])
    assert ends.connection.last_received_s == last + 10


async def test_a_connection_is_useful_once_a_call_was_answered() -> None:
    ends = Ends()
    await ends.open()
    assert not ends.connection.is_useful
    ends.hear(answers(ends, 0))
    assert ends.connection.is_useful
    assert not ends.connection.was_given_up
    ends.connection.retire()
    assert ends.connection.was_given_up


# -- the greeting


async def greeting(*said: bytes) -> HTTP2Error | None:
    """What becomes of the greeting where the peer says this, and hangs up."""
    connection, wire = Connection(ADDRESS), Wire()
    connection.connection_made(wire)
    for part in said:
        if connection.end is None:
            connection.get_buffer(-1)[: len(part)] = part
            connection.buffer_updated(len(part))
    if not connection.greeted.done():
        connection.connection_lost(None)
    return await connection.greeted


SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize("cut", range(len(SETTINGS)))
async def test_a_peer_greets_with_settings(cut: int) -> None:
    assert await greeting(SETTINGS[:cut], SETTINGS[cut:]) is None


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request", b"\0\0\0\6", b"abcd"])
async def test_a_peer_greets_with_something_else(said: bytes) -> None:
    assert isinstance(await greeting(said), NotHTTP2Error)
    assert isinstance(await greeting(said[:2], said[2:]), NotHTTP2Error)


async def test_a_peer_hangs_up_without_a_greeting() -> None:
    problem = await greeting(SETTINGS[:5])
    assert isinstance(problem, ConnectFailedError)
    assert "without a greeting" in str(problem)
    assert "does it want TLS" in str(problem)
