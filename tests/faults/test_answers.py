"""What a peer can answer: each way to end a call, right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, suppress

import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hyperframe.frame import (
    RstStreamFrame,
)

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import CallError
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    VersionRequest,
)
from tests.faults.tools import drained, endless, is_version, no_audio, result
from tests.support.calls import READY, channel_of, no_input, stub
from tests.support.peers import Exchange, Script, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.waiting import GUARD_S, until

# -- results that arrive before an error


def _bad_sequence(exchange: Exchange) -> None:
    exchange.message(result(7))


ENDS: dict[str, Script] = {
    "status": lambda e: e.trailers(13, ("grpc-message", "Node n: broke")),
    "no status": lambda e: e.data(b"", end=True),
    "reset": lambda e: e.reset(ErrorCodes.INTERNAL_ERROR),
    "cancel": lambda e: e.reset(ErrorCodes.CANCEL),
    "goaway": lambda e: (e.announce_end(e.stream_id), e.hang_up()),  # type: ignore[dict-item,func-returns-value]  # two steps
    "goaway, refused": lambda e: e.announce_end(0),
    "goaway, error": lambda e: (e.go_away(ErrorCodes.PROTOCOL_ERROR), e.hang_up()),  # type: ignore[dict-item,func-returns-value]  # two steps
    "lost": lambda e: e.hang_up(),
    "abort": lambda e: (e.flush(), e.transport.abort()),  # type: ignore[dict-item,func-returns-value]  # two steps
    "junk": lambda e: e.data(b"\1\0\0\0\0"),
    "no message": lambda e: e.message(b"\xff"),
    "too large": lambda e: e.data(b"\0\xff\xff\xff\xff"),
    "truncated": lambda e: e.data(b"\0\0\0\0\7abc", end=True),
    "bad trailers": lambda e: e.trailers("nine"),
    "bad sequence": _bad_sequence,
    "no response": lambda e: e.message(b""),
    "ready again": lambda e: e.message(READY),
    # A PING on a stream is a protocol error.
    "bad frame": lambda e: e.transport.write(b"\0\0\x08\6\0\0\0\0\1" + bytes(8)),
}
ends = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


@ends
@pytest.mark.parametrize("reading", ["at once", "later"])
async def test_results_before_an_error_are_delivered(end: Script, reading: str) -> None:
    exchanges: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            exchanges.append(exchange)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS) as stream,
    ):
        for _ in range(5):
            await stream.send("src", tone(160))
        await until(lambda: stream.chunks_sent == 5)
        exchanges[0].message(*[result(number) for number in range(5)])
        exchanges[0].flush()
        # h2 drops what arrives in the same packet as a broken frame.
        await asyncio.sleep(0.01)
        end(exchanges[0])
        if not exchanges[0].transport.is_closing():
            exchanges[0].flush()
        if reading == "later":
            await asyncio.sleep(0.02)
        received: list[int] = []
        with pytest.raises(RemoteMediaError) as caught:
            await drained(stream, received)
        assert received == list(range(5))
        # Reading again, and sending, fail in the same way.
        for _ in range(2):
            with pytest.raises(RemoteMediaError) as again:
                await asyncio.wait_for(anext(stream), GUARD_S)
            assert str(again.value) == str(caught.value)
        with pytest.raises(RemoteMediaError) as sending:
            await asyncio.wait_for(stream.send("src", tone(160)), GUARD_S)
        assert str(sending.value) == str(caught.value)
        assert (caught.value.operation, caught.value.address) == (
            "open_stream",
            f"127.0.0.1:{port}",
        )
        assert caught.value.request_id
        assert not caught.value.retryable


async def test_a_session_that_the_service_ends_wakes_a_sender() -> None:
    """A sender that waits for room gets the actual error."""
    exchanges: list[Exchange] = []

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            exchanges.append(exchange)

    async with (
        h2_peer(script, takes_data=False) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
        client.open_stream(PASS, max_buffered_chunks=2) as stream,
    ):

        async def send_on() -> None:
            while True:
                await stream.send("src", tone(16_000))

        senders = [asyncio.create_task(send_on()) for _ in range(3)]
        await asyncio.sleep(0.05)
        exchanges[0].trailers(8, ("grpc-message", "no more of it"))
        exchanges[0].flush()
        for error in await asyncio.wait_for(
            asyncio.gather(*senders, return_exceptions=True), GUARD_S
        ):
            assert isinstance(error, RemoteMediaError)
            assert error.message == "no more of it"


async def test_results_before_the_deadline_can_still_be_read() -> None:
    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)
            asyncio.get_running_loop().call_later(0.02, answer, exchange)

    def answer(exchange: Exchange) -> None:
        exchange.message(*[result(number) for number in range(3)])
        exchange.flush()

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        received: list[int] = []
        results = client.stream_pipeline(PASS, endless(), timeout=0.1)
        with pytest.raises(RemoteMediaTimeoutError):
            await drained(results, received, pause=0.05)
        assert received == [0, 1, 2]


@pytest.mark.parametrize("bound", ["deadline", "idle"])
async def test_a_slow_reader_does_not_fail_a_call_that_ended_in_time(
    bound: str,
) -> None:
    """The deadline is over when the response is read, but not when it arrived."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY, READY)
        exchange.trailers()

    options = {"idle_timeout": 1} if bound == "idle" else {}
    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port, **options) as service,
    ):
        received = 0
        async for _ in service.stream_pipeline(
            no_input(), timeout=1.0 if bound == "deadline" else None
        ):
            received += 1
            await asyncio.sleep(0.6)
        assert received == 2


async def test_the_idle_timeout_does_not_count_the_readers_own_time() -> None:
    """The peer made progress. Only the reader was slow."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        asyncio.get_running_loop().create_task(answer(exchange))

    async def answer(exchange: Exchange) -> None:
        for _ in range(6):
            exchange.message(READY)
            exchange.flush()
            await asyncio.sleep(0.03)
        exchange.trailers()
        exchange.flush()

    async with (
        h2_peer(script) as port,
        stub(StreamingPipelineServiceStub, port, idle_timeout=0.1) as service,
    ):
        received = 0
        async for _ in service.stream_pipeline(no_input()):
            received += 1
            if received == 1:
                await asyncio.sleep(0.2)
        assert received == 6


# -- resets and statuses


@pytest.mark.parametrize("code", [*ErrorCodes, 0x2A, 0xFFFFFFFF])
async def test_a_reset_of_every_kind(code: int) -> None:
    def script(exchange: Exchange) -> None:
        if exchange.stream_id == 1:
            exchange.frame(RstStreamFrame(exchange.stream_id, error_code=code))
        else:
            is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        if code == ErrorCodes.REFUSED_STREAM:
            # The call was certainly not processed, so it is repeated.
            assert (await service.get_version(VersionRequest())).compatible
            return
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest())
        assert not caught.value.unprocessed
        assert str(int(code)) in str(caught.value.message)
        assert (await service.get_version(VersionRequest())).compatible


@pytest.mark.parametrize("status", [status for status in Status if status.value])
async def test_every_status_becomes_an_error(status: Status) -> None:
    def script(exchange: Exchange) -> None:
        if exchange.stream_id == 1:
            is_version(exchange)
            return
        exchange.headers()
        exchange.trailers(
            status.value,
            ("grpc-message", "why %E2%82%AC"),
            ("grpc-status-details-bin", "3q2+7w"),
        )

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        with pytest.raises(RemoteMediaError, match="why €") as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        error = caught.value
        assert (error.status, error.details) == (status, b"\xde\xad\xbe\xef")
        # The service may have processed it.
        assert not error.retryable
        assert isinstance(error, TimeoutError) == (status is Status.DEADLINE_EXCEEDED)
        assert isinstance(error, ConnectionError) == (status is Status.UNAVAILABLE)


async def test_a_status_that_imitates_an_error_of_the_client() -> None:
    """The text of a status does not decide whether the call is retryable."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.trailers(14, ("grpc-message", "no connection: refused"))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        with pytest.raises(RemoteMediaConnectionError) as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        assert not caught.value.retryable


# -- races


@pytest.mark.parametrize("end", ["answer", "reset", "lost"])
async def test_the_deadline_and_the_end_at_the_same_time(end: str) -> None:
    """The outcome is either what the peer sent, or the timeout."""

    def script(exchange: Exchange) -> None:
        if exchange.stream_id == 1 and not warm:
            warm.append(True)
            is_version(exchange)
            return
        asyncio.get_running_loop().call_later(0.01, finish, exchange)

    def finish(exchange: Exchange) -> None:
        try:
            if end == "answer":
                is_version(exchange)
            elif end == "reset":
                exchange.reset(ErrorCodes.INTERNAL_ERROR)
            else:
                exchange.hang_up()
            exchange.flush()
        except (ProtocolError, KeyError, RuntimeError):
            # The client has already reset the stream, or closed the connection.
            pass

    warm: list[bool] = []
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        await service.get_version(VersionRequest())
        for number in range(20):
            timeout = 0.009 + number * 0.0001
            try:
                answer = await service.get_version(VersionRequest(), timeout=timeout)
            except CallError as error:
                assert error.status in (  # noqa: PT017 - either outcome is right
                    Status.DEADLINE_EXCEEDED,
                    Status.INTERNAL,
                    Status.UNAVAILABLE,
                )
            else:
                assert answer.compatible


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_service_that_ends_an_expired_call_first(is_stream: bool) -> None:
    """As tonic does: with CANCELLED, without a content type, about at the deadline."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            delay_s = 0.02 + 0.0005 * (exchange.stream_id % 3)
            asyncio.get_running_loop().call_later(delay_s, expire, exchange)

    def expire(exchange: Exchange) -> None:
        with suppress(ProtocolError, KeyError, RuntimeError):
            exchange.headers(
                (":status", "200"),
                ("grpc-status", "1"),
                ("grpc-message", "Timeout%20expired"),
                end=True,
            )
            exchange.flush()

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        for _ in range(9):
            call: Awaitable[object] = (
                anext(client.stream_pipeline(PASS, no_audio(), timeout=0.02))
                if is_stream
                else client.execute_pipeline(PASS, timeout=0.02)
            )
            with pytest.raises(RemoteMediaTimeoutError):
                await call


async def test_a_stream_without_progress_on_either_side_fails() -> None:
    async def silent() -> AsyncIterator[StreamRequest]:
        await asyncio.Event().wait()
        yield StreamRequest()

    async with (
        h2_peer(lambda exchange: exchange.headers()) as port,
        stub(StreamingPipelineServiceStub, port, idle_timeout=0.05) as service,
        aclosing(service.stream_pipeline(silent())) as responses,
    ):
        with pytest.raises(CallError, match="no progress"):
            await asyncio.wait_for(anext(responses), GUARD_S)


async def test_an_idle_source_is_not_bounded_by_the_clients_timeout() -> None:
    """The client's timeout bounds opening. Only the call's own bounds the session."""

    def script(exchange: Exchange) -> None:
        if not is_version(exchange):
            exchange.headers()
            exchange.message(READY)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.05) as client,
    ):
        results = client.stream_pipeline(PASS, no_audio(), timeout=0.2)
        with pytest.raises(RemoteMediaTimeoutError, match=r"within 0\.2 s"):
            await anext(results)


async def test_a_message_that_is_not_ascii_ends_only_its_own_call() -> None:
    """A status message must be percent-encoded; some services send UTF-8."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        if exchange.path.endswith("GetVersion"):
            trailers = [(b"grpc-status", b"13"), (b"grpc-message", "café".encode())]
            exchange.connection.send_headers(
                exchange.stream_id, trailers, end_stream=True
            )
        else:
            exchange.message(READY)
            streams.append(exchange)

    streams: list[Exchange] = []
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as versions,
    ):
        streaming = StreamingPipelineServiceStub(channel_of(versions))
        async with aclosing(streaming.stream_pipeline(no_input())) as responses:
            await anext(responses)
            with pytest.raises(CallError, match="caf") as caught:
                await versions.get_version(VersionRequest())
            assert caught.value.status is Status.INTERNAL
            streams[0].message(result(1))
            streams[0].flush()
            assert (await anext(responses)).result is not None
