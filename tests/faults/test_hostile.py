"""A hostile or broken peer costs no more than its connection, or one call on it.

Each test is one thing that a peer did. Meanwhile a stream on another connection goes
on, no turn of the event loop is long, and the memory stays as it is. The guards are
about ten times what is reached.
"""

from __future__ import annotations

import asyncio
import gc
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import chain, repeat

import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    ErrorType,
    RemoteMediaClient,
    RemoteMediaError,
)
from remotemedia.grpc import CallError, ResponseStream
from remotemedia.protobuf.wire import varint
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    ChunkResult,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamResponse,
    VersionRequest,
)
from tests.support.calls import READY, VERSION, channel_of, no_input, stub
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
    memory_bytes,
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


# -- memory, and whoever reads


async def no_more(responses: ResponseStream[StreamResponse]) -> None:
    """Read all responses, up to the error."""
    while await responses.read() is not None:
        pass


async def test_a_window_overrun_ends_one_stream() -> None:
    """The peer sends more than the window of a stream that nobody reads."""

    def on_request(connection: RawConnection, stream: int) -> None:
        if stream == 1:
            connection.write(BEGIN)
            connection.write(frame(DATA, message(b"\x12\x00" * 30_000), stream=1) * 20)
        else:
            connection.write(answer(stream, VERSION))

    async with suffering(on_request) as (peer, service):
        responses = StreamingPipelineServiceStub(channel_of(service)).stream_pipeline(
            no_input()
        )
        reading = asyncio.create_task(responses.read())
        await until(lambda: peer.connections and peer.connections[0].streams)
        reading.cancel()
        await asyncio.wait({reading})
        assert (await service.get_version(VersionRequest())).compatible
        with pytest.raises(CallError, match="more data than the window"):
            # What came within the window is delivered first.
            await no_more(responses)
        await responses.aclose()
        assert len(peer.connections) == 1


async def test_a_peer_that_reads_nothing_is_not_read() -> None:
    """Pings come within the budget, and their answers wait for the peer."""

    def on_request(connection: RawConnection, stream: int) -> None:
        connection.transport.pause_reading()
        # Each answer that moves the call on earns the pings.
        turn = frame(DATA, message(b""), stream=1) + frame(PING, bytes(8)) * 7
        connection.pump(chain([BEGIN], repeat(turn * 100)))

    async with suffering(on_request) as (_, service):
        responses = StreamingPipelineServiceStub(channel_of(service)).stream_pipeline(
            no_input(), timeout=1.5
        )
        with pytest.raises(CallError, match=r"within 1\.5 s"):
            async for _ in responses:
                pass


async def test_a_peer_whose_next_message_is_always_there() -> None:
    """Whoever reads it leaves the event loop to others in between."""
    most = reads = 0

    async def count() -> None:
        nonlocal most, reads
        while True:
            most, reads = max(most, reads), 0
            await asyncio.sleep(0)

    def on_request(connection: RawConnection, stream: int) -> None:
        connection.write(BEGIN)
        connection.send_data(1, [message(b"\x12\x00") * 20_000])

    async with suffering(on_request) as (_, service):
        counting = asyncio.create_task(count())
        responses = StreamingPipelineServiceStub(channel_of(service)).stream_pipeline(
            no_input(), timeout=10.0
        )
        for _ in range(20_000):
            assert await responses.read() is not None
            reads += 1
        counting.cancel()
        await responses.aclose()
    assert most <= 64


async def test_data_without_bytes_is_no_progress() -> None:
    def on_request(connection: RawConnection, stream: int) -> None:
        connection.write(BEGIN)
        task = asyncio.get_running_loop().create_task(drip(connection))
        tasks.append(task)

    async def drip(connection: RawConnection) -> None:
        while not connection.is_lost:
            connection.write(frame(DATA, stream=1))
            await asyncio.sleep(0.01)

    tasks: list[asyncio.Task[None]] = []
    async with suffering(on_request) as (_, service):
        responses = StreamingPipelineServiceStub(
            channel_of(service), idle_timeout=0.1
        ).stream_pipeline(no_input(), timeout=10.0)
        with pytest.raises(CallError, match=r"no progress for 0\.1 s"):
            await responses.read()
        channel_of(service).close()
        await asyncio.gather(*tasks)


async def test_a_frame_that_drips_for_ever() -> None:
    """The call is over in time, and the next has another connection."""

    def on_request(connection: RawConnection, stream: int) -> None:
        if len(peer.connections) > 1:
            connection.write(answer(stream, VERSION))
            return
        connection.write(frame(HEADERS, bytes(16_000), stream=stream)[:20])
        tasks.append(asyncio.get_running_loop().create_task(drip(connection)))

    async def drip(connection: RawConnection) -> None:
        while not connection.is_lost:
            connection.write(b"\0")
            await asyncio.sleep(0.01)

    tasks: list[asyncio.Task[None]] = []
    async with suffering(on_request) as (peer, service):
        with pytest.raises(CallError, match="not done within"):
            await service.get_version(VersionRequest(), timeout=0.2)
        assert (await service.get_version(VersionRequest())).compatible
        assert len(peer.connections) == 2
        channel_of(service).close()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("end", [b"", frame(GOAWAY, bytes(8))])
async def test_a_peer_that_greets_and_hangs_up(end: bytes) -> None:
    """Every call fails with the documented error, and connections get rarer."""
    count = 0

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal count
            count += 1
            transport.write(frame(SETTINGS) + end)  # type: ignore[attr-defined]  # of a socket
            transport.close()

    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with stub(PipelineExecutionServiceStub, port) as service:
            for _ in range(20):
                with pytest.raises(CallError) as caught:
                    await service.get_version(VersionRequest(), timeout=0.05)
                assert caught.value.status in (
                    Status.UNAVAILABLE,
                    Status.DEADLINE_EXCEEDED,
                )
    # After 0.1, 0.3, 0.7 and 1.5 s.
    assert count < 10


async def test_failed_calls_keep_no_message() -> None:
    """Eight responses of 30 MB are cut off by a reset; no cycle keeps them."""
    body = struct.pack(">BI", 0, 30_000_001) + bytes(30_000_000)

    def on_request(connection: RawConnection, stream: int) -> None:
        connection.write(frame(HEADERS, RESPONSE, flags=END_HEADERS, stream=stream))
        connection.send_data(stream, [body])
        connection.pump(reset(connection, stream))

    def reset(connection: RawConnection, stream: int) -> Iterator[bytes]:
        while connection.data_sent[stream] < len(body):
            yield b""
        yield frame(RST_STREAM, b"\0\0\0\2", stream=stream)

    failures = []
    async with bystander(), raw_peer(on_request) as peer:
        gc.collect()
        gc.disable()
        before = memory_bytes()
        try:
            async with stub(PipelineExecutionServiceStub, peer.port) as service:
                for _ in range(8):
                    with pytest.raises(CallError) as caught:
                        await service.get_version(VersionRequest(), timeout=10.0)
                    failures.append(caught.value)
                # One message may still be there, and what the allocator and the peer
                # hold. All of them would be 240 MB.
                assert memory_bytes() - before < 120_000_000
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("size", "where"),
    [
        (0, "nowhere"),
        (3_000_000, "samples"),
        (3_000_000, "unknown field"),
        (30_000_000, "samples"),
        (30_000_000, "unknown field"),
    ],
)
async def test_results_that_nobody_reads_while_a_session_closes(
    size: int, where: str
) -> None:
    """They are kept up to 64 MiB, and then the session fails."""
    samples = bytes(size)
    chunk = ChunkResult(
        audio_outputs={
            "output": AudioBuffer(
                samples=samples,
                sample_rate=1,
                channels=1,
                format=AudioFormat.F32,
                num_samples=size // 4,
            )
        }
    )
    if where == "unknown field":
        # Field 99, of so many bytes.
        chunk = ChunkResult().parse(b"\x9a\x06" + varint(size) + samples)
    elif where == "nowhere":
        chunk = ChunkResult()
    body = message(bytes(StreamResponse(result=chunk)))
    # As many of the smallest as a frame holds.
    body *= max(1, 16_000 // len(body))

    def wait(connection: RawConnection) -> Iterator[bytes]:
        # The session is initialised by one message, and the chunk is another.
        while sum(kind == DATA for kind, _, _ in connection.received) < 3:
            yield b""

    def on_request(connection: RawConnection, stream: int) -> None:
        if stream == 1:
            connection.write(answer(1, VERSION))
            return
        connection.write(frame(HEADERS, RESPONSE, flags=END_HEADERS, stream=stream))
        connection.send_data(
            stream, chain([message(READY)], wait(connection), repeat(body))
        )

    async with (
        raw_peer(on_request) as peer,
        RemoteMediaClient(f"127.0.0.1:{peer.port}") as client,
        watched() as watch,
    ):
        stream = client.open_stream(PASS)
        await stream.__aenter__()
        await stream.send("src", tone(16))
        with pytest.raises(RemoteMediaError) as caught:
            await stream.close()
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        await stream.__aexit__(None, None, None)
    assert watch.grown_bytes < 64 * 2**20 + 6 * size + MOST_GROWN_BYTES
