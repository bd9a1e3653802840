"""Streams over the bare stubs: what is delivered, how they end, what they leave.

Peers here are scripts of HTTP/2 frames.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import math
import random
import struct
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing

import h2.events
import pytest
from grpclib.const import Status
from grpclib.metadata import Deadline
from h2.errors import ErrorCodes

from remotemedia.grpc import Call, CallError
from remotemedia.http2 import Address, Channel
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ErrorResponse,
    ExecuteRequest,
    ExecuteResponse,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    VersionRequest,
    VersionResponse,
)
from tests.support.calls import (
    METRICS,
    READY,
    VERSION,
    channel_of,
    no_input,
    stream,
    stub,
    unary,
)
from tests.support.peers import GRPC_HEADERS, Exchange, Script, h2_peer
from tests.support.waiting import turns, until


@pytest.mark.parametrize(
    "end",
    [
        lambda e: e.reset(ErrorCodes.INTERNAL_ERROR),
        lambda e: e.trailers(13),
        lambda e: (e.go_away(), e.hang_up()),
        lambda e: e.hang_up(),
        lambda e: e.data(b"\1\0\0\0\0"),
    ],
    ids=["reset", "status", "goaway", "lost", "junk"],
)
async def test_what_came_before_an_error_is_delivered(end: Script) -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY, METRICS, METRICS)
        end(exchange)

    received, error = await stream(script)
    assert [bytes(response) for response in received] == [READY, METRICS, METRICS]
    assert error is not None


async def test_a_graceful_goaway_lets_a_call_finish() -> None:
    connections = 0

    def script(exchange: Exchange) -> None:
        nonlocal connections
        connections += exchange.stream_id == 1
        exchange.headers()
        exchange.message(READY)
        exchange.announce_end(last_stream_id=exchange.stream_id)
        exchange.message(METRICS)
        exchange.trailers()

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        for _ in range(3):
            received = [r async for r in service.stream_pipeline(no_input())]
            assert [bytes(response) for response in received] == [READY, METRICS]
    # New calls do not go over a connection that is about to end.
    assert connections == 3


async def test_a_call_that_a_goaway_refuses_is_made_again() -> None:
    tries = []

    def script(exchange: Exchange) -> None:
        tries.append(exchange.stream_id)
        if len(tries) == 1:
            exchange.announce_end(last_stream_id=0)
            return
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    assert (await unary(script)).compatible
    assert tries == [1, 1]


async def test_a_call_that_is_refused_is_made_again() -> None:
    tries = []

    def script(exchange: Exchange) -> None:
        tries.append(exchange.stream_id)
        if len(tries) < 4:
            exchange.reset(ErrorCodes.REFUSED_STREAM)
            return
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    assert (await unary(script)).compatible
    assert tries == [1, 3, 5, 7]


async def test_a_call_is_refused_until_its_deadline() -> None:
    async with (
        h2_peer(lambda exchange: exchange.reset(ErrorCodes.REFUSED_STREAM)) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=0.1)
    assert caught.value.unprocessed


async def test_an_early_ok_is_a_clean_end() -> None:
    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        exchange.trailers()

    received, error = await stream(script, log)
    assert (len(received), error) == (1, None)


async def test_an_early_ok_and_a_reset_is_a_clean_end() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        exchange.trailers()
        exchange.reset(ErrorCodes.NO_ERROR)

    received, error = await stream(script)
    assert (len(received), error) == (1, None)


async def test_a_status_while_the_input_idles_is_raised_at_once() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers(7, ("grpc-message", "no"))

    _, error = await asyncio.wait_for(stream(script), 5)
    assert error is not None
    assert (error.status, error.message) == (Status.PERMISSION_DENIED, "no")


async def test_a_stream_without_progress() -> None:
    async with h2_peer(lambda exchange: exchange.headers()) as port:
        channel = Channel(f"127.0.0.1:{port}")
        service = StreamingPipelineServiceStub(channel, idle_timeout=0.05)
        with pytest.raises(CallError, match=r"no progress for 0\.05 s"):
            async for _ in service.stream_pipeline(no_input()):
                pass
        channel.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_async", [True, False])
async def test_the_callers_iterable_is_closed(is_async: bool) -> None:
    closed = []

    async def asynchronous() -> AsyncIterator[StreamRequest]:
        try:
            while True:
                yield StreamRequest(audio_chunk=AudioChunk())
        finally:
            closed.append("async")

    def plain() -> Iterator[StreamRequest]:
        try:
            while True:
                yield StreamRequest(audio_chunk=AudioChunk())
        finally:
            closed.append("plain")

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        source = asynchronous() if is_async else plain()
        async with aclosing(service.stream_pipeline(source)) as responses:
            await anext(responses)
    assert closed == ["async" if is_async else "plain"]


async def test_a_message_that_cannot_be_encoded() -> None:
    bad = StreamRequest(audio_chunk=AudioChunk(sequence=-1))
    async with (
        h2_peer(lambda exchange: exchange.headers()) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        with pytest.raises(ValueError, match=r"AudioChunk\.sequence"):
            async for _ in service.stream_pipeline([bad]):
                pass


async def test_a_request_over_the_limit_is_not_sent() -> None:
    log: list[h2.events.Event] = []
    big = VersionRequest(client_version="v" * 1000)
    async with (
        h2_peer(lambda exchange: exchange.headers(), log) as port,
        stub(PipelineExecutionServiceStub, port, max_send_bytes=999) as service,
    ):
        with pytest.raises(CallError, match=r"100\d bytes, over the limit of 999"):
            await service.get_version(big)
    assert not any(isinstance(event, h2.events.DataReceived) for event in log)


async def test_one_unread_stream_leaves_the_others_alone() -> None:
    """The unread one fills its own window, and that only."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.stream_id > 1:
            exchange.message(VERSION)
            exchange.trailers()
            return
        while exchange.connection.local_flow_control_window(1) > 20 * len(METRICS):
            exchange.message(*[METRICS] * 10)

    async with h2_peer(script) as port:
        channel = Channel(
            Address(host="127.0.0.1", port=port),
        )
        streaming = StreamingPipelineServiceStub(channel)
        async with aclosing(streaming.stream_pipeline(no_input())) as unread:
            await anext(unread)
            answer = await PipelineExecutionServiceStub(channel).get_version(
                VersionRequest()
            )
            assert answer.compatible
        channel.close()
        await asyncio.sleep(0)


async def test_a_request_that_waits_says_what_one_says_at_once() -> None:
    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    async with (
        h2_peer(script, log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        # The first call of a connection waits for it to be made, and the others do not.
        for _ in range(3):
            # In whole seconds, where it is this long.
            await service.get_version(
                VersionRequest(), timeout=1e6, metadata={"a": "1"}
            )
    said = [e.headers for e in log if isinstance(e, h2.events.RequestReceived)]
    assert len(said) == 3
    assert sorted(said[0]) == sorted(said[1]) == sorted(said[2])


@pytest.mark.parametrize("is_connected", [True, False])
@pytest.mark.parametrize("size", [9, 64 * 1024, 100_000, 2 * 1024 * 1024])
async def test_a_request_arrives_whole_and_ends_once(
    size: int, is_connected: bool
) -> None:
    samples = random.Random(size).randbytes(size)
    request = ExecuteRequest(
        audio_inputs={"src": AudioBuffer(samples=samples)}, client_version="v1"
    )
    has_ended = asyncio.Event()

    class Log(list[h2.events.Event]):
        def append(self, event: h2.events.Event) -> None:
            super().append(event)
            if isinstance(event, h2.events.StreamEnded):
                has_ended.set()

    log = Log()
    exchanges: list[Exchange] = []
    async with h2_peer(exchanges.append, log) as port:
        service = PipelineExecutionServiceStub(Channel(f"127.0.0.1:{port}"))
        if is_connected:
            # A request that need not wait for a connection takes another path.
            await channel_of(service).connect()
        calling = asyncio.create_task(service.execute_pipeline(request))
        await has_ended.wait()
        (exchange,) = exchanges
        exchange.headers()
        exchange.message(bytes(ExecuteResponse(error=ErrorResponse(message="seen"))))
        exchange.trailers()
        exchange.flush()
        assert (await calling).error.message == "seen"
        channel_of(service).close()
        await asyncio.sleep(0)
    frames = [event for event in log if isinstance(event, h2.events.DataReceived)]
    assert all(frame.data for frame in frames)
    body = b"".join(frame.data for frame in frames)
    assert body == b"\0" + len(bytes(request)).to_bytes(4, "big") + bytes(request)
    ends = [frame.stream_ended is not None for frame in frames]
    assert ends == [False] * (len(frames) - 1) + [True]


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_request_is_refused_that_is_one_byte_too_large(size: int) -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    request = VersionRequest(client_version="v" * size)
    limit = len(bytes(request))
    async with h2_peer(script) as port:
        channel = Channel(f"127.0.0.1:{port}")
        service = PipelineExecutionServiceStub(channel, max_send_bytes=limit)
        await service.get_version(request)
        service = PipelineExecutionServiceStub(channel, max_send_bytes=limit - 1)
        with pytest.raises(CallError, match=f"{limit} bytes, over the limit"):
            await service.get_version(request)
        channel.close()
        await asyncio.sleep(0)


async def test_a_time_out_that_is_no_number_is_an_error_of_its_own() -> None:
    channel = Channel("localhost:1")
    with pytest.raises(TypeError, match="idle_timeout must be a number of seconds"):
        StreamingPipelineServiceStub(
            channel,
            idle_timeout="5",  # type: ignore[arg-type]  # on purpose
        )


async def test_a_stream_that_is_over_lets_go_of_what_was_sent() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        exchange.trailers()

    class Requests(list[StreamRequest]):
        """Can be referred to weakly."""

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        requests = Requests()
        is_there = weakref.ref(requests)
        responses = service.stream_pipeline(requests)
        del requests
        assert is_there() is not None
        assert [bytes(response) async for response in responses] == [READY]
        gc.collect()
        assert is_there() is None


async def test_what_was_sent_is_let_go_of_as_a_call_ends() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        gc.disable()
        try:
            for _ in range(2):
                request = VersionRequest()
                is_there = weakref.ref(request)
                await service.get_version(request)
                del request
                await asyncio.sleep(0)
                assert is_there() is None
        finally:
            gc.enable()


async def test_a_deadline_that_has_passed_asks_nobody() -> None:
    log: list[h2.events.Event] = []
    async with (
        h2_peer(lambda exchange: None, log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        await channel_of(service).connect()
        with pytest.raises(CallError, match="before the call began") as caught:
            await service.get_version(
                VersionRequest(), deadline=Deadline.from_timeout(-1)
            )
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert caught.value.unprocessed
    assert not any(isinstance(event, h2.events.RequestReceived) for event in log)


class Clock(Deadline):
    """A deadline that comes when the test says so."""

    def __init__(self) -> None:
        super().__init__(_timestamp=time.monotonic() + 60)
        self.left_s = 60.0

    def time_remaining(self) -> float:
        return self.left_s


CANCELLED = [("grpc-status", "1"), ("grpc-message", "Timeout%20expired")]


def _trailers(exchange: Exchange) -> None:
    exchange.headers()
    exchange.trailers(1, *CANCELLED[1:])


# A reset, as a server on grpcio ends a call whose deadline passed; the only block of a
# response, without a content type, as one on tonic does; and trailers.
CANCELS: dict[str, Script] = {
    "reset": lambda e: e.reset(ErrorCodes.CANCEL),
    "only block": lambda e: e.headers((":status", "200"), *CANCELLED, end=True),
    "trailers": _trailers,
}


@pytest.mark.parametrize("left_s", [0.0, 0.0009, 0.0011, 30.0])
@pytest.mark.parametrize("cancel", CANCELS.values(), ids=CANCELS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_cancelled_at_the_deadline_is_the_deadline(
    is_stream: bool, cancel: Script, left_s: float
) -> None:
    """The peer has the same deadline, and its clock may be a millisecond ahead."""

    def script(exchange: Exchange) -> None:
        clock.left_s = left_s
        cancel(exchange)

    clock = Clock()
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, timeout=math.inf) as service,
    ):
        if is_stream:
            streaming = StreamingPipelineServiceStub(channel_of(service))
            response: Awaitable[object] = anext(
                streaming.stream_pipeline(no_input(), deadline=clock)
            )
        else:
            response = service.get_version(VersionRequest(), deadline=clock)
        with pytest.raises(CallError) as caught:
            await response
    if left_s < 0.001:
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert caught.value.message == "the call was not done within 60 s"
    else:
        assert caught.value.status is Status.CANCELLED


async def test_another_status_at_the_deadline_is_what_the_peer_says() -> None:
    def script(exchange: Exchange) -> None:
        clock.left_s = 0.0
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers(ends.pop())

    clock, ends = Clock(), [0, 5]
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), deadline=clock)
        assert caught.value.status is Status.NOT_FOUND
        clock.left_s = 60.0
        answer = await service.get_version(VersionRequest(), deadline=clock)
        assert answer.compatible


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_silent_connection_is_not_used_again(is_silent: bool) -> None:
    """A call that timed out on it says so, unless the peer has sent anything since."""

    def script(exchange: Exchange) -> None:
        def ping() -> None:
            exchange.connection.ping(bytes(8))
            exchange.flush()

        if not is_silent:
            asyncio.get_running_loop().call_later(0.1, ping)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        connection = await channel_of(service).connect()
        with pytest.raises(CallError, match=r"not done within 0\.2 s"):
            await service.get_version(VersionRequest(), timeout=0.2)
        assert connection.accepts_streams is not is_silent


async def test_a_call_that_is_left_while_a_response_is_expanded() -> None:
    large = gzip.compress(bytes(VersionResponse(compatibility_message="a" * 2**20)))

    def script(exchange: Exchange) -> None:
        exchange.headers(*GRPC_HEADERS, ("grpc-encoding", "gzip"))
        exchange.message(b"")
        exchange.message(large, flag=1)

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
        aclosing(service.stream_pipeline(no_input())) as responses,
    ):
        call = responses._call
        assert isinstance(call, Call)
        await responses.read()
        await until(lambda: call._inbox.messages)
        reading = asyncio.create_task(responses.read())
        # Each turn expands 64 KiB of the message's 1 MiB.
        await turns(3)
        assert not reading.done()
        responses.stop()
        with pytest.raises(CallError, match="cancelled here"):
            await reading


async def test_a_response_of_too_many_fields_ends_its_call_alone() -> None:
    """251,000 empty submessages: half a megabyte that would take seconds to decode."""
    body = b"\x0a\x00" * 251_000

    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.stream_id == 1:
            data = struct.pack(">BI", 0, len(body)) + body
            for start in range(0, len(data), 16_000):
                exchange.data(data[start : start + 16_000])
        else:
            exchange.message(VERSION)
        exchange.trailers()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError, match="more than 250000 fields") as caught:
            await service.get_version(VersionRequest())
        assert caught.value.status is Status.INTERNAL
        assert (await service.get_version(VersionRequest())).compatible
