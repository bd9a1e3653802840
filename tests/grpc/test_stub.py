"""Calls with one response, over the bare stubs.

Peers here are scripts of HTTP/2 frames, so that every way a call can end is driven
exactly.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import pickle
from typing import Any

import grpclib.client
import h2.events
import pytest
from grpclib.const import Status
from grpclib.metadata import Deadline
from h2.errors import ErrorCodes

from remotemedia.grpc import CallError, Channel, ResponseMetadata
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    VersionRequest,
    VersionResponse,
)
from tests.support.calls import READY, VERSION, failing, stream, stub, unary
from tests.support.peers import GRPC_HEADERS, Exchange, Script, h2_peer, tcp_peer


async def test_a_proper_answer() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    assert (await unary(script)).compatible


async def test_an_answer_in_small_pieces() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        framed = b"\0" + len(VERSION).to_bytes(4, "big") + VERSION
        exchange.data(b"")
        for byte in framed:
            exchange.data(bytes([byte]))
            exchange.data(b"")
        exchange.trailers()

    assert (await unary(script)).compatible


async def test_an_empty_message() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(b"")
        exchange.trailers()

    assert await unary(script) == VersionResponse()


async def test_a_status_with_details() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers(
            3, ("grpc-message", "na%C3%AFve"), ("grpc-status-details-bin", "AAEC")
        )

    error = await failing(script)
    assert error.status is Status.INVALID_ARGUMENT
    assert (error.message, error.details) == ("naïve", b"\0\1\2")
    assert not error.unprocessed


async def test_a_status_in_the_headers() -> None:
    error = await failing(
        lambda exchange: exchange.headers(
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            ("grpc-message", "who"),
            end=True,
        )
    )
    assert (error.status, error.message) == (Status.UNAUTHENTICATED, "who")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds or None"),
        ({"timeout": 0}, ValueError, "timeout must be positive, got 0"),
        ({"idle_timeout": "5"}, TypeError, "idle_timeout must be a number of seconds"),
        ({"max_send_bytes": "1"}, TypeError, "max_send_bytes must be an int, got '1'"),
        ({"max_receive_bytes": 0}, ValueError, "max_receive_bytes must be positive"),
    ],
)
async def test_an_argument_that_makes_no_sense(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        PipelineExecutionServiceStub(Channel("localhost:1"), **arguments)


@pytest.mark.parametrize("timeout", ["5", b"5"])
async def test_a_connect_timeout_is_a_number(timeout: Any) -> None:
    with pytest.raises(TypeError, match="connect_timeout must be a number of seconds"):
        Channel("localhost:1", connect_timeout=timeout)


@pytest.mark.parametrize("text", ["!!!", "A"])
async def test_details_that_are_not_base64(text: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers(13, ("grpc-status-details-bin", text))

    error = await failing(script)
    assert (error.status, error.details) == (Status.INTERNAL, None)


@pytest.mark.parametrize("status", ["99", "-1", "x", ""])
async def test_a_status_that_is_none(status: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers(status)

    assert (await failing(script)).status is Status.UNKNOWN


async def test_ok_without_a_message() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers()

    error = await failing(script)
    assert error.status is Status.UNIMPLEMENTED
    assert "without a message" in str(error.message)


async def test_more_than_one_message() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION, VERSION)
        exchange.trailers()

    error = await failing(script)
    assert error.status is Status.UNIMPLEMENTED
    assert "more than one message" in str(error.message)


async def test_a_message_and_then_an_error() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers(8)

    assert (await failing(script)).status is Status.RESOURCE_EXHAUSTED


async def test_the_end_in_the_middle_of_a_message() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.data(b"\0\0\0\0\x09abc")
        exchange.trailers()

    error = await failing(script)
    assert "in the middle of a message" in str(error.message)


async def test_the_end_without_a_status() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.data(b"", end=True)

    error = await failing(script)
    assert error.status is Status.UNKNOWN
    assert "without a status" in str(error.message)


async def test_bytes_that_are_no_message() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(b"\x0a\xff")
        exchange.trailers()

    error = await failing(script)
    assert error.status is Status.INTERNAL
    assert "could not be decoded" in str(error.message)
    assert isinstance(error.__cause__, ValueError)


GZIP_HEADERS = [*GRPC_HEADERS, ("grpc-encoding", "gzip")]


async def test_a_compressed_response() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GZIP_HEADERS)
        exchange.message(gzip.compress(VERSION), flag=1)
        exchange.trailers()

    assert (await unary(script)).compatible


async def test_messages_of_a_compressed_stream_may_be_plain() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GZIP_HEADERS)
        exchange.message(gzip.compress(READY), flag=1)
        exchange.message(READY)
        exchange.trailers()

    received, error = await stream(script)
    assert [bytes(response) for response in received] == [READY, READY]
    assert error is None


@pytest.mark.parametrize("encoding", [None, "identity", "br", "snappy"])
async def test_a_message_with_a_compression_that_was_not_agreed(
    encoding: str | None,
) -> None:
    def script(exchange: Exchange) -> None:
        said = [] if encoding is None else [("grpc-encoding", encoding)]
        exchange.headers(*GRPC_HEADERS, *said)
        exchange.message(gzip.compress(VERSION), flag=1)
        exchange.trailers()

    error = await failing(script)
    assert error.status is Status.INTERNAL
    assert "compressed" in str(error.message)


async def test_a_message_with_a_flag_that_is_none() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION, flag=2)
        exchange.trailers()

    error = await failing(script)
    assert error.status is Status.INTERNAL
    assert "the flag 2" in str(error.message)


async def test_a_response_over_the_limit_is_refused_before_it_is_expanded() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GZIP_HEADERS)
        exchange.message(gzip.compress(bytes(100_000)), flag=1)

    error = await failing(script, max_receive_bytes=10_000)
    assert error.status is Status.RESOURCE_EXHAUSTED
    assert "over the limit of 10000 bytes" in str(error.message)


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_compressed_request(is_connected: bool) -> None:
    log: list[h2.events.Event] = []

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    async with (
        h2_peer(script, log) as port,
        stub(PipelineExecutionServiceStub, port, compression="gzip") as service,
    ):
        if is_connected:
            await service.get_version(VersionRequest(), compression="identity")
            log.clear()
        request = VersionRequest(client_version="v" * 1000)
        await service.get_version(request)
        # It would not become smaller.
        await service.get_version(VersionRequest(client_version="v"))
    sent = [bytes(e.data) for e in log if isinstance(e, h2.events.DataReceived)]
    first, second = (body for body in sent if body)
    assert first[0] == 1
    assert int.from_bytes(first[1:5], "big") == len(first) - 5 < 100
    assert gzip.decompress(first[5:]) == bytes(request)
    assert second[:5] == b"\0\0\0\0\x03"
    for event in log:
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            assert headers["grpc-encoding"] == "gzip"  # type: ignore[index, comparison-overlap]  # header_encoding makes them str


async def test_a_compression_that_there_is_not() -> None:
    wrong: Any = "br"
    with pytest.raises(ValueError, match="must be 'gzip' or 'identity', got 'br'"):
        PipelineExecutionServiceStub(Channel("localhost:1"), compression=wrong)
    service = PipelineExecutionServiceStub(Channel("localhost:1"))
    with pytest.raises(ValueError, match="must be 'gzip' or 'identity', got 'br'"):
        await service.get_version(VersionRequest(), compression=wrong)


HEADERS = [*GRPC_HEADERS, ("x-served-by", "a"), ("x-served-by", "b"), ("id-bin", "AAE")]
TRAILERS = [("x-cost", "3"), ("sum-bin", "/w==")]


async def test_the_metadata_of_a_response() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*HEADERS)
        exchange.message(VERSION)
        exchange.trailers(0 if exchange.stream_id == 1 else 5, *TRAILERS)

    received, again = ResponseMetadata(), ResponseMetadata()
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        await service.get_version(VersionRequest(), response_metadata=received)
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), response_metadata=again)
    assert received.headers.getall("x-served-by") == ["a", "b"]
    assert received.headers.get("id-bin") == b"\0\1"
    assert received.trailers == (("x-cost", "3"), ("sum-bin", b"\xff"))
    error = caught.value
    assert (again.headers, again.trailers) == (received.headers, received.trailers)
    assert (error.headers, error.trailers) == (received.headers, received.trailers)


def _reset(exchange: Exchange) -> None:
    exchange.headers(*HEADERS)
    exchange.reset(ErrorCodes.INTERNAL_ERROR)


def _lost(exchange: Exchange) -> None:
    exchange.headers(*HEADERS)
    exchange.hang_up()


def _too_large(exchange: Exchange) -> None:
    exchange.headers(*HEADERS)
    exchange.data(b"\0" + (2**31).to_bytes(4, "big"))


def _no_message(exchange: Exchange) -> None:
    exchange.headers(*HEADERS)
    exchange.trailers()


def _bad_message(exchange: Exchange) -> None:
    exchange.headers(*HEADERS)
    exchange.message(b"\x0a\xff")


def _proxy(exchange: Exchange) -> None:
    exchange.headers((":status", "503"), *HEADERS[1:], end=True)


@pytest.mark.parametrize(
    "script", [_reset, _lost, _too_large, _no_message, _bad_message, _proxy]
)
async def test_every_error_has_the_headers(script: Script) -> None:
    error = await failing(script)
    assert error.headers.getall("x-served-by") == ["a", "b"]
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.headers) == (error.status, error.headers)


async def test_an_error_before_any_header_has_none() -> None:
    error = await failing(lambda exchange: exchange.hang_up())
    assert (error.headers, error.trailers) == ((), ())


async def test_the_only_block_of_a_response_is_its_trailers() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*HEADERS, ("grpc-status", "5"), end=True)

    error = await failing(script)
    assert error.status is Status.NOT_FOUND
    assert error.headers == ()
    assert error.trailers.getall("x-served-by") == ["a", "b"]


@pytest.mark.parametrize(
    "headers",
    [
        [(":status", "200")],
        [(":status", "503"), ("content-type", "text/html")],
        [(":status", "200"), ("content-type", "text/plain")],
    ],
)
async def test_a_status_in_the_only_block_counts_whatever_else_is_there(
    headers: list[tuple[str, str]],
) -> None:
    def script(exchange: Exchange) -> None:
        said = [("grpc-status", "7"), ("grpc-message", "not%20you")]
        exchange.headers(*headers, *said, end=True)

    error = await failing(script)
    assert (error.status, error.message) == (Status.PERMISSION_DENIED, "not you")


async def test_a_status_in_the_trailers_counts_whatever_the_headers_say() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers((":status", "502"), ("content-type", "text/html"))
        exchange.trailers(7)

    assert (await failing(script)).status is Status.PERMISSION_DENIED


async def test_a_status_in_the_headers_of_a_response_with_a_body_does_not_count() -> (
    None
):
    def script(exchange: Exchange) -> None:
        exchange.headers(*GRPC_HEADERS, ("grpc-status", "7"))
        exchange.message(VERSION)
        exchange.trailers(ends.pop())

    ends = [5, 0]
    assert (await unary(script)).compatible
    assert (await failing(script)).status is Status.NOT_FOUND


async def test_a_body_without_trailers_has_no_status() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GRPC_HEADERS, ("grpc-status", "0"))
        exchange.message(VERSION)
        exchange.data(b"", end=True)

    error = await failing(script)
    assert error.status is Status.UNKNOWN
    assert "without a status" in str(error.message)


async def test_a_response_over_the_limit_is_refused_by_its_length() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.data(b"\0" + (2**31).to_bytes(4, "big"))

    error = await failing(script, max_receive_bytes=1000)
    assert error.status is Status.RESOURCE_EXHAUSTED
    assert "2147483648 bytes, over the limit of 1000" in str(error.message)


@pytest.mark.parametrize(
    ("http_status", "status"),
    [
        ("404", Status.UNIMPLEMENTED),
        ("503", Status.UNAVAILABLE),
        ("302", Status.UNKNOWN),
    ],
)
async def test_a_proxy_answers(http_status: str, status: Status) -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers((":status", http_status), ("content-type", "text/html"))
        # Read as a length prefix, this asks for gigabytes.
        exchange.data(b"<html>no</html>", end=True)

    error = await failing(script)
    assert error.status is status
    assert f"HTTP status {http_status}" in str(error.message)


async def test_another_content_type() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers((":status", "200"), ("content-type", "text/html"))
        exchange.data(b"hello", end=True)

    assert "'text/html'" in str((await failing(script)).message)


@pytest.mark.parametrize(
    ("code", "status", "unprocessed"),
    [
        (ErrorCodes.CANCEL, Status.CANCELLED, False),
        (ErrorCodes.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED, False),
        (ErrorCodes.INTERNAL_ERROR, Status.INTERNAL, False),
        (ErrorCodes.NO_ERROR, Status.INTERNAL, False),
    ],
)
async def test_a_reset(code: ErrorCodes, status: Status, unprocessed: bool) -> None:
    error = await failing(lambda exchange: exchange.reset(code))
    assert (error.status, error.unprocessed) == (status, unprocessed)


async def test_a_lost_connection() -> None:
    error = await failing(lambda exchange: exchange.hang_up())
    assert error.status is Status.UNAVAILABLE
    assert not error.unprocessed


@pytest.mark.parametrize(
    "junk",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"\0" * 99],
)
async def test_a_peer_that_does_not_speak_http2(junk: bytes) -> None:
    async with (
        tcp_peer(junk) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError, match="is it a gRPC service") as caught:
            await service.get_version(VersionRequest())
    assert caught.value.status is Status.UNAVAILABLE


async def test_a_peer_that_says_nothing() -> None:
    async with (
        h2_peer(lambda exchange: None) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError, match=r"not done within 0\.05 s") as caught:
            await service.get_version(VersionRequest(), timeout=0.05)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        with pytest.raises(CallError, match="not done within"):
            await service.get_version(
                VersionRequest(), deadline=Deadline.from_timeout(0.05)
            )


async def test_a_short_timeout_is_told_in_full() -> None:
    async with (
        h2_peer(lambda exchange: None) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError, match=r"the deadline|not done within") as caught:
            await service.get_version(VersionRequest(), timeout=0.001)
        assert "within 0 s" not in str(caught.value)


async def test_the_deadline_goes_to_the_peer() -> None:
    log: list[h2.events.Event] = []
    async with (
        h2_peer(lambda exchange: exchange.headers(end=True), log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        for timeout in (2.0, math.inf):
            with pytest.raises(CallError):
                await service.get_version(VersionRequest(), timeout=timeout)
    sent = [str(e.headers) for e in log if isinstance(e, h2.events.RequestReceived)]
    assert ["grpc-timeout" in headers for headers in sent] == [True, False]


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
async def test_a_timeout_that_makes_no_sense(timeout: float) -> None:
    async with stub(PipelineExecutionServiceStub, 1) as service:
        with pytest.raises(ValueError, match="timeout must be positive"):
            await service.get_version(VersionRequest(), timeout=timeout)


async def test_the_cancellation_count_stays_right() -> None:
    """A caught failure leaves nothing that a later cancellation would trip over."""
    task = asyncio.current_task()
    assert task is not None
    await failing(lambda exchange: exchange.hang_up())
    await failing(lambda exchange: exchange.reset(ErrorCodes.INTERNAL_ERROR))
    # New in Python 3.11.
    cancelling = getattr(task, "cancelling", lambda: 0)
    assert cancelling() == 0


async def test_cancelling_a_call_resets_it() -> None:
    log: list[h2.events.Event] = []
    arrived = asyncio.Event()
    async with (
        h2_peer(lambda exchange: arrived.set(), log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        task = asyncio.create_task(service.get_version(VersionRequest()))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
    resets = [e for e in log if isinstance(e, h2.events.StreamReset)]
    assert [reset.error_code for reset in resets] == [ErrorCodes.CANCEL]


async def test_a_channel_of_another_make() -> None:
    channel = grpclib.client.Channel("127.0.0.1", 1)
    with pytest.raises(TypeError, match=r"grpclib\.client\.Channel; make one with"):
        PipelineExecutionServiceStub(channel)  # type: ignore[arg-type]  # the mistake


async def test_a_request_that_is_no_message_is_refused() -> None:
    async with LocalService() as service, Channel(service.address) as channel:
        stub = PipelineExecutionServiceStub(channel)
        with pytest.raises(TypeError, match="GetVersion is a str; it must be a gen"):
            await stub.get_version("v1")  # type: ignore[arg-type]  # the mistake
