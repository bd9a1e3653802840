"""The server that every client calls: grpcio's C core, which echoes the audio.

    python -m benchmarks.compare.server

It answers as the contract says. It does not decode requests: it copies the bytes of the
audio from the request into the answer. It uses the fastest interface of grpcio in
Python, ``read`` and ``write`` of bytes, on uvloop if that is installed. It prints its
address, and serves until it is killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from benchmarks import stock
from benchmarks.compare.loops import FASTEST
from remotemedia.v1 import (
    ExecutionStatus,
    StreamClosed,
    StreamMetrics,
    StreamReady,
    StreamResponse,
    VersionInfo,
    VersionResponse,
)

# Messages of any size.
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
Context = Any

# Field numbers of the contract.
_REQUEST_AUDIO_INPUTS = 2
_CHUNK_BUFFER, _CHUNK_SEQUENCE = 2, 3
# The first byte of a message is the tag of its only field.
_INIT, _CHUNK = b"\x0a", b"\x12"
_CHUNKS_BETWEEN_METRICS = 10

VERSION = bytes(
    VersionResponse(
        version_info=VersionInfo(
            protocol_version="v1",
            runtime_version="0.2.0",
            supported_node_types=["CalculatorNode", "PassThrough"],
            supported_protocols=["v1"],
            build_timestamp="2025-01-01T00:00:00Z",
        ),
        compatible=True,
    )
)
READY = bytes(
    StreamResponse(ready=StreamReady(session_id="s-1", recommended_chunk_size=1600))
)
METRICS = bytes(
    StreamResponse(metrics=StreamMetrics(session_id="s-1", average_latency_ms=0.1))
)
CLOSED = bytes(StreamResponse(closed=StreamClosed(session_id="s-1", reason="client")))
# Encoded fields of the answers: ExecutionResult.status, ChunkResult.processing_time_ms,
# and the key of the only entry of its map.
STATUS = bytes((5 << 3, int(ExecutionStatus.SUCCESS)))
PROCESSING_TIME = b"\x21\x9a\x99\x99\x99\x99\x99\xb9\x3f"
OUTPUT = b"\x0a\x06output"


def fields(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Find the fields of an encoded message, from an offset on.

    Yields:
        The number of a field, and the offsets of its start, its value and its end.
    """
    while at < len(data):
        start = at
        tag, at = varint(data, at)
        value = at
        size, at = varint(data, at)
        # Requests of the contract have only varints and length-delimited fields.
        if tag & 7:
            value = at
            at += size
        yield tag >> 3, start, value, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode a varint; return its value and its end."""
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def number(value: int) -> bytes:
    """Encode a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


async def get_version(request: bytes, context: Context) -> bytes:
    """Answer with a constant."""
    return VERSION


async def execute_pipeline(request: bytes, context: Context) -> bytes:
    """Answer with the audio inputs."""
    return execution(request)


def execution(request: bytes) -> bytes:
    """Return the encoded answer to an execution: its audio inputs as its outputs.

    The map of the outputs is encoded like that of the inputs.
    """
    entries = [
        (value, end)
        for field, _, value, end in fields(request, 0)
        if field == _REQUEST_AUDIO_INPUTS
    ]
    view = memoryview(request)
    parts: list[bytes | memoryview] = []
    for value, end in entries:
        parts += (b"\x0a", number(end - value), view[value:end])
    parts.append(STATUS)
    size = sum(map(len, parts))
    return b"".join((b"\x0a", number(size), *parts))


async def stream_pipeline(requests: object, context: Context) -> None:
    """Answer every chunk with its audio, and every tenth also with metrics."""
    read, write = context.read, context.write
    chunks = 0
    while True:
        request = await read()
        if request is grpc.aio.EOF:
            return
        kind = request[:1]
        if kind == _CHUNK:
            await write(result(request))
            chunks += 1
            if chunks % _CHUNKS_BETWEEN_METRICS == 0:
                await write(METRICS)
        elif kind == _INIT:
            await write(READY)
        else:
            await write(CLOSED)
            return


def result(request: bytes) -> bytes:
    """Return the encoded answer to a chunk."""
    sequence = audio = b""
    _, start = varint(request, 1)
    for field, begin, value, end in fields(request, start):
        if field == _CHUNK_BUFFER:
            audio = request[begin:end]
        elif field == _CHUNK_SEQUENCE:
            # The sequence number is field 3 of a chunk, and field 1 of a result.
            sequence = b"\x08" + request[value:end]
    entry = len(OUTPUT) + len(audio)
    entry_size = number(entry)
    size = len(sequence) + 1 + len(entry_size) + entry + len(PROCESSING_TIME)
    return b"".join(
        (
            b"\x12",
            number(size),
            sequence,
            b"\x12",
            entry_size,
            OUTPUT,
            audio,
            PROCESSING_TIME,
        )
    )


async def serve() -> None:
    """Serve on a free port of the loopback interface."""
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, dict[str, Any]] = {
        "PipelineExecutionService": {
            "GetVersion": grpc.unary_unary_rpc_method_handler(get_version),
            "ExecutePipeline": grpc.unary_unary_rpc_method_handler(execute_pipeline),
        },
        "StreamingPipelineService": {
            "StreamPipeline": grpc.stream_stream_rpc_method_handler(stream_pipeline),
        },
    }
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"{package}.{service}", methods)
            for package in ("remotemedia.v1", stock.PACKAGE)
            for service, methods in handlers.items()
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    FASTEST().run_until_complete(serve())
