"""A pipeline service that fails at random in many ways. `benchmarks.soak` calls it.

It speaks HTTP/2 through h2, without this library's call engine. Before each answer, a
seeded random generator decides whether to break the rules instead, and how.
"""

from __future__ import annotations

import asyncio
import random
import struct
import sys
from contextlib import suppress
from typing import cast

import betterproto
import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from remotemedia.v1 import (
    ChunkResult,
    ErrorResponse,
    ErrorType,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionResult,
    StreamClosed,
    StreamReady,
    StreamRequest,
    StreamResponse,
    VersionResponse,
)

PREFIX = struct.Struct(">BI")
HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
REASON = "chaos"
"""The reason that the service gives when it closes a session too early."""

FAULTS = (
    "reset",
    "refuse",
    "status",
    "error message",
    "early ok",
    "closed",
    "go away",
    "go away and hang up",
    "hang up",
    "abort",
    "compressed",
    "no message",
    "junk",
    "bad sequence",
    "no status",
    "silence",
    "freeze",
)


class Exchange:
    """The state of one call."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.received = b""
        self.is_over = False


class ChaosPeer(asyncio.Protocol):
    """The connection of one client."""

    def __init__(self, dice: random.Random, fault_rate: float) -> None:
        self.dice = dice
        self.fault_rate = fault_rate
        self.exchanges: dict[int, Exchange] = {}
        self.pending: dict[int, list[bytes]] = {}
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="ascii")
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the connection preface."""
        self.transport = cast("asyncio.Transport", transport)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Write the pending frames to the socket."""
        data = self.h2.data_to_send()
        if not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Process received frames."""
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.transport.close()
            return
        for event in events:
            # The client may have reset the stream in the same packet.
            with suppress(ProtocolError, KeyError):
                self.take(event)
        self.flush()

    def take(self, event: h2.events.Event) -> None:
        """Process one event of h2."""
        if isinstance(event, h2.events.RequestReceived):
            headers = {str(name): str(value) for name, value in event.headers or ()}
            self.exchanges[event.stream_id or 0] = Exchange(headers[":path"])
            if self.dice.random() < self.fault_rate / 4:
                self.fail(event.stream_id or 0)
            else:
                self.h2.send_headers(event.stream_id or 0, HEADERS)
        elif isinstance(event, h2.events.DataReceived):
            id_ = event.stream_id or 0
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, id_)
            exchange = self.exchanges[id_]
            exchange.received += event.data or b""
            while len(exchange.received) >= PREFIX.size and not exchange.is_over:
                size = PREFIX.unpack_from(exchange.received)[1] + PREFIX.size
                if len(exchange.received) < size:
                    break
                body = exchange.received[PREFIX.size : size]
                exchange.received = exchange.received[size:]
                self.answer(id_, exchange, body)
        elif isinstance(event, h2.events.StreamEnded):
            exchange = self.exchanges[event.stream_id or 0]
            if not exchange.is_over:
                self.end(event.stream_id or 0)
        elif isinstance(event, h2.events.StreamReset):
            self.exchanges.pop(event.stream_id or 0, None)
            self.pending.pop(event.stream_id or 0, None)
        elif isinstance(event, h2.events.WindowUpdated):
            for id_ in list(self.pending):
                try:
                    self.write(id_)
                except ProtocolError:  # noqa: PERF203 - each by itself
                    del self.pending[id_]

    def answer(self, id_: int, exchange: Exchange, body: bytes) -> None:
        """Answer a message, or break the rules."""
        if self.dice.random() < self.fault_rate:
            self.fail(id_)
        elif exchange.path.endswith("GetVersion"):
            self.message(id_, bytes(VersionResponse(compatible=True)))
            self.end(id_)
        elif exchange.path.endswith("ExecutePipeline"):
            inputs = ExecuteRequest.FromString(body).audio_inputs
            result = ExecutionResult(audio_outputs=dict(inputs))
            self.message(id_, bytes(ExecuteResponse(result=result)))
            self.end(id_)
        else:
            self.converse(id_, StreamRequest.FromString(body))

    def converse(self, id_: int, request: StreamRequest) -> None:
        """Answer a request of a session."""
        kind, _ = betterproto.which_one_of(request, "request")
        if kind == "init":
            self.respond(id_, StreamResponse(ready=StreamReady(session_id="s")))
        elif kind == "audio_chunk":
            chunk = request.audio_chunk
            result = ChunkResult(
                sequence=chunk.sequence, audio_outputs={"output": chunk.buffer}
            )
            self.respond(id_, StreamResponse(result=result))
        else:
            self.respond(id_, StreamResponse(closed=StreamClosed(reason="client")))
            self.end(id_)

    def respond(self, id_: int, response: StreamResponse) -> None:
        """Send a response of a session."""
        self.message(id_, bytes(response))

    def message(self, id_: int, body: bytes, flag: int = 0) -> None:
        """Queue a message, and send as much as the flow-control windows allow."""
        self.pending.setdefault(id_, []).append(PREFIX.pack(flag, len(body)) + body)
        self.write(id_)

    def write(self, id_: int) -> None:
        """Send queued data as far as the flow-control windows allow."""
        waiting = self.pending[id_]
        while waiting:
            size = min(self.h2.local_flow_control_window(id_), 16_384)
            if size <= 0:
                return
            data, rest = waiting[0][:size], waiting[0][size:]
            self.h2.send_data(id_, data)
            waiting[:1] = [rest] if rest else []
        del self.pending[id_]

    def end(self, id_: int, status: int = 0) -> None:
        """End a call with a status. Queued data is not sent."""
        self.exchanges[id_].is_over = True
        self.h2.send_headers(id_, [("grpc-status", str(status))], end_stream=True)

    def fail(self, id_: int) -> None:
        """Break the rules in a randomly chosen way."""
        fault = self.dice.choice(FAULTS)
        exchange = self.exchanges[id_]
        is_session = exchange.path.endswith("StreamPipeline")
        exchange.is_over = True
        if fault == "reset":
            code = self.dice.choice([c for c in ErrorCodes if c.value != 7])
            self.h2.reset_stream(id_, error_code=code)
        elif fault == "refuse":
            self.h2.reset_stream(id_, error_code=ErrorCodes.REFUSED_STREAM)
        elif fault == "status":
            self.end(id_, self.dice.randint(1, 16))
        elif fault == "go away":
            self.h2.close_connection()
        elif fault == "go away and hang up":
            self.h2.close_connection(error_code=ErrorCodes.ENHANCE_YOUR_CALM)
            self.flush()
            self.transport.close()
        elif fault == "hang up":
            self.flush()
            self.transport.close()
        elif fault == "abort":
            self.transport.abort()
        elif fault == "freeze":
            # Pings are not answered either, as if a router had lost the connection.
            self.transport.pause_reading()
        elif fault == "compressed":
            self.message(id_, b"zzz", flag=1)
        elif fault == "no message":
            self.message(id_, b"\xff\xff")
            self.end(id_)
        elif fault == "junk":
            self.flush()
            # A PING on a stream is a protocol error.
            self.transport.write(b"\0\0\x08\6\0\0\0\0\1" + self.dice.randbytes(8))
        elif fault == "no status":
            self.h2.send_data(id_, b"", end_stream=True)
        elif is_session and fault == "error message":
            error = ErrorResponse(error_type=ErrorType.INTERNAL, message=REASON)
            self.respond(id_, StreamResponse(error=error))
            self.end(id_)
        elif is_session and fault == "closed":
            self.respond(id_, StreamResponse(closed=StreamClosed(reason=REASON)))
            self.end(id_)
        elif is_session and fault == "bad sequence":
            result = ChunkResult(sequence=self.dice.randint(1_000, 2_000))
            self.respond(id_, StreamResponse(result=result))
        elif fault != "silence":
            self.end(id_)


async def serve(seed: int, fault_rate: float) -> None:
    """Serve on a free port, print the address, and never return."""
    dice = random.Random(seed)
    server = await asyncio.get_running_loop().create_server(
        lambda: ChaosPeer(dice, fault_rate), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
