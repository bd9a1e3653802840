"""Scripted HTTP/2 peers, which can send what no correct server would send.

A script is a function that is called once for each request, when its headers have
arrived. It gets an `Exchange`, with which it writes frames.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias, cast

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes
from hyperframe.frame import Frame, GoAwayFrame

GRPC_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


class Exchange:
    """One request, and the means to answer it."""

    def __init__(
        self,
        connection: h2.connection.H2Connection,
        request: h2.events.RequestReceived,
        transport: asyncio.Transport,
    ) -> None:
        assert request.stream_id is not None
        self.connection = connection
        self.stream_id = request.stream_id
        headers: dict[str, str] = dict(request.headers)  # type: ignore[arg-type]  # header_encoding makes them str
        self.path = headers[":path"]
        self.authority = headers[":authority"]
        self.transport = transport

    def headers(self, *pairs: tuple[str, str], end: bool = False) -> None:
        """Send response headers, by default those of gRPC."""
        self.connection.send_headers(
            self.stream_id, list(pairs) or GRPC_HEADERS, end_stream=end
        )

    def message(self, *bodies: bytes, flag: int = 0) -> None:
        """Send messages in one DATA frame, each with its length prefix."""
        self.data(b"".join(struct.pack(">BI", flag, len(b)) + b for b in bodies))

    def data(self, data: bytes, *, end: bool = False) -> None:
        """Send bytes in a DATA frame."""
        self.connection.send_data(self.stream_id, data, end_stream=end)

    def trailers(self, status: object = 0, *pairs: tuple[str, str]) -> None:
        """End the response with a gRPC status."""
        self.connection.send_headers(
            self.stream_id, [("grpc-status", str(status)), *pairs], end_stream=True
        )

    def reset(self, code: ErrorCodes | int) -> None:
        """Reset the stream."""
        self.connection.reset_stream(self.stream_id, error_code=code)

    def settings(self, settings: dict[SettingCodes | int, int]) -> None:
        """Change the connection's settings."""
        self.connection.update_settings(settings)

    def frame(self, frame: Frame) -> None:
        """Send a frame that h2 would refuse to send."""
        self.flush()
        self.transport.write(frame.serialize())

    def go_away(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Send GOAWAY, which ends the connection."""
        self.connection.close_connection(error_code=code)

    def announce_end(self, last_stream_id: int) -> None:
        """Send GOAWAY, and keep serving the streams up to `last_stream_id`."""
        self.frame(GoAwayFrame(0, last_stream_id=last_stream_id))

    def flush(self) -> None:
        """Write what was sent so far. When a script returns, this happens by itself."""
        self.transport.write(self.connection.data_to_send())

    def hang_up(self) -> None:
        """Close the connection without GOAWAY."""
        self.flush()
        self.transport.close()


Script: TypeAlias = Callable[[Exchange], None]


class Peer(asyncio.Protocol):
    """The connection of one client, and the events of what it sent."""

    def __init__(
        self,
        script: Script,
        log: list[h2.events.Event],
        transports: list[asyncio.Transport],
        settings: dict[SettingCodes | int, int],
        *,
        takes_data: bool,
    ) -> None:
        self.script = script
        self.log = log
        self.transports = transports
        self.settings = settings
        self.takes_data = takes_data
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="ascii")
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's classes.
        self.transport = transport = cast("asyncio.Transport", transport)
        self.transports.append(transport)
        self.connection.local_settings.update(self.settings)
        self.connection.local_settings.acknowledge()
        self.connection.initiate_connection()
        transport.write(self.connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self.log.append(event)
            # The client may have reset the stream in the same packet.
            with suppress(StreamClosedError, StreamIDTooLowError):
                self.answer(event)
        self.transport.write(self.connection.data_to_send())

    def answer(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.script(Exchange(self.connection, event, self.transport))
        elif isinstance(event, h2.events.DataReceived) and self.takes_data:
            assert event.stream_id is not None
            self.connection.acknowledge_received_data(
                event.flow_controlled_length or 0, event.stream_id
            )


@asynccontextmanager
async def h2_peer(
    script: Script,
    log: list[h2.events.Event] | None = None,
    *,
    settings: dict[SettingCodes | int, int] | None = None,
    takes_data: bool = True,
) -> AsyncIterator[int]:
    """Serve a script on a free port.

    Args:
        script: answers each request.
        log: collects h2's events of what clients send.
        settings: HTTP/2 settings that the peer sends first.
        takes_data: whether the peer acknowledges data, which reopens its windows.

    Yields:
        The port.
    """
    seen = [] if log is None else log

    def peer(opened: list[asyncio.Transport]) -> Peer:
        return Peer(script, seen, opened, settings or {}, takes_data=takes_data)

    async with _serving(peer) as port:
        yield port


@asynccontextmanager
async def tcp_peer(answer: bytes = b"") -> AsyncIterator[int]:
    """Send the same bytes to every client that connects, and then nothing."""

    class Canned(asyncio.Protocol):
        def __init__(self, transports: list[asyncio.Transport]) -> None:
            self.transports = transports

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport = cast("asyncio.Transport", transport)
            self.transports.append(transport)
            transport.write(answer)

    async with _serving(Canned) as port:
        yield port


@asynccontextmanager
async def _serving(
    protocol: Callable[[list[asyncio.Transport]], asyncio.Protocol],
) -> AsyncIterator[int]:
    opened: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(opened), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in opened:
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)
