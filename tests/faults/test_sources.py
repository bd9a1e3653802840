"""What the caller's iterable can do: raise, idle, never wait, outlive the call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import h2.events
import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia import AudioBuffer, PipelineStream, RemoteMediaClient, RemoteMediaError
from remotemedia.grpc import CallError
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    AudioChunk,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    VersionRequest,
)
from tests.faults.tools import drained, is_version, no_audio, resets, result
from tests.support.calls import READY, stub
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.waiting import GUARD_S, turns, until


class TheirsError(BaseException):
    """An exception of the caller that is not an ``Exception``."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("theirs"),
    "os": lambda: OSError("theirs"),
    "timeout": lambda: asyncio.TimeoutError("theirs"),
    "ours": lambda: RemoteMediaError("theirs"),
    "call": lambda: CallError(Status.UNAVAILABLE, "theirs", is_refused=True),
    "cancelled": lambda: asyncio.CancelledError("theirs"),
    "interrupt": lambda: KeyboardInterrupt("theirs"),
    "exit": lambda: GeneratorExit("theirs"),
    "base": lambda: TheirsError("theirs"),
}
errors = pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)


class Raising:
    """An iterable, plain or asynchronous, that raises after a number of items."""

    def __init__(self, items: list[Any], error: BaseException) -> None:
        self.items = list(items)
        self.error = error

    def __next__(self) -> Any:
        if not self.items:
            raise self.error
        return self.items.pop(0)


class RaisingPlain(Raising):
    def __iter__(self) -> RaisingPlain:
        return self


class RaisingAsync(Raising):
    def __aiter__(self) -> RaisingAsync:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        return self.__next__()


kinds = pytest.mark.parametrize("kind", [RaisingPlain, RaisingAsync])


@errors
@kinds
@pytest.mark.parametrize("count", [0, 3])
async def test_its_exception_comes_out_unchanged(
    core: CoreServer,
    kind: Callable[..., Any],
    make: Callable[[], BaseException],
    count: int,
) -> None:
    """The same object is raised, and the call is cancelled at the service."""
    error = make()
    received = 0
    before = dict(vars(error))
    async with RemoteMediaClient(core.address) as client:
        source = kind([("src", tone(160))] * count, error)
        caught: BaseException | None = None
        try:
            async for _ in client.stream_pipeline(PASS, source):
                received += 1
        except BaseException as raised:  # noqa: BLE001 - any exception is expected
            caught = raised
        assert caught is error
        assert vars(error) == before
        await until(lambda: core.streaming.running == 0)
        await client.get_version()
    assert received <= count


@errors
@kinds
async def test_its_exception_comes_out_of_a_stub_unchanged(
    kind: Callable[..., Any], make: Callable[[], BaseException]
) -> None:
    error = make()
    log: list[h2.events.Event] = []
    source = kind([StreamRequest(audio_chunk=AudioChunk())] * 3, error)
    async with (
        h2_peer(lambda exchange: exchange.headers(), log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        caught: BaseException | None = None
        try:
            await anext(service.stream_pipeline(source))
        except BaseException as raised:  # noqa: BLE001 - any exception is expected
            caught = raised
        assert caught is error
        await until(lambda: resets(log))
    assert resets(log) == [ErrorCodes.CANCEL]
    sent = [event for event in log if isinstance(event, h2.events.DataReceived)]
    assert len(sent) == 3


async def test_a_stop_iteration_that_escapes() -> None:
    """It becomes a RuntimeError, as in any generator."""

    async def generator() -> AsyncIterator[StreamRequest]:
        yield StreamRequest(audio_chunk=AudioChunk())
        raise StopIteration

    async with (
        h2_peer(lambda exchange: exchange.headers()) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await anext(service.stream_pipeline(generator()))


async def test_results_before_its_exception_are_delivered() -> None:
    """Results that have arrived, and were not read when the source raised."""
    arrived = asyncio.Event()

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            peers.append(exchange)

    peers: list[Exchange] = []

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        for _ in range(3):
            yield "src", tone(160)
        await asyncio.sleep(0.01)
        peers[0].message(*[result(number) for number in range(3)])
        peers[0].flush()
        await asyncio.sleep(0.01)
        arrived.set()
        raise ZeroDivisionError

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        received = []

        async def work() -> None:
            async for chunk in client.stream_pipeline(PASS, source()):
                received.append(chunk.sequence)
                # The source raises while the caller processes the first result.
                await arrived.wait()

        with pytest.raises(ZeroDivisionError):
            await work()
        assert received == [0, 1, 2]


async def test_an_iterable_that_cannot_begin() -> None:
    class Broken:
        def __aiter__(self) -> AsyncIterator[StreamRequest]:
            raise LookupError("theirs")

    class BrokenPlain:
        def __iter__(self) -> Iterator[StreamRequest]:
            raise LookupError("theirs")

    async with (
        h2_peer(lambda exchange: exchange.headers()) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        for source in (Broken(), BrokenPlain()):
            with pytest.raises(LookupError, match="theirs"):
                await anext(service.stream_pipeline(source))


@pytest.mark.parametrize("bad", [None, 3, "text", ("src",), ("src", b"audio"), []])
async def test_items_that_are_not_chunks(core: CoreServer, bad: object) -> None:
    async with RemoteMediaClient(core.address) as client:
        with pytest.raises(TypeError):
            async for _ in client.stream_pipeline(PASS, [bad]):  # type: ignore[list-item]  # the mistake
                pass
        await until(lambda: core.streaming.running == 0)


async def test_a_plain_source_that_never_waits_does_not_block_the_loop(
    core: CoreServer,
) -> None:
    def always() -> Iterator[tuple[str, AudioBuffer]]:
        buffer = tone(160)
        while True:
            yield "src", buffer

    async with RemoteMediaClient(core.address) as client:

        async def consume() -> None:
            async for _ in client.stream_pipeline(PASS, always()):
                pass

        consuming = asyncio.create_task(consume())
        longest = 0.0
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            started = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - started)
        await asyncio.wait_for(client.get_version(), GUARD_S)
        consuming.cancel()
        await asyncio.wait({consuming})
    # With grpclib alone, the loop would be blocked for seconds.
    assert longest < 0.5


async def test_a_status_while_the_source_idles_is_raised_at_once() -> None:
    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            exchange.trailers(8, ("grpc-message", "enough"))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = client.stream_pipeline(PASS, no_audio())
        with pytest.raises(RemoteMediaError, match="enough") as caught:
            await asyncio.wait_for(anext(results), 1.0)
    assert caught.value.status is Status.RESOURCE_EXHAUSTED


async def test_an_early_ok_closes_the_source() -> None:
    """All results are delivered, no error is raised, and the source is closed."""
    closed = []

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        try:
            while True:
                yield "src", tone(160)
                await asyncio.sleep(0.001)
        finally:
            closed.append(True)

    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            asyncio.get_running_loop().call_later(0.03, finish, exchange)

    def finish(exchange: Exchange) -> None:
        exchange.message(result(0), result(1))
        exchange.trailers()
        exchange.flush()

    async with (
        h2_peer(script, log) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = [chunk async for chunk in client.stream_pipeline(PASS, source())]
        assert [chunk.sequence for chunk in results] == [0, 1]
        assert closed == [True]
        # The peer does not have to wait for the rest of the request.
        await until(lambda: resets(log))


async def test_a_source_whose_cleanup_waits(local: LocalService) -> None:
    """Leaving waits for it, so no task of the source outlives the call."""
    closed = []

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        try:
            while True:
                yield "src", tone(160)
        finally:
            await asyncio.sleep(0.02)
            closed.append(True)

    async with RemoteMediaClient(local.address) as client:
        results = client.stream_pipeline(PASS, source())
        await anext(results)
        await results.aclose()
        assert closed == [True]


@pytest.mark.parametrize("leave", [PipelineStream.close, PipelineStream.half_close])
async def test_its_exception_is_not_taken_for_a_timeout_of_ours(
    local: LocalService, leave: Callable[[PipelineStream], Awaitable[object]]
) -> None:
    """A source of `open_stream` raises a TimeoutError, and the stream is left."""
    error = asyncio.TimeoutError("the microphone timed out")
    source = RaisingAsync([("src", tone(160))], error)

    async def run() -> None:
        async with (
            RemoteMediaClient(local.address) as client,
            client.open_stream(PASS, source) as stream,
        ):
            await until(lambda: not source.items)
            await turns(3)
            await leave(stream)

    with pytest.raises(asyncio.TimeoutError) as caught:
        await run()
    assert caught.value is error


async def test_a_stop_async_iteration_of_a_plain_iterable(local: LocalService) -> None:
    """It would end the results silently, so it becomes a RuntimeError."""
    source = RaisingPlain([("src", tone(160))], StopAsyncIteration("theirs"))
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(RuntimeError, match="StopAsyncIteration"):
            await drained(client.stream_pipeline(PASS, source), [])


async def test_a_message_over_the_limit_in_a_stream(local: LocalService) -> None:
    """The error names the limit. Messages sent before it are answered."""
    async with RemoteMediaClient(local.address, max_send_bytes=10_000) as client:
        source = [("src", tone(160)), ("src", tone(160_000))]
        received: list[int] = []
        with pytest.raises(RemoteMediaError, match="max_send_bytes") as caught:
            await drained(client.stream_pipeline(PASS, source), received)
        assert caught.value.status is Status.RESOURCE_EXHAUSTED
        assert received in ([], [0])
        assert (await client.get_version()).protocol_version == "v1"


async def test_a_unary_request_that_cannot_be_encoded() -> None:
    bad = VersionRequest(client_version="\ud800")
    async with (
        h2_peer(is_version_script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(ValueError, match="client_version"):
            await service.get_version(bad)
        assert (await service.get_version(VersionRequest())).compatible


def is_version_script(exchange: Exchange) -> None:
    is_version(exchange)
