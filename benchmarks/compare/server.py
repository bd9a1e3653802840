"""The server that every client calls: grpcio's C core, which echoes what it gets.

    python -m benchmarks.compare.server CONTRACT

It answers as the contract says, "audio" or "data". It does not decode requests: it
copies the bytes of the audio, or of another value, from the request into the answer. It
uses the fastest interface of grpcio in Python, ``read`` and ``write`` of bytes, on
uvloop if that is installed. It prints its address, and serves until it is killed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
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

# Field numbers, which are the same in both contracts.
_REQUEST_INPUTS = 2
_CHUNK_BUFFER = 2
# The first byte of a message is the tag of its only field.
_INIT, _CHUNK = b"\x0a", b"\x12"
_CHUNKS_BETWEEN_METRICS = 10

_VERSION = VersionInfo(
    protocol_version="v1",
    runtime_version="0.2.0",
    supported_node_types=["CalculatorNode", "PassThrough"],
    supported_protocols=["v1"],
    build_timestamp="2025-01-01T00:00:00Z",
)
READY = bytes(
    StreamResponse(ready=StreamReady(session_id="s-1", recommended_chunk_size=1600))
)
METRICS = bytes(
    StreamResponse(metrics=StreamMetrics(session_id="s-1", average_latency_ms=0.1))
)
CLOSED = bytes(StreamResponse(closed=StreamClosed(session_id="s-1", reason="client")))
# The key of the only entry of a result's map.
OUTPUT = b"\x0a\x06output"
# A double: 0.1.
_PROCESSING_TIME = b"\x9a\x99\x99\x99\x99\x99\xb9\x3f"


@dataclass(frozen=True)
class Answers:
    """What the answers of a contract are made of.

    Attributes:
        version: the answer to GetVersion.
        sequence: the field number of a chunk's sequence.
        processing_time: ChunkResult.processing_time_ms, encoded.
        status: ExecutionResult.status, encoded.
    """

    version: bytes
    sequence: int
    processing_time: bytes
    status: bytes


def _answers(info: VersionInfo, sequence: int, time: int, status: int) -> Answers:
    """Encode the answers of a contract with these field numbers."""
    return Answers(
        bytes(VersionResponse(version_info=info, compatible=True)),
        sequence,
        bytes((time << 3 | 1,)) + _PROCESSING_TIME,
        bytes((status << 3, int(ExecutionStatus.SUCCESS))),
    )


AUDIO = _answers(_VERSION, sequence=3, time=4, status=5)
DATA = _answers(
    replace(_VERSION, runtime_version="0.4.0"), sequence=4, time=3, status=4
)


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


def execution(request: bytes, answers: Answers) -> bytes:
    """Return the encoded answer to an execution: its inputs as its outputs.

    The map of the outputs is encoded like that of the inputs.
    """
    entries = [
        (value, end)
        for field, _, value, end in fields(request, 0)
        if field == _REQUEST_INPUTS
    ]
    view = memoryview(request)
    parts: list[bytes | memoryview] = []
    for value, end in entries:
        parts += (b"\x0a", number(end - value), view[value:end])
    parts.append(answers.status)
    size = sum(map(len, parts))
    return b"".join((b"\x0a", number(size), *parts))


def result(request: bytes, answers: Answers) -> bytes:
    """Return the encoded answer to a chunk."""
    sequence = value_of_chunk = b""
    _, start = varint(request, 1)
    for field, begin, value, end in fields(request, start):
        if field == _CHUNK_BUFFER:
            value_of_chunk = request[begin:end]
        elif field == answers.sequence:
            # The sequence number is field 1 of a result.
            sequence = b"\x08" + request[value:end]
    entry = len(OUTPUT) + len(value_of_chunk)
    entry_size = number(entry)
    time = answers.processing_time
    size = len(sequence) + 1 + len(entry_size) + entry + len(time)
    return b"".join(
        (
            b"\x12",
            number(size),
            sequence,
            b"\x12",
            entry_size,
            OUTPUT,
            value_of_chunk,
            time,
        )
    )


class Server:
    """The methods of the services of a contract."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def get_version(self, request: bytes, context: Context) -> bytes:
        """Answer with a constant."""
        return self._answers.version

    async def execute_pipeline(self, request: bytes, context: Context) -> bytes:
        """Answer with the inputs."""
        return execution(request, self._answers)

    async def stream_pipeline(self, requests: object, context: Context) -> None:
        """Answer every chunk with its value, and every tenth also with metrics."""
        read, write, answers = context.read, context.write, self._answers
        chunks = 0
        while True:
            request = await read()
            if request is grpc.aio.EOF:
                return
            kind = request[:1]
            if kind == _CHUNK:
                await write(result(request, answers))
                chunks += 1
                if chunks % _CHUNKS_BETWEEN_METRICS == 0:
                    await write(METRICS)
            elif kind == _INIT:
                await write(READY)
            else:
                await write(CLOSED)
                return


async def serve(answers: Answers) -> None:
    """Serve on a free port of the loopback interface."""
    methods = Server(answers)
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, dict[str, Any]] = {
        "PipelineExecutionService": {
            "GetVersion": grpc.unary_unary_rpc_method_handler(methods.get_version),
            "ExecutePipeline": grpc.unary_unary_rpc_method_handler(
                methods.execute_pipeline
            ),
        },
        "StreamingPipelineService": {
            "StreamPipeline": grpc.stream_stream_rpc_method_handler(
                methods.stream_pipeline
            ),
        },
    }
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"{package}.{service}", each)
            for package in ("remotemedia.v1", stock.PACKAGE)
            for service, each in handlers.items()
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    FASTEST().run_until_complete(serve({"audio": AUDIO, "data": DATA}[sys.argv[1]]))
