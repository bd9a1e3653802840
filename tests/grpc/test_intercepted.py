"""Streams inside interceptors, over generated stubs and scripted peers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from grpclib.const import Status

from remotemedia.grpc import CallDetails, CallError, Channel, Next, ResponseStream
from remotemedia.grpc.caller import Caller, CallOptions
from remotemedia.grpc.intercepted import InterceptedCall
from remotemedia.grpc.interceptors import Interceptor
from remotemedia.v1 import (
    StreamingPipelineServiceStub,
    StreamRequest,
    StreamResponse,
)
from tests.support.calls import METRICS, READY, no_input
from tests.support.peers import Exchange, Script, h2_peer
from tests.support.waiting import GUARD_S, until

PATH = "/remotemedia.v1.StreamingPipelineService/StreamPipeline"


class Recorder:
    """An interceptor that notes how each stream went."""

    def __init__(self) -> None:
        self.log: list[object] = []

    async def __call__(self, call: CallDetails, next: Next) -> object:
        assert call.is_stream
        self.log.append("begins")
        try:
            result = await next(call)
        except BaseException as error:
            self.log.append(error)
            raise
        self.log.append(result)
        return result

    @property
    def status(self) -> Status:
        _, error = self.log
        assert isinstance(error, CallError)
        return error.status


@asynccontextmanager
async def opened(
    script: Script, *interceptors: Interceptor
) -> AsyncIterator[ResponseStream[StreamResponse]]:
    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = StreamingPipelineServiceStub(channel, interceptors=interceptors)
        async with aclosing(stub.stream_pipeline(no_input())) as responses:
            yield responses


def whole(exchange: Exchange) -> None:
    exchange.headers()
    exchange.message(READY, METRICS)
    exchange.trailers()


def endless(exchange: Exchange) -> None:
    exchange.headers()
    exchange.message(READY)


def failing(status: int) -> Script:
    return lambda exchange: exchange.headers(
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", str(status)),
        end=True,
    )


async def test_an_interceptor_brackets_the_life_of_a_stream() -> None:
    recorder = Recorder()
    async with opened(whole, recorder) as responses:
        assert recorder.log == []
        first = await anext(responses)
        assert first.ready.session_id == "s"
        assert recorder.log == ["begins"]
        assert [r.metrics.chunks_processed async for r in responses] == [7]
        assert recorder.log == ["begins", None]
        assert responses.is_over
        assert await responses.read() is None


async def test_a_failure_passes_through_the_interceptors() -> None:
    recorder = Recorder()
    async with opened(failing(8), recorder) as responses:
        with pytest.raises(CallError) as caught:
            await anext(responses)
    assert recorder.log == ["begins", caught.value]
    assert recorder.status is Status.RESOURCE_EXHAUSTED


async def test_what_an_interceptor_raises_after_the_end_is_raised() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        await next(call)
        raise KeyError("audit")

    async with opened(whole, intercept) as responses:
        await anext(responses)
        await anext(responses)
        with pytest.raises(KeyError, match="audit"):
            await anext(responses)


async def test_an_interceptor_may_turn_a_failure_into_an_end() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(call)
        except CallError:
            return None

    async with opened(failing(8), intercept) as responses:
        assert [response async for response in responses] == []


async def test_an_interceptor_may_refuse_a_stream() -> None:
    error = PermissionError("not today")

    async def intercept(call: CallDetails, next: Next) -> object:
        raise error

    def never(exchange: Exchange) -> None:
        raise AssertionError

    async with opened(never, intercept) as responses:
        with pytest.raises(PermissionError) as caught:
            await anext(responses)
    assert caught.value is error


async def test_a_stream_that_is_never_opened_is_empty() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        return None

    async with opened(whole, intercept) as responses:
        assert [response async for response in responses] == []


async def test_an_interceptor_may_wait_before_the_stream_opens() -> None:
    release = asyncio.Event()

    async def intercept(call: CallDetails, next: Next) -> object:
        await release.wait()
        return await next(call.with_metadata({"x": "1"}))

    async with opened(whole, intercept) as responses:
        # Waiting for a response can be cancelled and repeated.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(responses.read(), 0.01)
        assert not responses.is_over
        release.set()
        assert (await anext(responses)).ready.session_id == "s"


async def test_leaving_a_stream_cancels_it_for_its_interceptors() -> None:
    recorder = Recorder()
    async with opened(endless, recorder) as responses:
        await anext(responses)
    assert recorder.status is Status.CANCELLED


async def test_leaving_before_the_stream_opens_cancels_the_interceptors() -> None:
    log: list[str] = []
    entered = asyncio.Event()

    async def intercept(call: CallDetails, next: Next) -> object:
        entered.set()
        try:
            return await asyncio.Event().wait()
        finally:
            log.append("left")

    async with opened(endless, intercept) as responses:
        reading = asyncio.create_task(responses.read())
        await entered.wait()
    assert log == ["left"]
    assert await reading is None


async def test_the_reason_for_leaving_is_what_interceptors_see() -> None:
    recorder = Recorder()
    reason = ValueError("enough")
    async with opened(endless, recorder) as responses:
        await anext(responses)
        responses.stop(reason)
        await until(lambda: len(recorder.log) == 2)
    assert recorder.log == ["begins", reason]


async def test_leaving_after_the_status_came_is_no_cancellation() -> None:
    recorder = Recorder()
    async with opened(whole, recorder) as responses:
        await anext(responses)
        await until(lambda: responses.is_over)
    assert recorder.log == ["begins", None]


async def test_a_dropped_stream_ends_its_interceptors() -> None:
    recorder = Recorder()
    async with h2_peer(endless) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = StreamingPipelineServiceStub(channel, interceptors=[recorder])
        async for _ in stub.stream_pipeline(no_input()):
            break
        gc.collect()
        await until(lambda: len(recorder.log) == 2)
    assert recorder.status is Status.CANCELLED


async def test_an_interceptor_that_gives_up_resets_the_stream() -> None:
    enough = asyncio.Event()

    async def impatient(call: CallDetails, next: Next) -> object:
        calling = asyncio.ensure_future(next(call))
        await enough.wait()
        calling.cancel()
        await asyncio.wait({calling})
        raise TimeoutError("enough")

    async with opened(endless, impatient) as responses:
        await anext(responses)
        enough.set()
        with pytest.raises(TimeoutError, match="enough"):
            await anext(responses)


async def test_cancelling_next_resets_the_stream_at_once() -> None:
    enough, release = asyncio.Event(), asyncio.Event()

    async def impatient(call: CallDetails, next: Next) -> object:
        calling = asyncio.ensure_future(next(call))
        await enough.wait()
        calling.cancel()
        await release.wait()
        return None

    async with opened(endless, impatient) as responses:
        await anext(responses)
        enough.set()
        reading = asyncio.create_task(responses.read())
        await until(lambda: not is_open(responses))
        release.set()
        assert await reading is None


async def test_an_interceptor_that_leaves_next_behind_ends_the_stream() -> None:
    enough = asyncio.Event()

    async def careless(call: CallDetails, next: Next) -> object:
        calling = asyncio.ensure_future(next(call))
        await enough.wait()
        assert not calling.done()
        return None

    async with opened(endless, careless) as responses:
        await anext(responses)
        reading = asyncio.create_task(responses.read())
        enough.set()
        assert await reading is None
        assert not is_open(responses)


def is_open(responses: ResponseStream[StreamResponse]) -> bool:
    """Whether the latest attempt of a stream goes on."""
    call = responses._call
    assert isinstance(call, InterceptedCall)
    assert call._latest is not None
    return not call._latest.is_over


def never_ending(log: list[str]) -> Interceptor:
    """An interceptor that goes on after the call, and notes that it is cancelled."""

    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(call)
        except CallError:
            try:
                await asyncio.Event().wait()
            finally:
                log.append("cancelled")
            raise

    return intercept


async def test_an_interceptor_that_never_ends_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.grpc.intercepted.GRACE_S", 0.01)
    log: list[str] = []
    intercept = never_ending(log)

    async with opened(endless, intercept) as responses:
        await anext(responses)
    await until(lambda: log == ["cancelled"])


async def test_an_interceptor_that_fails_after_its_stream_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(call)
        except CallError:
            raise KeyError("audit") from None

    async with opened(endless, intercept) as responses:
        await anext(responses)
    await asyncio.sleep(0)
    assert "an interceptor failed after its stream" in caplog.text


async def test_interceptors_may_finish_after_a_reader_that_was_cancelled() -> None:
    ended, release = asyncio.Event(), asyncio.Event()
    log: list[str] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        result = await next(call)
        ended.set()
        await release.wait()
        log.append("finished")
        return result

    async with opened(whole, intercept) as responses:
        await anext(responses)
        await anext(responses)
        reading = asyncio.create_task(responses.read())
        await ended.wait()
        reading.cancel()
        await asyncio.wait({reading})
        release.set()
    assert log == ["finished"]


async def test_an_interceptor_that_cancels_itself_does_not_cancel_the_reader() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        raise asyncio.CancelledError

    async with opened(whole, intercept) as responses:
        with pytest.raises(CallError) as caught:
            await anext(responses)
    assert caught.value.status is Status.CANCELLED


async def test_a_stream_that_was_left_is_not_opened_again() -> None:
    failed, release = asyncio.Event(), asyncio.Event()
    errors: list[CallError] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(call)
        except CallError:
            failed.set()
            await release.wait()
        try:
            return await next(call)
        except CallError as error:
            errors.append(error)
            raise

    async with server_stream(failing(14), intercept) as responses:
        reading = asyncio.create_task(responses.read())
        await failed.wait()
        responses.stop()
        release.set()
        assert await reading is None
    assert [error.status for error in errors] == [Status.CANCELLED]


# -- calling next again


def again(on_error: Callable[[CallError], None] = lambda _: None) -> Interceptor:
    """Makes a call once more after it failed."""

    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(call)
        except CallError as error:
            on_error(error)
        return await next(call)

    return intercept


@asynccontextmanager
async def server_stream(
    script: Script, *interceptors: Interceptor
) -> AsyncIterator[ResponseStream[StreamResponse]]:
    """A call with one request and a stream of responses."""
    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        caller = Caller(channel, CallOptions(interceptors=interceptors))
        responses: ResponseStream[StreamResponse] = caller.unary_stream(
            PATH, StreamRequest(), StreamResponse
        )
        async with aclosing(responses):
            yield responses


async def test_a_stream_of_one_request_may_be_opened_again() -> None:
    scripts = [failing(14), whole]
    errors: list[CallError] = []

    def script(exchange: Exchange) -> None:
        scripts.pop(0)(exchange)

    async with server_stream(script, again(errors.append)) as responses:
        received = [response async for response in responses]
    assert len(received) == 2
    assert [error.status for error in errors] == [Status.UNAVAILABLE]


async def test_a_stream_that_has_delivered_is_not_opened_again() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        exchange.trailers(14)

    async with server_stream(script, again()) as responses:
        await anext(responses)
        with pytest.raises(RuntimeError, match="cannot be repeated"):
            await anext(responses)


async def test_a_stream_of_requests_is_not_opened_again() -> None:
    async with opened(failing(14), again()) as responses:
        with pytest.raises(RuntimeError, match="cannot be repeated"):
            await anext(responses)


async def test_a_single_response_to_a_stream_of_requests() -> None:
    log: list[Any] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        log.append((call.request, call.is_stream))
        return await next(call)

    async def requests() -> AsyncIterator[StreamRequest]:
        yield StreamRequest()

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        exchange.trailers()

    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        caller = Caller(channel, CallOptions(interceptors=(intercept,)))
        answer = await caller.stream_unary(PATH, requests(), StreamResponse)
        assert answer.ready.session_id == "s"
        caller = Caller(channel, CallOptions(interceptors=(twice,)))
        with pytest.raises(RuntimeError, match="requests of a stream are gone"):
            await caller.stream_unary(PATH, requests(), StreamResponse)
    assert log == [(None, False)]


async def twice(call: CallDetails, next: Next) -> object:
    await next(call)
    return await next(call)


async def test_a_stream_is_not_opened_twice_at_once() -> None:
    errors: list[BaseException | object] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        errors.extend(
            await asyncio.gather(next(call), next(call), return_exceptions=True)
        )
        return None

    async with server_stream(whole, intercept) as responses:
        assert len([response async for response in responses]) == 2
    assert errors[0] is None
    assert "while the stream is open" in str(errors[1])


async def test_an_attempt_that_was_given_up_does_not_end_the_next() -> None:
    scripts = [endless_headers, whole]
    begun = asyncio.Event()

    def script(exchange: Exchange) -> None:
        begun.set()
        scripts.pop(0)(exchange)

    async def impatient(call: CallDetails, next: Next) -> object:
        """Gives up as ``asyncio.timeout`` does: within the task."""
        task = asyncio.current_task()
        assert task is not None

        async def give_up() -> None:
            await begun.wait()
            task.cancel()

        giving_up = asyncio.ensure_future(give_up())
        with suppress(asyncio.CancelledError):
            await next(call)
        assert giving_up.done()
        return await next(call)

    async with server_stream(script, impatient) as responses:
        assert len([response async for response in responses]) == 2


def endless_headers(exchange: Exchange) -> None:
    exchange.headers()


async def test_a_failure_is_not_lost_where_its_reader_is_cancelled() -> None:
    """While it waits for the caller's iterable to be closed."""
    closing, closed = asyncio.Event(), asyncio.Event()

    async def requests() -> AsyncIterator[StreamRequest]:
        try:
            await asyncio.Event().wait()
            yield StreamRequest()
        finally:
            closing.set()
            await closed.wait()

    async def intercept(call: CallDetails, next: Next) -> object:
        return await next(call)

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY)
        asyncio.get_running_loop().call_later(0.01, fail, exchange)

    def fail(exchange: Exchange) -> None:
        exchange.trailers(13)
        exchange.flush()

    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = StreamingPipelineServiceStub(channel, interceptors=[intercept])
        async with aclosing(stub.stream_pipeline(requests())) as responses:
            assert await responses.read() is not None
            reading = asyncio.create_task(responses.read())
            await closing.wait()
            reading.cancel()
            await asyncio.wait({reading})
            assert reading.cancelled()
            with pytest.raises(CallError) as caught:
                await responses.read()
            assert caught.value.status is Status.INTERNAL
            closed.set()


# -- the bounds of interceptors


async def never_opens(call: CallDetails, next: Next) -> object:
    await asyncio.Event().wait()
    return await next(call)


async def never_finishes(call: CallDetails, next: Next) -> object:
    await next(call)
    return await asyncio.Event().wait()


@pytest.mark.parametrize("interceptor", [never_opens, never_finishes])
@pytest.mark.parametrize("bound", ["timeout", "idle_timeout"])
async def test_interceptors_that_take_too_long(
    interceptor: Interceptor, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remotemedia.grpc.intercepted.GRACE_S", 0.01)
    idle_timeout = 0.05 if bound == "idle_timeout" else None
    timeout = 0.05 if bound == "timeout" else None
    async with h2_peer(whole) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = StreamingPipelineServiceStub(
            channel, interceptors=[interceptor], idle_timeout=idle_timeout
        )
        responses = stub.stream_pipeline(no_input(), timeout=timeout)
        with pytest.raises(CallError, match="the interceptors were not done") as caught:
            await asyncio.wait_for(read_all(responses), GUARD_S)
    assert caught.value.status is Status.DEADLINE_EXCEEDED


async def read_all(responses: ResponseStream[StreamResponse]) -> None:
    async for _ in responses:
        pass


async def test_interceptors_end_after_a_stream_that_was_only_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.grpc.intercepted.GRACE_S", 0.01)
    log: list[str] = []
    intercept = never_ending(log)

    async with h2_peer(endless) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = StreamingPipelineServiceStub(channel, interceptors=[intercept])
        responses = stub.stream_pipeline(no_input())
        await responses.read()
        responses.stop()
        await until(lambda: log == ["cancelled"])
