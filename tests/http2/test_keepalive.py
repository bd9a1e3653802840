"""Keepalive: when a silent peer is pinged and given up, on a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.events import Event, PingReceived
from hyperframe.frame import GoAwayFrame

from remotemedia.grpc import CallError
from remotemedia.http2 import Address, Channel
from remotemedia.http2.keepalive import Keepalive, KeepaliveTimes
from remotemedia.v1 import PipelineExecutionServiceStub, VersionRequest
from tests.faults.tools import is_version
from tests.support.peers import Exchange, h2_peer
from tests.support.waiting import until

TIMES = KeepaliveTimes(10.0, 20.0)


class Timer:
    """A function that is to be called at a time."""

    def __init__(self, at_s: float, call: Callable[[], object]) -> None:
        self.at_s = at_s
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class World:
    """A loop, a clock and a peer, all in one; time passes by ``pass_s``."""

    def __init__(self, times: KeepaliveTimes = TIMES) -> None:
        self.now_s = 100.0
        self.timers: list[Timer] = []
        self.last_received_s = 0.0
        self.open_streams = 1
        self.pings: list[float] = []
        self.given_up: list[tuple[float, float]] = []
        self.answers = False
        self.keepalive = Keepalive(times, self, self, lambda: self.now_s)

    def call_later(
        self, delay: float, call: Callable[..., object], *args: Any
    ) -> Timer:
        timer = Timer(self.now_s + delay, lambda: call(*args))
        self.timers.append(timer)
        return timer

    def ping(self) -> None:
        self.pings.append(self.now_s - 100)
        if self.answers:
            self.call_later(0.1, self.receive)

    def on_keepalive_timeout(self, timeout_s: float) -> None:
        self.given_up.append((self.now_s - 100, timeout_s))

    def receive(self) -> None:
        self.last_received_s = self.now_s

    def pass_s(self, seconds: float) -> None:
        """Let time pass, and call what is due, in order."""
        end_s = self.now_s + seconds
        while due := [t for t in self.timers if t.at_s <= end_s]:
            timer = min(due, key=lambda timer: timer.at_s)
            self.timers.remove(timer)
            self.now_s = max(self.now_s, timer.at_s)
            if not timer.is_cancelled:
                timer.call()
        self.now_s = end_s


def test_a_silent_peer_is_pinged_and_given_up() -> None:
    world = World()
    world.keepalive.watch()
    world.pass_s(9.9)
    assert world.pings == []
    world.pass_s(100)
    assert world.pings == pytest.approx([10])
    assert world.given_up == [(30.0, 20.0)]
    assert not world.timers


def test_a_peer_that_answers_is_pinged_again() -> None:
    world = World()
    world.answers = True
    world.keepalive.watch()
    world.pass_s(45)
    assert world.pings == pytest.approx([10, 20.1, 30.2, 40.3])
    assert not world.given_up


def test_an_answer_is_noticed_long_before_a_long_timeout() -> None:
    world = World(KeepaliveTimes(1.0, 600.0))
    world.answers = True
    world.keepalive.watch()
    world.pass_s(5)
    assert world.pings == pytest.approx([1, 2.1, 3.2, 4.3])


def test_whatever_arrives_puts_the_ping_off() -> None:
    world = World()
    world.keepalive.watch()
    for _ in range(20):
        world.pass_s(6)
        world.receive()
    assert world.pings == []
    world.pass_s(10.1)
    assert world.pings == pytest.approx([130])


def test_silence_before_the_first_stream_does_not_count() -> None:
    """A connection that was unused for an hour is not pinged by the first call."""
    world = World()
    world.last_received_s = world.now_s - 3600
    world.keepalive.watch()
    world.pass_s(9)
    assert world.pings == []


def test_without_streams_there_are_no_pings_and_no_timer() -> None:
    world = World()
    world.keepalive.watch()
    world.open_streams = 0
    world.pass_s(10)
    assert world.pings == []
    assert not world.timers
    assert not world.keepalive.is_watching
    world.open_streams = 1
    world.keepalive.watch()
    world.pass_s(10)
    assert len(world.pings) == 1


def test_a_loop_that_was_blocked_reads_before_it_gives_the_peer_up() -> None:
    """All timers are late, and the socket is read after the first of them."""
    world = World()
    world.keepalive.watch()
    world.pass_s(10)
    (timer,) = world.timers
    world.timers.clear()
    world.now_s += 1000
    timer.call()
    assert not world.given_up
    world.receive()
    world.pass_s(15)
    assert not world.given_up


def test_a_watch_that_is_stopped_does_nothing_more() -> None:
    world = World()
    world.keepalive.watch()
    world.keepalive.stop()
    world.pass_s(1000)
    assert world.pings == []
    Keepalive(KeepaliveTimes(1, 1), world, world).stop()


def test_the_interval_is_doubled() -> None:
    assert KeepaliveTimes(10, 20).slower() == KeepaliveTimes(20, 20)


# -- on real connections


async def test_a_connection_pings_while_a_call_is_open() -> None:
    log: list[Event] = []
    async with (
        h2_peer(lambda exchange: None, log) as port,
        Channel(Address("127.0.0.1", port), keepalive=0.01) as channel,
    ):
        stub = PipelineExecutionServiceStub(channel)
        calling = asyncio.create_task(stub.get_version(VersionRequest()))
        await until(lambda: sum(isinstance(e, PingReceived) for e in log) > 1)
        connection = channel.pick()
        assert connection is not None  # the peer answers the pings
        calling.cancel()
        await asyncio.wait({calling})
        # Once no call is open, the timer that runs is the last.
        keepalive = connection._keepalive
        await until(lambda: keepalive is not None and not keepalive.is_watching)


async def test_a_dead_connection_is_closed_and_its_calls_fail() -> None:
    """The peer stops reading, as one that a router no longer lets through."""

    def script(exchange: Exchange) -> None:
        exchange.transport.pause_reading()

    async with h2_peer(script) as port:
        channel = Channel(
            Address("127.0.0.1", port), keepalive=0.01, keepalive_timeout=0.02
        )
        connection = await channel.connect()
        stub = PipelineExecutionServiceStub(channel)
        with pytest.raises(CallError, match=r"did not answer a ping within 0\.02 s"):
            await stub.get_version(VersionRequest())
        assert connection.lost.done() or not connection.accepts_streams
        await until(connection.lost.done)
        channel.close()


async def test_an_idle_connection_has_no_timer() -> None:
    async with (
        h2_peer(lambda exchange: None) as port,
        Channel(Address("127.0.0.1", port), keepalive=0.01) as channel,
    ):
        connection = await channel.connect()
        assert connection._keepalive is not None
        assert not connection._keepalive.is_watching


@pytest.mark.parametrize(
    ("debug", "is_doubled"), [(b"too_many_pings", True), (b"other", False)]
)
async def test_a_server_that_finds_pings_too_frequent(
    debug: bytes, is_doubled: bool
) -> None:
    connections: list[object] = []

    def script(exchange: Exchange) -> None:
        if is_version(exchange) and exchange.transport not in connections:
            connections.append(exchange.transport)
            exchange.connection.close_connection(
                ErrorCodes.ENHANCE_YOUR_CALM, additional_data=debug
            )

    async with (
        h2_peer(script) as port,
        Channel(Address("127.0.0.1", port), keepalive=7) as channel,
    ):
        stub = PipelineExecutionServiceStub(channel)
        await stub.get_version(VersionRequest())
        await until(lambda: channel.pick() is None)
        connection = await channel.connect()
        assert connection._keepalive is not None
        expected = 14 if is_doubled else 7
        assert connection._keepalive._times.interval_s == expected


async def test_a_call_that_waits_to_be_opened_is_watched() -> None:
    """A dead peer's socket takes nothing, and no stream is open. The call moves on."""

    def script(exchange: Exchange) -> None:
        is_version(exchange)

    async with (
        h2_peer(script) as port,
        Channel(
            Address("127.0.0.1", port), keepalive=0.01, keepalive_timeout=0.02
        ) as channel,
    ):
        connection = await channel.connect()
        connection.pause_writing()
        connection.ping = lambda: None  # type: ignore[method-assign]  # it stays there
        stub = PipelineExecutionServiceStub(channel)
        await stub.get_version(VersionRequest(), timeout=5)
        assert "did not answer a ping" in str(connection.end)


async def test_the_answers_to_pings_are_not_held_against_the_peer() -> None:
    async with (
        h2_peer(lambda exchange: None) as port,
        Channel(Address("127.0.0.1", port)) as channel,
    ):
        connection = await channel.connect()
        frames = connection.http2.budget.frames
        received = connection.http2.received_frames
        connection.ping()
        await until(lambda: connection.http2.received_frames > received)
        assert connection.http2.budget.frames == frames


@pytest.mark.parametrize("is_first", [True, False])
async def test_pings_are_too_frequent_whatever_else_is_said(is_first: bool) -> None:
    def script(exchange: Exchange) -> None:
        said = [
            GoAwayFrame(0, exchange.stream_id, ErrorCodes.NO_ERROR),
            GoAwayFrame(
                0,
                exchange.stream_id,
                ErrorCodes.ENHANCE_YOUR_CALM,
                additional_data=b"too_many_pings",
            ),
        ]
        for frame in reversed(said) if is_first else said:
            exchange.frame(frame)

    async with (
        h2_peer(script) as port,
        Channel(Address("127.0.0.1", port)) as channel,
    ):
        connection = await channel.connect()
        stub = PipelineExecutionServiceStub(channel)
        calling = asyncio.create_task(stub.get_version(VersionRequest()))
        await until(lambda: not connection.accepts_streams)
        received = connection.http2.received_frames
        await until(lambda: connection.http2.received_frames >= received)
        await asyncio.sleep(0.01)
        assert connection.was_pinged_too_often
        calling.cancel()
        await asyncio.wait({calling})
