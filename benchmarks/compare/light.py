"""A server that does almost nothing, for scenarios where grpcio's is the bottleneck.

    python -m benchmarks.compare.light

It answers every call like the other server, at a fraction of its cost: it reads and
writes HTTP/2 frames itself, checks nothing, and ignores flow-control windows. It prints
its address, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import struct
from typing import cast

from benchmarks.compare.clients import requests
from benchmarks.compare.loops import FASTEST
from benchmarks.compare.server import (
    AUDIO,
    CLOSED,
    METRICS,
    READY,
    execution,
    result,
)

_HEAD = struct.Struct(">HBBBI")
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PREFACE_BYTES = 24
_PREFIX_BYTES = 5
# The largest frame that every client takes.
_FRAME_BYTES = 16_384
_MOST = 2**31 - 1
# Headers with status 200 and the content type, and trailers with gRPC's status 0, as
# HPACK literals that need no dynamic table.
_RESPONSE = b"\x88\x0f\x10\x10application/grpc"
_TRAILERS = b"\x00\x0bgrpc-status\x010"
_INIT, _CHUNK = b"\x0a", b"\x12"
# An execution begins with the same byte as the init of a session, which has no audio.
_MAX_INIT_BYTES = 1024
_CHUNKS_BETWEEN_METRICS = 10
_STEP_BYTES = 2**30


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """Encode a frame."""
    size = len(body)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + body


def message(stream: int, body: bytes) -> bytes:
    """Encode a gRPC message in DATA frames."""
    data = b"\0" + len(body).to_bytes(4, "big") + body
    return b"".join(
        frame(_DATA, 0, stream, data[start : start + _FRAME_BYTES])
        for start in range(0, len(data), _FRAME_BYTES)
    )


class Light(asyncio.Protocol):
    """The connection of one client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the flow-control windows as far as possible."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""
        self._is_new = True
        self._arrived = 0
        self._messages: dict[int, bytes] = {}
        self._chunks: dict[int, int] = {}
        settings = struct.pack(">HIHI", 4, _MOST, 3, 10_000)
        transport_window = (_MOST - 65_535).to_bytes(4, "big")
        self._transport.write(
            frame(_SETTINGS, 0, 0, settings)
            + frame(_WINDOW_UPDATE, 0, 0, transport_window)
        )

    def data_received(self, data: bytes) -> None:
        """Answer all complete frames with a single write."""
        data = self._rest + data
        pos = 0
        if self._is_new:
            if len(data) < _PREFACE_BYTES:
                self._rest = data
                return
            self._is_new, pos = False, _PREFACE_BYTES
        out: list[bytes] = []
        while len(data) - pos >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, pos)
            body = pos + _HEAD.size
            stop = body + (high << 8 | low)
            if stop > len(data):
                break
            if kind == _DATA:
                self._on_data(stream, data[body:stop], out)
            elif kind == _HEADERS:
                self._messages[stream], self._chunks[stream] = b"", 0
                out.append(frame(_HEADERS, _END_HEADERS, stream, _RESPONSE))
            elif kind in (_SETTINGS, _PING) and not flags & _ACK:
                echoed = data[body:stop] if kind == _PING else b""
                out.append(frame(kind, _ACK, 0, echoed))
            pos = stop
        self._rest = data[pos:]
        if out:
            self._transport.write(b"".join(out))

    def _on_data(self, stream: int, data: bytes, out: list[bytes]) -> None:
        self._arrived += len(data)
        if self._arrived >= _STEP_BYTES:
            more = self._arrived.to_bytes(4, "big")
            out.append(frame(_WINDOW_UPDATE, 0, 0, more))
            self._arrived = 0
        data = self._messages[stream] + data
        while len(data) >= _PREFIX_BYTES:
            stop = _PREFIX_BYTES + int.from_bytes(data[1:_PREFIX_BYTES], "big")
            if len(data) < stop:
                break
            self._on_message(stream, data[_PREFIX_BYTES:stop], out)
            data = data[stop:]
        self._messages[stream] = data

    def _on_message(self, stream: int, request: bytes, out: list[bytes]) -> None:
        kind = request[:1]
        if kind == _CHUNK:
            out.append(message(stream, result(request, AUDIO)))
            self._chunks[stream] += 1
            if self._chunks[stream] % _CHUNKS_BETWEEN_METRICS == 0:
                out.append(message(stream, METRICS))
        elif request == requests.VERSION:
            self._end(stream, AUDIO.version, out)
        elif kind == _INIT and len(request) <= _MAX_INIT_BYTES:
            out.append(message(stream, READY))
        elif kind == _INIT:
            self._end(stream, execution(request, AUDIO), out)
        else:
            self._end(stream, CLOSED, out)

    def _end(self, stream: int, body: bytes, out: list[bytes]) -> None:
        flags = _END_HEADERS | _END_STREAM
        out.append(message(stream, body))
        out.append(frame(_HEADERS, flags, stream, _TRAILERS))


async def serve() -> None:
    """Serve on a free port of the loopback interface."""
    server = await asyncio.get_running_loop().create_server(Light, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    FASTEST().run_until_complete(serve())
