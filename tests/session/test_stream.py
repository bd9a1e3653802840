"""Live sessions: `open_stream`, sending and receiving independently."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes
from h2.events import Event, StreamReset

from remotemedia import (
    AudioBuffer,
    ErrorType,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.session import stream as stream_module
from remotemedia.session.stream import _RESULT_OVERHEAD_BYTES
from remotemedia.testing import Fault, LocalService, NodeCall
from remotemedia.v1 import (
    ChunkResult,
    StreamClosed,
    StreamReady,
    StreamResponse,
    VersionResponse,
)
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, pipeline, tone
from tests.support.sessions import reset
from tests.support.waiting import until


async def drain(stream: PipelineStream) -> list[int]:
    return [chunk.sequence async for chunk in stream]


async def test_a_session_from_ready_to_closed(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        assert stream.ready is not None
        assert stream.ready.session_id
        assert stream.ready.recommended_chunk_size > 0
        assert stream.metrics is None
        for _ in range(12):
            await stream.send("src", tone())
        closed = await stream.close()
        assert closed is stream.closed
        assert (stream.chunks_sent, stream.chunks_acknowledged) == (12, 12)
        assert stream.chunks_dropped == 0
        assert stream.round_trip_ms is not None
        assert stream.round_trip_ms > 0
        assert await drain(stream) == list(range(12))
        assert stream.metrics is not None
        assert stream.metrics.chunks_processed == 10
        assert stream.closed is not None
        assert stream.closed.session_id == stream.ready.session_id
        assert await drain(stream) == []


async def test_send_and_receive_in_turn(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        for number in range(5):
            await stream.send("src", tone())
            assert (await anext(stream)).sequence == number


async def test_send_from_another_task(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:

        async def produce() -> None:
            for _ in range(50):
                await stream.send("src", tone())
            await stream.close()

        producer = asyncio.create_task(produce())
        assert await drain(stream) == list(range(50))
        await producer


async def test_timestamps_follow_the_audio(core: CoreServer) -> None:
    async with (
        RemoteMediaClient(core.address) as client,
        client.open_stream(PASS) as stream,
    ):
        for frames in (1600, 800, 1, 1600):
            await stream.send("src", tone(frames))
        await stream.close()
        await drain(stream)
    assert core.streaming.timestamps_ms == [0, 100, 150, 150]


async def test_cancel(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        await stream.send("src", tone())
        await stream.cancel()
        await drain(stream)
        assert stream.closed is not None


async def test_a_refusal_comes_on_entering(client: RemoteMediaClient) -> None:
    with pytest.raises(RemoteMediaError, match="NoSuchNode") as caught:
        async with client.open_stream(pipeline("n", "NoSuchNode")):
            raise AssertionError("the session was open")
    assert caught.value.error_type is ErrorType.VALIDATION


async def test_bad_audio_leaves_the_session_as_it_was(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        bad = tone()
        bad.num_samples += 1
        with pytest.raises(ValueError, match="the chunk for node 'src'"):
            await stream.send("src", bad)
        # Neither contract carries sets.
        with pytest.raises(TypeError, match="the chunk for node 'src' is set, "):
            await stream.send("src", {0.5})  # type: ignore[arg-type]  # the mistake
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0


async def test_leaving_the_context_ends_the_call(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone())
        await until(lambda: core.streaming.running == 0)
        with pytest.raises(RemoteMediaError, match="the session is over"):
            await stream.send("src", tone())


async def test_leaving_normally_sends_what_was_accepted(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for _ in range(10):
            await stream.send("src", tone())
    assert (stream.chunks_sent, stream.chunks_dropped) == (10, 0)
    assert stream.closed is not None
    assert stream.closed.session_id == stream.ready.session_id  # type: ignore[union-attr]  # it was opened
    # Nobody read the results in time.
    assert await drain(stream) == []


async def test_leaving_by_an_exception_resets_at_once(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        stream = client.open_stream(PASS)
        async with reset(stream):
            for _ in range(10):
                await stream.send("src", tone())
        await until(lambda: core.streaming.running == 0)
    assert stream.closed is None
    assert stream.chunks_sent + stream.chunks_dropped == 10


async def test_leaving_is_bounded() -> None:
    async with (
        h2_peer(ready_and_silent) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.2) as client,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"closed within 0\.2 s"):
            async with client.open_stream(PASS):
                pass


async def test_a_failure_that_comes_while_leaving_is_raised() -> None:
    async with (
        LocalService(faults=[Fault.error("tired", at_chunk=0)]) as service,
        RemoteMediaClient(service.address) as client,
    ):
        with pytest.raises(RemoteMediaError, match="tired"):
            async with client.open_stream(PASS) as stream:
                await stream.send("src", tone())


async def send_for_ever(stream: PipelineStream) -> None:
    while True:
        await stream.send("src", tone())
        await asyncio.sleep(0)


async def test_results_before_a_failure_are_kept_for_the_iteration() -> None:
    async with (
        LocalService(faults=[Fault.error("tired", at_chunk=1)]) as service,
        RemoteMediaClient(service.address) as client,
        reset(client.open_stream(PASS)) as stream,
    ):
        with pytest.raises(RemoteMediaError, match="tired"):
            await send_for_ever(stream)
        assert (await anext(stream)).sequence == 0
        with pytest.raises(RemoteMediaError, match="tired"):
            await anext(stream)


async def test_a_failure_resets_the_call_although_the_stream_is_not_left() -> None:
    def breaks_the_rules(exchange: Exchange) -> None:
        ready_and_silent(exchange)
        if not exchange.path.endswith("GetVersion"):
            exchange.message(bytes(StreamResponse(result=ChunkResult(sequence=7))))

    log: list[Event] = []
    async with (
        h2_peer(breaks_the_rules, log) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaError, match="a result for chunk 7"):
            await anext(stream)
        await until(lambda: any(isinstance(event, StreamReset) for event in log))


async def test_a_send_that_waits_learns_that_the_session_is_over() -> None:
    def closes_after_a_while(exchange: Exchange) -> None:
        ready_and_silent(exchange)
        if not exchange.path.endswith("GetVersion"):
            asyncio.get_running_loop().call_later(0.02, close, exchange)

    def close(exchange: Exchange) -> None:
        closed = StreamClosed(session_id="s", reason="full")
        exchange.message(bytes(StreamResponse(closed=closed)))
        exchange.flush()

    async with (
        h2_peer(closes_after_a_while, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        reset(client.open_stream(PASS, max_buffered_chunks=1)) as stream,
    ):
        reading = asyncio.ensure_future(drain(stream))
        with pytest.raises(RemoteMediaError, match="the session is over: full"):
            await send_for_ever(stream)
        assert await reading == []


async def test_leaving_lets_the_service_end_the_call() -> None:
    def ends_late(exchange: Exchange) -> None:
        ready_and_silent(exchange)
        if not exchange.path.endswith("GetVersion"):
            closed = StreamClosed(session_id="s")
            exchange.message(bytes(StreamResponse(closed=closed)))
            asyncio.get_running_loop().call_later(0.02, end, exchange)

    def end(exchange: Exchange) -> None:
        exchange.trailers()
        exchange.flush()

    log: list[Event] = []
    async with (
        h2_peer(ends_late, log) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        async with client.open_stream(PASS) as stream:
            assert await drain(stream) == []
        await client.get_version()
    assert not [event for event in log if isinstance(event, StreamReset)]


async def test_send_half_close_and_iterate_to_the_end(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for _ in range(3):
            await stream.send("src", tone())
        await stream.half_close()
        await stream.half_close()
        with pytest.raises(RemoteMediaError, match="closed by you"):
            await stream.send("src", tone())
        assert await drain(stream) == [0, 1, 2]
        assert stream.closed is not None


async def test_idling_unclosed_names_half_close(address: str) -> None:
    async with RemoteMediaClient(address, idle_timeout=0.05) as client:
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone())
            with pytest.raises(RemoteMediaTimeoutError, match="no progress") as caught:
                await drain(stream)
        assert "call half_close() or close()" in str(caught.value)

        async def one_chunk() -> AsyncIterator[tuple[str, AudioBuffer]]:
            yield "src", tone()
            await asyncio.Event().wait()

        async with client.open_stream(PASS, one_chunk()) as stream:
            with pytest.raises(RemoteMediaTimeoutError, match="no progress") as caught:
                await drain(stream)
        assert "half_close" not in str(caught.value)


async def test_a_stream_with_a_source(client: RemoteMediaClient) -> None:
    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        for _ in range(12):
            yield "src", tone()

    async with client.open_stream(PASS, audio()) as stream:
        assert await drain(stream) == list(range(12))
        assert stream.metrics is not None
        assert stream.closed is not None


async def test_what_a_source_raises_comes_out_of_the_iteration(
    client: RemoteMediaClient,
) -> None:
    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        yield "src", tone()
        raise LookupError("no microphone")

    with pytest.raises(LookupError, match="no microphone"):
        async with client.open_stream(PASS, audio()) as stream:
            await drain(stream)


async def test_leaving_stops_a_source_that_waits(client: RemoteMediaClient) -> None:
    ended_by: list[type[BaseException]] = []

    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        yield "src", tone()
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            ended_by.append(type(error))
            raise

    async with client.open_stream(PASS, audio()) as stream:
        assert (await anext(stream)).sequence == 0
    assert ended_by == [asyncio.CancelledError]
    assert stream.closed is not None
    assert stream.chunks_sent == 1


async def test_leaving_leaves_the_results_to_a_task_that_reads_them(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        reading = asyncio.create_task(drain(stream))
        for _ in range(20):
            await stream.send("src", tone())
    assert await reading == list(range(20))


async def test_cancel_after_close_resets_the_call() -> None:
    async with (
        h2_peer(ready_and_silent) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"closed within 0\.05 s"):
            await stream.close(timeout=0.05)
        assert await stream.cancel() is None
        assert await drain(stream) == []


async def test_cancel_is_bounded_and_then_resets() -> None:
    async with (
        h2_peer(ready_and_silent) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"closed within 0\.05 s"):
            await stream.cancel(timeout=0.05)
        with pytest.raises(RemoteMediaTimeoutError):
            await stream.send("src", tone())


def ready_and_silent(exchange: Exchange) -> None:
    """A service that opens sessions, and does not end them."""
    exchange.headers()
    if exchange.path.endswith("GetVersion"):
        exchange.message(bytes(VersionResponse(compatible=True)))
        exchange.trailers()
    else:
        exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))


# What each method does in each state, as the design has it.
OVER = "the session is over"
TABLE: dict[str, dict[str, object]] = {
    "enter": {
        "open": "entered already",
        "closing": "entered already",
        "cancelling": "entered already",
        "closed": OVER,
        "failed": OVER,
    },
    "send": {
        "new": "as a context manager",
        "open": None,
        "closing": "closed by you",
        "cancelling": "cancelled by you",
        "closed": OVER,
        "failed": "tired",
    },
    "iterate": {
        "new": "as a context manager",
        "open": TimeoutError,
        "closing": StopAsyncIteration,
        "cancelling": StopAsyncIteration,
        "closed": StopAsyncIteration,
        "failed": "tired",
    },
    "half_close": {
        "new": "as a context manager",
        **dict.fromkeys(("open", "closing", "cancelling", "closed", "failed")),
    },
    "close": {
        "new": "as a context manager",
        **dict.fromkeys(("open", "closing", "cancelling", "closed")),
        "failed": "tired",
    },
    "cancel": {
        "new": "as a context manager",
        **dict.fromkeys(("open", "closing", "cancelling", "closed", "failed")),
    },
}
TABLE["try_send"] = TABLE["send"]
TABLE["leave"] = {**dict.fromkeys(TABLE["cancel"])}


async def brought_to(state: str, stream: PipelineStream) -> None:
    if state != "new":
        await stream.__aenter__()
    if state == "closing":
        await stream.half_close()
    elif state == "cancelling":
        # Cut off in its first wait, it goes on cancelling.
        cancelling = asyncio.create_task(stream.cancel())
        await asyncio.sleep(0)
        cancelling.cancel()
        await asyncio.wait({cancelling})
    elif state == "closed":
        await stream.close()
    elif state == "failed":
        await stream.send("src", tone())
        with pytest.raises(RemoteMediaError):
            await anext(stream)


async def used(method: str, stream: PipelineStream) -> None:
    if method == "enter":
        await stream.__aenter__()
    elif method == "send":
        await stream.send("src", tone())
    elif method == "try_send":
        stream.try_send("src", tone())
    elif method == "iterate":
        await asyncio.wait_for(anext(stream), 0.05)
    elif method == "leave":
        await asyncio.wait_for(stream.__aexit__(None, None, None), 5)
    else:
        await getattr(stream, method)()


@pytest.mark.parametrize(
    ("method", "state"),
    [(method, state) for method, row in TABLE.items() for state in row],
)
async def test_each_method_in_each_state(method: str, state: str) -> None:
    outcome = TABLE[method][state]
    faults = [Fault.error("tired", at_chunk=0)] if state == "failed" else []
    async with (
        LocalService(faults=faults) as service,
        RemoteMediaClient(service.address) as client,
    ):
        stream = client.open_stream(PASS)
        await brought_to(state, stream)
        if outcome is None:
            await used(method, stream)
        elif isinstance(outcome, str):
            with pytest.raises(RemoteMediaError, match=outcome) as caught:
                await used(method, stream)
            assert caught.value.operation == "open_stream"
        else:
            expected = (
                asyncio.TimeoutError if outcome is TimeoutError else StopAsyncIteration
            )
            with pytest.raises(expected):
                await used(method, stream)
        await asyncio.wait_for(stream.__aexit__(None, None, None), 5)


async def test_an_error_ends_the_session() -> None:
    error = Fault.error("why", error_type=ErrorType.VALIDATION, at_chunk=1)
    async with (
        LocalService(faults=[error]) as service,
        RemoteMediaClient(service.address) as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone())
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0
        with pytest.raises(RemoteMediaError, match="why") as caught:
            await anext(stream)
        assert caught.value.error_type is ErrorType.VALIDATION
        assert caught.value.address == service.address


async def test_the_traceback_of_a_failure_does_not_grow() -> None:
    """A live source may go on sending: each raise says where it was raised last."""
    fault = Fault.error("why", at_chunk=0)
    depths = set()
    async with (
        LocalService(faults=[fault]) as service,
        RemoteMediaClient(service.address) as client,
        client.open_stream(PASS) as stream,
    ):
        await stream.send("src", tone())
        with pytest.raises(RemoteMediaError, match="why"):
            await anext(stream)
        for _ in range(3):
            with pytest.raises(RemoteMediaError, match="why") as caught:
                stream.try_send("src", tone())
            depths.add(len(caught.traceback))
    assert len(depths) == 1


async def test_the_service_goes_away(client: RemoteMediaClient, address: str) -> None:
    """Closing the client's connection is the nearest that both services offer."""
    async with client.open_stream(PASS) as stream:
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0
        await client.disconnect()
        with pytest.raises(RemoteMediaConnectionError, match="connection was closed"):
            await anext(stream)


async def test_opening_is_bounded() -> None:
    """A service that answers calls, and never a stream."""

    def script(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            exchange.headers()
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.2) as client,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"open within 0\.2 s"):
            async with client.open_stream(PASS):
                raise AssertionError("the session was open")


async def test_a_session_without_progress_is_bounded() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", idle_timeout=0.2) as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaTimeoutError, match=r"no progress for 0\.2 s"):
            await anext(stream)


async def test_a_session_that_is_refused_is_opened_again() -> None:
    """As by a service whose streams are all taken, or that is about to restart."""
    tries: list[str] = []

    def script(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            exchange.headers()
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
            return
        tries.append(exchange.path)
        if len(tries) == 1:
            exchange.reset(ErrorCodes.REFUSED_STREAM)
            return
        exchange.headers()
        exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        reset(client.open_stream(PASS)) as stream,
    ):
        await stream.send("src", tone())
        await until(lambda: stream.chunks_sent == 1)
    assert len(tries) == 2


async def test_try_send_raises_or_drops_where_there_is_no_room(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS, max_buffered_chunks=2) as stream:
        # Nothing leaves before this task lets the loop turn.
        for _ in range(2):
            stream.try_send("src", tone())
        with pytest.raises(RemoteMediaError, match="service is behind") as caught:
            stream.try_send("src", tone())
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        assert caught.value.retryable
        stream.try_send("src", tone(), when_full="drop_oldest")
        await stream.close()
        assert await drain(stream) == [0, 1]
        assert (stream.chunks_sent, stream.chunks_acknowledged) == (2, 2)
        assert stream.chunks_dropped == 1


async def test_waiting_for_a_result_can_be_cancelled_and_repeated(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for number in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
            await stream.send("src", tone())
            assert (await anext(stream)).sequence == number


# -- what is accepted can be sent


async def test_a_chunk_for_an_unknown_node_is_refused(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for send in (stream.send, stream.try_send):
            with pytest.raises(RemoteMediaError, match="its nodes are 'src'") as caught:
                await (send("elsewhere", tone()) or asyncio.sleep(0))
            assert caught.value.failing_node_id == "elsewhere"
            assert caught.value.error_type is ErrorType.VALIDATION
        with pytest.raises(TypeError, match="a node id must be a str, not int"):
            await stream.send(5, tone())  # type: ignore[arg-type]  # the mistake
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0


async def test_a_chunk_over_the_limit_is_refused(address: str) -> None:
    async with (
        RemoteMediaClient(address, max_send_bytes=8_000) as client,
        client.open_stream(PASS) as stream,
    ):
        with pytest.raises(RemoteMediaError, match="max_send_bytes") as caught:
            await stream.send("src", tone(2_000))
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        # As large as it may be, with what goes with the samples.
        await stream.send("src", tone(1_950))
        assert (await anext(stream)).sequence == 0


async def test_a_stream_with_a_source_takes_no_other_chunks(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS, [("src", tone())]) as stream:
        with pytest.raises(RemoteMediaError, match="takes its audio from audio_chunks"):
            await stream.send("src", tone())
        with pytest.raises(RemoteMediaError, match="takes its audio from audio_chunks"):
            stream.try_send("src", tone())
        assert await drain(stream) == [0]


async def test_a_typing_error_in_when_full(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        with pytest.raises(ValueError, match="it must be 'raise' or 'drop_oldest'"):
            stream.try_send("src", tone(), when_full="drop")  # type: ignore[arg-type]  # the mistake


# -- back-pressure


@pytest.mark.parametrize("bound", [0, -1])
async def test_no_chunk_may_be_in_flight(client: RemoteMediaClient, bound: int) -> None:
    with pytest.raises(ValueError, match="max_in_flight_chunks must be positive"):
        client.open_stream(PASS, max_in_flight_chunks=bound)


async def test_chunks_in_flight_are_bounded() -> None:
    arrived = 0

    def count(call: NodeCall) -> AudioBuffer | None:
        nonlocal arrived
        arrived += 1
        return call.audio

    async with (
        LocalService(nodes={"Count": count}) as service,
        RemoteMediaClient(service.address) as client,
        reset(
            client.open_stream(
                pipeline("src", "Count"), max_in_flight_chunks=3, max_buffered_chunks=2
            )
        ) as stream,
    ):
        for _ in range(5):
            await asyncio.wait_for(stream.send("src", tone()), 5)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.send("src", tone()), 0.05)
        with pytest.raises(RemoteMediaError, match="the service is behind"):
            stream.try_send("src", tone())
        assert (stream.chunks_sent, arrived) == (3, 3)
        # Reading an answer makes room for one more.
        await anext(stream)
        await asyncio.wait_for(stream.send("src", tone()), 5)
        await until(lambda: stream.chunks_sent == 4)


async def test_a_source_is_asked_when_its_chunk_may_be_sent(
    client: RemoteMediaClient,
) -> None:
    asked = 0

    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        nonlocal asked
        for _ in range(20):
            asked += 1
            yield "src", tone()

    results = client.stream_pipeline(PASS, audio(), max_in_flight_chunks=2)
    received = 0
    async for _ in results:
        received += 1
        assert asked <= received + 2
    assert received == 20


async def test_closing_goes_on_where_chunks_in_flight_are_bounded(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS, max_in_flight_chunks=1) as stream:
        for _ in range(10):
            stream.try_send("src", tone())
        await stream.close()
        assert await drain(stream) == list(range(10))
    async with client.open_stream(PASS, max_in_flight_chunks=1) as stream:
        for _ in range(10):
            stream.try_send("src", tone())
        await stream.cancel()
        assert stream.chunks_sent + stream.chunks_dropped == 10


# -- threads and loops


async def test_chunks_come_from_the_thread_of_an_audio_device(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS, max_buffered_chunks=100) as stream:

        def callback() -> None:
            for _ in range(50):
                stream.try_send("src", tone(160))

        device = threading.Thread(target=callback)
        device.start()
        for number in range(50):
            assert (await anext(stream)).sequence == number
        device.join()


async def test_other_methods_belong_to_their_loop(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:

        def elsewhere(method: str, *arguments: object) -> str:
            async def use() -> str:
                with pytest.raises(RemoteMediaError) as caught:
                    await getattr(stream, method)(*arguments)
                assert caught.value.error_type is ErrorType.VALIDATION
                return str(caught.value)

            return asyncio.run(use())

        for method, *arguments in (
            ("send", "src", tone()),
            ("half_close",),
            ("close",),
            ("cancel",),
            ("__anext__",),
        ):
            text = await asyncio.to_thread(elsewhere, method, *arguments)
            assert "belongs to another event loop" in text
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0


# -- what services answer


def answering(*responses: StreamResponse) -> Callable[[Exchange], None]:
    """A service that opens a session, answers this at once, and ends the call."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
        else:
            for response in responses:
                exchange.message(bytes(response))
        exchange.trailers()

    return script


async def test_results_before_ready_are_delivered() -> None:
    loading = StreamResponse(result=ChunkResult(data_outputs={"_status": '"loading"'}))
    ready = StreamResponse(ready=StreamReady(session_id="s"))
    async with (
        h2_peer(answering(loading, loading, ready)) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        results = [chunk.json("_status") async for chunk in stream]
        assert results == ["loading", "loading"]
        assert (stream.chunks_acknowledged, stream.round_trip_ms) == (0, None)


async def test_results_before_ready_are_kept_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = StreamResponse(result=ChunkResult(data_outputs={"src": '"early"'}))
    kept_bytes = len(early.result) + _RESULT_OVERHEAD_BYTES
    monkeypatch.setattr(stream_module, "MAX_UNREAD_BYTES", 3 * kept_bytes)
    ready = StreamResponse(ready=StreamReady(session_id="s"))
    async with (
        h2_peer(answering(*[early] * 3, ready)) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        assert len([chunk async for chunk in stream]) == 3
    async with (
        h2_peer(answering(*[early] * 4, ready)) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        with pytest.raises(RemoteMediaError, match="before the session") as caught:
            await client.open_stream(PASS).__aenter__()
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT


async def test_another_attempt_to_open_begins_with_nothing() -> None:
    early = StreamResponse(result=ChunkResult(data_outputs={"src": '"early"'}))
    ready = StreamResponse(ready=StreamReady(session_id="s"))
    attempts: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        if exchange.path.endswith("GetVersion"):
            return answering()(exchange)
        attempts.append(exchange)
        if len(attempts) > 1:
            return answering(early, ready)(exchange)
        exchange.headers()
        exchange.message(bytes(early))
        return exchange.trailers(Status.UNAUTHENTICATED.value)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", token=lambda: "t") as client,
        client.open_stream(PASS) as stream,
    ):
        assert len([chunk async for chunk in stream]) == 1
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("sequences", "acknowledged"),
    [([], 0), ([0, 0, 1, 1, 2], 3), ([2, 2], 1), ([0, 2], 2)],
)
async def test_none_one_or_several_results_for_a_chunk(
    sequences: list[int], acknowledged: int
) -> None:
    """The counters say how many chunks were answered."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            exchange.message(bytes(VersionResponse(compatible=True)))
            exchange.trailers()
        else:
            exchange.message(bytes(StreamResponse(ready=StreamReady(session_id="s"))))
            exchanges.append(exchange)

    exchanges: list[Exchange] = []
    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        for _ in range(3):
            await stream.send("src", tone(16))
        await until(lambda: stream.chunks_sent == 3)
        for sequence in sequences:
            result = ChunkResult(sequence=sequence)
            exchanges[0].message(bytes(StreamResponse(result=result)))
        exchanges[0].message(bytes(StreamResponse(closed=StreamClosed())))
        exchanges[0].trailers()
        exchanges[0].flush()
        assert await drain(stream) == sequences
        assert stream.chunks_acknowledged == acknowledged


async def test_unread_results_are_kept_up_to_a_limit(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stream_module,
        "MAX_UNREAD_BYTES",
        5 * (len(tone()) + _RESULT_OVERHEAD_BYTES) + 500,
    )
    async with RemoteMediaClient(local.address) as client:
        async with client.open_stream(PASS) as stream:
            for _ in range(5):
                await stream.send("src", tone())
            await stream.close()
            assert await drain(stream) == list(range(5))
        async with client.open_stream(PASS) as stream:
            for _ in range(6):
                await stream.send("src", tone())
            with pytest.raises(RemoteMediaError, match="nobody reads") as caught:
                await stream.close()
            assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        # What is discarded is not kept.
        async with client.open_stream(PASS) as stream:
            for _ in range(20):
                await stream.send("src", tone())
        assert stream.closed is not None


async def test_what_is_unread_counts_whatever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        stream_module, "MAX_UNREAD_BYTES", 5 * (1000 + _RESULT_OVERHEAD_BYTES) + 500
    )
    async with (
        LocalService(contract="data") as service,
        RemoteMediaClient(service.address, contract="data") as client,
        client.open_stream(PASS) as stream,
    ):
        for _ in range(6):
            await stream.send("src", bytes(1000))
        with pytest.raises(RemoteMediaError, match="nobody reads") as caught:
            await stream.close()
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT


async def test_a_deadline_counts_from_the_call(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        stream = client.open_stream(PASS, timeout=0.05)
        await asyncio.sleep(0.06)
        with pytest.raises(RemoteMediaTimeoutError, match="before the call began"):
            await stream.__aenter__()
        assert core.streaming.running == 0
