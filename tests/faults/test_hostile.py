"""A hostile or broken peer costs no more than its connection, or one call on it.

Each test is one thing that a peer did. Meanwhile a stream on another connection goes
on, no turn of the event loop is long, and the memory stays as it is. The guards are
about ten times what is reached.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import chain, repeat

import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia import AudioBuffer, RemoteMediaClient
from remotemedia.grpc import CallError
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    VersionRequest,
)
from tests.support.calls import VERSION, no_input, stub
from tests.support.pipelines import PASS, tone
from tests.support.raw import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RESPONSE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawConnection,
    RawPeer,
    answer,
    frame,
    message,
    raw_peer,
    watched,
)
from tests.support.waiting import until

MOST_TURN_S = 0.25
MOST_GROWN_BYTES = 32 * 1024 * 1024


@asynccontextmanager
async def bystander() -> AsyncIterator[None]:
    """Stream on another connection, and check that the stream goes on to the end."""
    received = 0

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        while True:
            yield "src", tone(160)
            await asyncio.sleep(0.005)

    async with LocalService() as service, RemoteMediaClient(service.address) as client:

        async def run() -> None:
            nonlocal received
            async with aclosing(client.stream_pipeline(PASS, source())) as results:
                async for _ in results:
                    received += 1

        running = asyncio.create_task(run())
        await until(lambda: received)
        try:
            yield
            now = received
            await until(lambda: received > now or running.done())
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait({running})


@asynccontextmanager
async def suffering(
    on_request: Callable[[RawConnection, int], None],
    greeting: bytes = frame(SETTINGS),
) -> AsyncIterator[tuple[RawPeer, PipelineExecutionServiceStub]]:
    """Run a hostile peer, and check what it does to everyone else."""
    async with (
        bystander(),
        raw_peer(on_request, greeting) as peer,
        stub(PipelineExecutionServiceStub, peer.port) as service,
    ):
        async with watched() as watch:
            yield peer, service
        assert watch.longest_turn_s < MOST_TURN_S
        assert watch.grown_bytes < MOST_GROWN_BYTES


# -- work without progress is refused


def _settings(*pairs: tuple[int, int]) -> bytes:
    body = b"".join(struct.pack(">HI", *pair) for pair in pairs)
    return frame(SETTINGS, body)


UNKNOWN_SETTINGS = b"".join(
    _settings(*((code, 1) for code in range(start, start + 1000)))
    for start in range(16, 65_000, 1000)
)
INFORMATIONAL = frame(HEADERS, b"\x08\x03103", flags=END_HEADERS, stream=1)

# What is repeated, to about 1 MB.
FLOODS: dict[str, bytes] = {
    "ping": frame(PING, bytes(8)),
    "ping acknowledged": frame(PING, bytes(8), flags=ACK),
    "settings": frame(SETTINGS),
    "settings acknowledged": frame(SETTINGS, flags=ACK),
    "settings after unknown ones": frame(SETTINGS),
    "table sizes": _settings((1, 0)) + _settings((1, 4000)),
    "window sizes": _settings((4, 0)) + _settings((4, 65_535)),
    "priority": frame(PRIORITY, bytes(4) + b"\1", stream=1),
    "reset of a stream that is over": frame(RST_STREAM, bytes(4), stream=1),
    "window of the connection": frame(WINDOW_UPDATE, b"\0\0\0\1"),
    "window of a stream that is over": frame(WINDOW_UPDATE, b"\0\0\0\1", stream=1),
    "data without bytes": frame(DATA, stream=3),
    "data that is padding": frame(DATA, b"\3\0\0\0", flags=PADDED, stream=3),
    "data for a stream that is over": frame(DATA, b"x", stream=1),
    "headers for a stream that is over": frame(
        HEADERS, RESPONSE, flags=END_HEADERS, stream=1
    ),
    "data for a push": frame(DATA, b"x", stream=2),
    "informational": INFORMATIONAL.replace(b"\0\0\0\1", b"\0\0\0\3"),
    "unknown frames": frame(0xBE, b"?", stream=3),
    "continuation": frame(CONTINUATION, stream=3),
    "goaway": frame(GOAWAY, struct.pack(">II", 99, 0)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_frames_that_move_no_call_on_are_refused(flood: bytes) -> None:
    """The first call is answered, and then the flood comes instead of an answer."""

    def on_request(connection: RawConnection, stream: int) -> None:
        if stream == 1:
            connection.write(answer(1, VERSION))
            return
        begin = b""
        if flood[3] in (DATA, HEADERS) and flood[8] == 3:
            begin = frame(HEADERS, RESPONSE, flags=END_HEADERS, stream=stream)
        if flood[3] == HEADERS and flood[8] == 3:
            begin = b""
        if flood[3] == CONTINUATION:
            begin = frame(HEADERS, RESPONSE, stream=stream)
        if flood is FLOODS["settings after unknown ones"]:
            begin = UNKNOWN_SETTINGS
        part = flood * (16_384 // len(flood))
        connection.pump(chain([begin], repeat(part, 64)))

    async with suffering(on_request) as (peer, service):
        assert (await service.get_version(VersionRequest())).compatible
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest())
        assert caught.value.status is Status.UNAVAILABLE
        assert "frames that no call waits for" in str(caught.value.message)
        (connection,) = peer.connections
        await until(lambda: connection.is_lost)
        assert connection.goaway_code == ErrorCodes.ENHANCE_YOUR_CALM


async def test_a_thousand_open_streams_do_not_multiply_what_settings_cost() -> None:
    """The window of each stream changes with each SETTINGS frame."""
    flips = _settings((4, 0)) + _settings((4, 65_535))
    opened: list[int] = []

    def on_request(connection: RawConnection, stream: int) -> None:
        opened.append(stream)
        if len(opened) == 500:
            connection.pump(repeat(flips * 500, 20))

    async with suffering(on_request) as (_, service):
        calls = [
            asyncio.create_task(service.get_version(VersionRequest()))
            for _ in range(500)
        ]
        await asyncio.wait(calls)
        failures = [call.exception() for call in calls]
        assert all(isinstance(each, CallError) for each in failures)


# -- one bad answer ends one call


def _headers(*fields: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, b"".join(fields), flags=flags, stream=1)


def _literal(name: bytes, value: bytes) -> bytes:
    """A header without Huffman coding; up to 16 kB of value."""
    size = len(value)
    length = (
        bytes([size])
        if size < 127
        else bytes([127, (size - 127) & 127 | 128, (size - 127) >> 7])
    )
    return bytes([0, len(name)]) + name + length + value


BEGIN = _headers(RESPONSE)
LAST = END_HEADERS | END_STREAM
LARGE = [_literal(b"x-%03d" % number, bytes(5_000)) for number in range(20)]
SPLIT_LARGE = frame(HEADERS, RESPONSE + b"".join(LARGE[:10]), stream=1) + frame(
    CONTINUATION, b"".join(LARGE[10:]), flags=END_HEADERS, stream=1
)

BAD_ANSWERS: dict[str, tuple[bytes, str]] = {
    "header list over the limit": (SPLIT_LARGE, "bytes of headers, over the limit"),
    "raw UTF-8": (
        _headers(
            RESPONSE,
            _literal(b"grpc-status", b"5"),
            _literal(b"grpc-message", "naïve".encode()),
            flags=LAST,
        ),
        "naïve",
    ),
    "a byte that is no text": (
        _headers(
            RESPONSE,
            _literal(b"grpc-status", b"5"),
            _literal(b"x-\xff", b"\x80"),
            _literal(b"grpc-message", b"no\xff"),
            flags=LAST,
        ),
        "no",
    ),
    "less data than announced": (
        _headers(RESPONSE, _literal(b"content-length", b"100"))
        + frame(DATA, message(VERSION), flags=END_STREAM, stream=1),
        "content-length",
    ),
    "more data than announced": (
        _headers(RESPONSE, _literal(b"content-length", b"1"))
        + frame(DATA, message(VERSION), stream=1),
        "content-length",
    ),
    "an invalid length": (
        _headers(RESPONSE, _literal(b"content-length", b"many")),
        "content-length",
    ),
    "data before headers": (frame(DATA, message(VERSION), stream=1), "before the head"),
    "a window opened by nothing": (
        BEGIN + frame(WINDOW_UPDATE, bytes(4), stream=1),
        "window of the stream by nothing",
    ),
    "a window opened too far": (
        BEGIN + frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream=1),
        "broke a rule of HTTP/2",
    ),
    "headers in the middle": (BEGIN + BEGIN, "headers where none belong"),
    "informational headers at the end": (
        BEGIN + INFORMATIONAL,
        "headers where none belong",
    ),
    "an informational answer": (
        _headers(b"\x08\x03103", flags=LAST),
        "headers where none belong",
    ),
    "data after the end": (
        _headers(RESPONSE, OK, flags=LAST) + frame(DATA, b"late", stream=1),
        "without a message",
    ),
    "a message over the limit": (
        BEGIN + frame(DATA, struct.pack(">BI", 0, 2**31), stream=1),
        "over the limit",
    ),
}


@pytest.mark.parametrize(("said", "text"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_one_bad_answer_ends_one_call(said: bytes, text: str) -> None:
    """Another call waits on the same connection, and is answered after it."""

    def on_request(connection: RawConnection, stream: int) -> None:
        if stream == 3:
            connection.write(said)

    async with suffering(on_request) as (peer, service):
        bad = asyncio.create_task(service.get_version(VersionRequest()))
        await until(lambda: peer.connections and peer.connections[0].streams)
        good = asyncio.create_task(service.get_version(VersionRequest()))
        with pytest.raises(CallError) as caught:
            await bad
        assert text in str(caught.value.message)
        peer.connections[0].write(answer(3, VERSION))
        assert (await good).compatible
        assert len(peer.connections) == 1


@pytest.mark.parametrize("kind", [DATA, HEADERS, RST_STREAM, WINDOW_UPDATE])
async def test_frames_of_pushes_cost_no_call(kind: int) -> None:
    body = {HEADERS: RESPONSE, DATA: b"x"}.get(kind, b"\0\0\0\1")

    def on_request(connection: RawConnection, stream: int) -> None:
        connection.write(frame(kind, body, flags=END_HEADERS, stream=2))
        connection.write(answer(stream, VERSION))

    async with suffering(on_request) as (peer, service):
        for _ in range(2):
            assert (await service.get_version(VersionRequest())).compatible
        assert len(peer.connections) == 1


async def test_padding_is_acknowledged_whoever_reads() -> None:
    """3 MiB of DATA that is only padding pass through a window of 1 MiB."""
    padded = frame(DATA, b"\xff" + bytes(255), flags=PADDED, stream=1)

    def on_request(connection: RawConnection, stream: int) -> None:
        connection.write(BEGIN)
        connection.pump(parts(connection))

    def parts(connection: RawConnection) -> Iterator[bytes]:
        # It keeps to the window, and answers each time that it is opened.
        for number in range(3 * 4096):
            while sent_beyond(connection, number * 256):
                yield b""
            # So that the budget for frames without bytes is earned.
            yield padded + (frame(DATA, message(b""), stream=1) if number % 4 else b"")
        yield frame(HEADERS, OK, flags=LAST, stream=1)

    def sent_beyond(connection: RawConnection, sent: int) -> bool:
        opened = sum(
            int.from_bytes(body, "big")
            for kind, stream, body in connection.received
            if kind == WINDOW_UPDATE and stream == 1
        )
        return sent > opened + 2**20 - 100_000

    async with (
        raw_peer(on_request) as peer,
        stub(StreamingPipelineServiceStub, peer.port) as service,
        aclosing(service.stream_pipeline(no_input(), timeout=10.0)) as responses,
    ):
        async for _ in responses:
            pass


# -- what HTTP/2 demands the connection for


def _block(block: bytes) -> Iterator[bytes]:
    parts = [block[start : start + 16_384] for start in range(0, len(block), 16_384)]
    yield frame(HEADERS, parts[0], stream=1)
    for part in parts[1:]:
        yield frame(CONTINUATION, part, stream=1)


def _huffman(size: int) -> bytes:
    rest = size - 127
    length = bytes([0xFF]) + b"".join(
        bytes([rest >> shift & 127 | 128]) for shift in (0, 7, 14)
    )
    return b"\x00\x01x" + length + bytes([rest >> 21]) + bytes(size)


ENDS: dict[str, tuple[Callable[[], Iterator[bytes]], str, ErrorCodes]] = {
    "a block of sizes of the table": (
        lambda: _block(b"\x20" * 3_600_000),
        "bytes of headers",
        ErrorCodes.ENHANCE_YOUR_CALM,
    ),
    "a short block of sizes of the table": (
        lambda: iter([_headers(b"\x20" * 16_000)]),
        "resizes the table too often",
        ErrorCodes.COMPRESSION_ERROR,
    ),
    "a huge Huffman value": (
        lambda: _block(_huffman(3_800_000)),
        "bytes of headers",
        ErrorCodes.ENHANCE_YOUR_CALM,
    ),
    "a header bomb": (
        lambda: iter(
            [_headers(b"\x40\x01x\x7f\xa1\x1e" + bytes(4_000), b"\xbe" * 60_000)]
        ),
        "bytes of headers",
        ErrorCodes.ENHANCE_YOUR_CALM,
    ),
    "a push": (
        lambda: iter(
            [frame(PUSH_PROMISE, b"\0\0\0\2\x82", flags=END_HEADERS, stream=1)]
        ),
        "a push",
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a stream that never began": (
        lambda: iter([frame(DATA, b"x", stream=99)]),
        "never began",
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a frame within a block": (
        lambda: iter([frame(HEADERS, RESPONSE, stream=1), frame(PING, bytes(8))]),
        "in the middle of a header block",
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "an unknown header": (
        lambda: iter([_headers(b"\xff\x7f")]),
        "header block is invalid",
        ErrorCodes.COMPRESSION_ERROR,
    ),
    "a large frame": (
        lambda: iter([frame(DATA, bytes(65_537), stream=1)]),
        "a frame of 65537 bytes",
        ErrorCodes.FRAME_SIZE_ERROR,
    ),
}


@pytest.mark.parametrize(("said", "text", "code"), ENDS.values(), ids=ENDS)
async def test_what_ends_the_connection_says_why(
    said: Callable[[], Iterator[bytes]], text: str, code: ErrorCodes
) -> None:
    def on_request(connection: RawConnection, stream: int) -> None:
        connection.pump(said())

    async with suffering(on_request) as (peer, service):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest())
        assert caught.value.status is Status.UNAVAILABLE
        assert text in str(caught.value.message)
        (connection,) = peer.connections
        await until(lambda: connection.is_lost)
        assert connection.goaway_code == code
