"""A connection and its streams, over a transport in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from grpclib.client import Handler
from grpclib.config import Configuration
from grpclib.protocol import Stream as GrpclibStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.http2.connection import Protocol, Stream

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/a/B"),
    (":authority", "a"),
    ("x-own", "1"),
]
WINDOW = 65_535


class Wire(asyncio.Transport):
    """Keeps what is written, one entry a write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False
        self.on_write: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))
        self.on_write()

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


class Ends:
    """Our end of a connection, and a server's that h2 keeps."""

    def __init__(self, settings: dict[SettingCodes | int, int] | None = None) -> None:
        self.wire = Wire()
        self.protocol = Protocol(
            Handler(),
            Configuration().__for_client__(),
            H2Configuration(
                client_side=True,
                header_encoding="ascii",
                validate_inbound_headers=False,
                validate_outbound_headers=False,
            ),
        )
        self.protocol.connection_made(self.wire)
        self.server = H2Connection(H2Configuration(client_side=False))
        self.server.initiate_connection()
        if settings:
            self.server.update_settings(settings)
        self.data: dict[int, int] = {}
        self.turn()

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
                self.protocol.data_received(said)

    async def open(self) -> Stream:
        """Open a stream."""
        stream = cast("Stream", self.protocol.processor.connection.create_stream())
        await stream.send_request(HEADERS, _processor=self.protocol.processor)
        return stream


async def rest() -> None:
    """Let all that can go on do so."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_goes_out_together() -> None:
    ends = Ends()
    for _ in range(5):
        stream = await ends.open()
        await stream.send_data(b"12345")
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
    await stream.send_data(bytes(70_000))
    assert len(ends.wire.writes) == 1


async def test_little_waits_in_memory_for_a_socket_that_is_full() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    stream = await ends.open()
    ends.wire.on_write = ends.protocol.pause_writing
    sending = asyncio.create_task(stream.send_data(bytes(200_000), end_stream=True))
    for _ in range(3):
        await rest()
        assert not sending.done()
        assert sum(map(len, ends.wire.writes)) < 70_000
        ends.turn()
        ends.protocol.resume_writing()
    await sending
    ends.turn()
    assert ends.data == {1: 200_000}
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"


async def test_a_few_requests_are_written_at_once() -> None:
    ends = Ends()
    await ends.open()
    for _ in range(9):
        stream = await ends.open()
        await stream.send_data(bytes(40), end_stream=True)
    assert len(ends.wire.writes) == 2


async def test_a_call_that_is_alone_waits_for_nobody() -> None:
    ends = Ends()
    stream = await ends.open()
    await stream.send_data(b"12345", end_stream=True)
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
        ends.protocol.pause_writing()
    elif hindrance == "end":
        ends.wire.close()
    ends.wire.writes.clear()
    size = {"window": WINDOW + 1, "size": 70_000}.get(hindrance, 5)
    connection = ends.protocol.retirable.own_connection
    streams = len(ends.protocol.http2.streams)
    assert (
        connection.create_stream().send_now(
            tuple(HEADERS), [], bytes(size), ends.protocol.retirable
        )
        is None
    )
    assert ends.wire.writes == []
    assert len(ends.protocol.http2.streams) == streams


async def test_a_request_that_need_not_wait_goes_out_at_once() -> None:
    ends = Ends()
    stream = ends.protocol.retirable.own_connection.create_stream()
    release = stream.send_now(tuple(HEADERS), [], b"12345", ends.protocol.retirable)
    assert release is not None
    ends.turn()
    assert ends.data == {1: 5}
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"
    release()
    assert ends.protocol.processor.streams == {}


async def test_what_was_said_goes_out_before_the_end() -> None:
    ends = Ends()
    stream = await ends.open()
    await stream.send_data(b"12345")
    stream.reset_nowait()
    ends.protocol.processor.close()
    assert ends.wire.is_closed
    ends.turn()
    assert ends.data == {1: 5}


async def test_those_that_wait_for_the_connection_are_woken_in_turn() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    first = await ends.open()
    await first.send_data(bytes(WINDOW))
    streams = [await ends.open() for _ in range(50)]
    tries: list[int] = []
    send_part = ends.protocol.http2.send_part

    def counted(stream_id: int, *arguments: Any, **options: Any) -> int:
        tries.append(stream_id)
        return send_part(stream_id, *arguments, **options)

    ends.protocol.http2.send_part = counted  # type: ignore[method-assign]  # counts
    senders = [asyncio.create_task(s.send_data(bytes(100))) for s in streams]
    await rest()
    assert len(tries) == 50
    ends.server.increment_flow_control_window(300)
    ends.turn()
    await rest()
    ends.turn()
    assert len(tries) == 53
    assert [n for n in ends.data if n > 1] == [s.number for s in streams[:3]]
    # One that gives up passes its turn on, even if it was just woken.
    ends.server.increment_flow_control_window(100)
    ends.turn()
    senders[3].cancel()
    await rest()
    ends.turn()
    assert ends.data.keys() == {1, *(s.number for s in (*streams[:3], streams[4]))}
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    await rest()
    assert all(sender.done() for sender in senders)


async def test_a_stream_without_a_window_of_its_own_holds_no_other_up() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 50_000})
    full, other = await ends.open(), await ends.open()
    sending = asyncio.create_task(full.send_data(bytes(60_000)))
    await rest()
    also = asyncio.create_task(other.send_data(bytes(20_000)))
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
    await first.send_data(bytes(WINDOW - half))
    # This uses up both the connection's window and its own.
    sending = asyncio.create_task(second.send_data(bytes(half + 1)))
    await rest()
    also = asyncio.create_task(third.send_data(bytes(100)))
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
    sending = asyncio.create_task(first.send_data(bytes(500_000)))
    await rest()
    also = asyncio.create_task(second.send_data(bytes(100_000)))
    await rest()
    ends.turn()
    # The window opens far enough for both, and then the socket is full.
    ends.wire.on_write = ends.protocol.pause_writing
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    await rest()
    if end == "cancelled":
        sending.cancel()
    elif end == "reset":
        ends.server.reset_stream(1)
    ends.wire.on_write = lambda: None
    ends.turn()
    ends.protocol.resume_writing()
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
        sending.append(asyncio.create_task(stream.send_data(bytes(300_000))))
        await rest()
    ends.wire.on_write = ends.protocol.pause_writing
    ends.server.increment_flow_control_window(2**20)
    for _ in range(2):
        ends.turn()
        ends.protocol.resume_writing()
        await rest()
    assert not any(task.done() for task in sending)
    ends.turn()
    assert ends.data.keys() == {stream.number for stream in streams}
    ends.wire.on_write = lambda: None
    ends.protocol.resume_writing()
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
                ends.protocol.resume_writing()
                stream = await ends.open()
                task = asyncio.create_task(stream.send_data(bytes(value)))
                sending.append((stream, value, task))
            elif event == "window":
                ends.server.increment_flow_control_window(value)
            elif event == "full":
                ends.wire.on_write = ends.protocol.pause_writing
            elif event == "free":
                ends.wire.on_write = lambda: None
                ends.protocol.resume_writing()
            elif sending:
                stream, _, task = sending.pop(value % len(sending))
                if event == "reset":
                    ends.server.reset_stream(stream.number)
                # A call that is reset cancels what sends for it.
                task.cancel()
                await asyncio.wait({task})
                if event == "cancel":
                    stream.reset_nowait()
            ends.turn()
            for _ in range(20):
                await asyncio.sleep(0)
            ends.turn()
        ends.wire.on_write = lambda: None
        ends.protocol.resume_writing()
        ends.server.increment_flow_control_window(2**24)
        ends.turn()
        await rest()
        ends.turn()
        for stream, size, task in sending:
            assert task.done()
            assert ends.data[stream.number] == size

    asyncio.run(run())


async def test_one_that_sends_much_leaves_the_loop_to_others() -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    ends.server.increment_flow_control_window(2**30)
    ends.turn()
    stream = await ends.open()
    sending = asyncio.create_task(stream.send_data(bytes(10 * 2**20)))
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
    first.reset_nowait()
    ends.protocol.processor.connection.stream_close_waiter.set()
    await rest()
    assert opening.done()


async def test_a_window_update_wakes_no_stream_that_does_not_wait() -> None:
    ends = Ends()
    streams = [await ends.open() for _ in range(3)]
    ends.turn()
    ends.server.increment_flow_control_window(1)
    ends.turn()
    assert not any(stream.window_updated.is_set() for stream in streams)


def test_grpclib_is_what_the_stream_expects() -> None:
    assert {"send_request", "send_data", "end", "reset_nowait", "init_stream"} <= vars(
        GrpclibStream
    ).keys()


@pytest.mark.parametrize("size", [0, 1, 9, 65_536, 70_000, 131_072])
async def test_bytes_of_every_size_arrive(size: int) -> None:
    ends = Ends({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    ends.server.increment_flow_control_window(2**20)
    ends.turn()
    stream = await ends.open()
    await stream.send_data(bytes(size), end_stream=True)
    await rest()
    ends.turn()
    assert ends.data.get(1, 0) == size
    assert ends.server.streams[1].state_machine.state.name == "HALF_CLOSED_REMOTE"
