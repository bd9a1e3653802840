"""Leaving a call in every way: the peer sees the reset, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress

import h2.events
import pytest
from h2.errors import ErrorCodes

from remotemedia import AudioBuffer, RemoteMediaClient, RemoteMediaError
from remotemedia.grpc import CallError
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    VersionRequest,
)
from tests.faults.tools import endless, is_version, resets, sequences
from tests.support.calls import READY, no_input, stub
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.sessions import reset
from tests.support.waiting import GUARD_S, turns, until


class Source:
    """Audio that never ends, and that records when it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def asynchronous(self) -> AsyncIterator[tuple[str, AudioBuffer]]:
        try:
            while True:
                yield "src", tone(160)
                await asyncio.sleep(0)
        finally:
            self.closed = True

    def plain(self) -> Iterator[tuple[str, AudioBuffer]]:
        try:
            while True:
                yield "src", tone(160)
        finally:
            self.closed = True


async def by_break(client: RemoteMediaClient, source: AsyncIterator[object]) -> None:
    async for _ in client.stream_pipeline(PASS, source):  # type: ignore[arg-type]  # any source
        break
    # The event loop closes an asynchronous generator that is no longer referenced.
    gc.collect()


async def by_aclose(client: RemoteMediaClient, source: AsyncIterator[object]) -> None:
    results = client.stream_pipeline(PASS, source)  # type: ignore[arg-type]  # any source
    await anext(results)
    await results.aclose()


async def by_exception(
    client: RemoteMediaClient, source: AsyncIterator[object]
) -> None:
    async def work() -> None:
        async with aclosing(client.stream_pipeline(PASS, source)) as results:  # type: ignore[arg-type]  # any source
            async for _ in results:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()


async def by_cancelling(
    client: RemoteMediaClient, source: AsyncIterator[object]
) -> None:
    async def consume() -> None:
        async for _ in client.stream_pipeline(PASS, source):  # type: ignore[arg-type]  # any source
            began.set()

    began = asyncio.Event()
    task = asyncio.create_task(consume())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_timeout(client: RemoteMediaClient, source: AsyncIterator[object]) -> None:
    async def consume() -> None:
        async for _ in client.stream_pipeline(PASS, source):  # type: ignore[arg-type]  # any source
            await asyncio.sleep(0)

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(consume(), 0.1)


@pytest.mark.parametrize("kind", ["asynchronous", "plain"])
@pytest.mark.parametrize(
    "leave", [by_break, by_aclose, by_exception, by_cancelling, by_timeout]
)
async def test_leaving_a_stream_ends_it_at_the_service(
    core: CoreServer,
    leave: Callable[[RemoteMediaClient, object], Awaitable[None]],
    kind: str,
) -> None:
    """The call is cancelled at the service, and the source is closed."""
    source = Source()
    iterator = getattr(source, kind)()
    async with RemoteMediaClient(core.address) as client:
        await leave(client, iterator)

        async def ended() -> None:
            await until(lambda: core.streaming.running == 0 and source.closed)

        await asyncio.wait_for(ended(), 1.0)
        # The connection still works.
        await client.get_version()


@pytest.mark.parametrize("how", ["aclose", "del"])
async def test_leaving_a_bare_stub_resets_the_call_with_cancel(how: str) -> None:
    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)

    async with (
        h2_peer(script, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(no_input())
        await anext(responses)
        if how == "aclose":
            await responses.aclose()
        # The stream is no longer referenced.
        del responses
        await asyncio.wait_for(until(lambda: resets(log)), 1.0)
    assert resets(log) == [ErrorCodes.CANCEL]


async def test_leaving_does_not_wait_forever_for_the_source() -> None:
    """The call is reset at once. Leaving waits for the source for a limited time."""
    log: list[h2.events.Event] = []
    may_end = asyncio.Event()

    async def stubborn() -> AsyncIterator[StreamRequest]:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()
        yield StreamRequest()

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)

    async with (
        h2_peer(script, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        responses = service.stream_pipeline(stubborn())
        await anext(responses)
        leaving = asyncio.create_task(responses.aclose())
        await until(lambda: resets(log) == [ErrorCodes.CANCEL])
        may_end.set()
        await asyncio.wait_for(leaving, GUARD_S)


async def test_a_source_that_ignores_its_cancellation_sends_nothing() -> None:
    log: list[h2.events.Event] = []
    swallowed = asyncio.Event()

    async def swallowing() -> AsyncIterator[StreamRequest]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        while True:
            yield StreamRequest()

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)

    async with (
        h2_peer(script, log) as port,
        stub(StreamingPipelineServiceStub, port) as service,
    ):
        async with aclosing(service.stream_pipeline(swallowing())) as responses:
            await anext(responses)
        assert swallowed.is_set()
    assert not any(isinstance(event, h2.events.DataReceived) for event in log)


@pytest.mark.parametrize("facade", [True, False])
async def test_leaving_wakes_a_reader_in_another_task(facade: bool) -> None:
    """A task that still waits for a response gets an error."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)

    async def read_on(responses: AsyncIterator[object]) -> None:
        async for _ in responses:
            pass

    async with h2_peer(script) as port:
        if facade:
            async with RemoteMediaClient(f"127.0.0.1:{port}") as client:
                async with reset(client.open_stream(PASS)) as stream:
                    reader = asyncio.create_task(read_on(stream))
                    await turns(5)
                await _ends(reader)
        else:
            async with stub(StreamingPipelineServiceStub, port) as service:
                responses = service.stream_pipeline(no_input())
                await anext(responses)
                reader = asyncio.create_task(read_on(responses))
                await turns(5)
                await responses.aclose()
                await _ends(reader)


async def _ends(task: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait({task}, timeout=1.0)
    if not done:
        task.cancel()
        await asyncio.wait({task})
        raise AssertionError("the reader waits for ever")
    assert isinstance(task.exception(), CallError | RemoteMediaError | None)


async def test_cancelling_ends_the_iteration_in_another_task() -> None:
    """It ends as at the end of the results: the user asked for it."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)

    log: list[h2.events.Event] = []
    async with (
        h2_peer(script, log) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        reader = asyncio.create_task(sequences(stream))
        await turns(5)
        await stream.half_close()
        # The first is the end of `get_version`.
        await until(
            lambda: sum(isinstance(event, h2.events.StreamEnded) for event in log) == 2
        )
        await stream.cancel()
        assert await asyncio.wait_for(reader, GUARD_S) == []
        assert await sequences(stream) == []


async def test_leaving_while_a_refused_opening_is_repeated() -> None:
    """The opening is not tried again, and the reader gets an error."""
    attempts: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            attempts.append(exchange)
            exchange.reset(ErrorCodes.REFUSED_STREAM)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        results = client.stream_pipeline(PASS, endless())
        reader = asyncio.create_task(sequences(results))
        await until(lambda: len(attempts) == 2)
        await results.aclose()
        with pytest.raises(RemoteMediaError, match="was left before"):
            await asyncio.wait_for(reader, GUARD_S)
        assert len(attempts) == 2


async def test_two_readers_of_one_bare_stream() -> None:
    """Both get results or an error. Neither waits forever."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        asyncio.get_running_loop().call_later(0.02, answer, exchange)

    def answer(exchange: Exchange) -> None:
        exchange.message(READY)
        exchange.message(READY)
        exchange.trailers()
        exchange.flush()

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port) as service,
        aclosing(service.stream_pipeline(no_input())) as responses,
    ):
        readers = [asyncio.ensure_future(responses.read()) for _ in range(2)]
        _, waiting = await asyncio.wait(readers, timeout=1.0)
        for reader in waiting:
            reader.cancel()
        results = await asyncio.gather(*readers, return_exceptions=True)
        assert not waiting, results


async def test_a_call_can_be_cancelled_in_every_loop_iteration(
    local: LocalService,
) -> None:
    """A requested cancellation always ends the call, and is never lost."""
    async with RemoteMediaClient(local.address) as client:

        async def session() -> None:
            async with client.open_stream(PASS) as stream:
                await stream.send("src", tone())
                await anext(stream)
                await stream.close()

        async def connect() -> None:
            async with RemoteMediaClient(local.address):
                pass

        for call in (session, client.get_version, connect):
            swallowed = []
            for hold in range(40):
                task: asyncio.Task[object] = asyncio.create_task(call())
                await turns(hold)
                asked = task.cancel()
                await asyncio.wait({task})
                if task.cancelled() != asked:
                    swallowed.append(hold)
            assert swallowed == [], call
        await client.get_version()


async def test_timeouts_around_calls_keep_the_cancellation_count() -> None:
    """An enclosing ``asyncio.timeout`` needs it to tell its own from others'."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        async with reset(client.open_stream(PASS)) as stream:
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await _timed(0.01, anext(stream))
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.01)
                assert _cancelling() == 0
        with pytest.raises(asyncio.TimeoutError):
            await _timed(0.05, sequences(client.stream_pipeline(PASS, endless())))
        with pytest.raises(RemoteMediaError):
            await client.get_version(timeout=1e-9)
        assert _cancelling() == 0
        with pytest.raises(asyncio.TimeoutError):
            await _timed(0.01, asyncio.Event().wait())
        assert _cancelling() == 0


async def _timed(timeout: float, work: Awaitable[object]) -> None:
    """Await in the current task, which ``asyncio.timeout`` of 3.11 cancels."""
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(timeout):
            await work
    else:
        await asyncio.wait_for(work, timeout)


def _cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    if sys.version_info >= (3, 11):
        return task.cancelling()
    return 0


async def test_waiting_for_a_result_can_be_cancelled_and_repeated(
    core: CoreServer,
) -> None:
    """No result is lost, however often waiting was cancelled."""
    async with (
        RemoteMediaClient(core.address) as client,
        client.open_stream(PASS) as stream,
    ):
        received: list[int] = []

        async def produce() -> None:
            for _ in range(50):
                await stream.send("src", tone(160))
                await asyncio.sleep(0)
            await stream.close()

        producer = asyncio.create_task(produce())
        while True:
            waiting = asyncio.ensure_future(anext(stream))
            await turns(1)
            waiting.cancel()
            try:
                received.append((await waiting).sequence)
            except asyncio.CancelledError:
                continue
            except StopAsyncIteration:
                break
        await producer
    assert received == list(range(50))


async def test_a_cancelled_unary_call_resets_at_the_service() -> None:
    log: list[h2.events.Event] = []
    async with (
        h2_peer(lambda exchange: exchange.headers(), log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(service.get_version(VersionRequest()), 0.05)
        await until(lambda: resets(log))
    assert resets(log) == [ErrorCodes.CANCEL]
