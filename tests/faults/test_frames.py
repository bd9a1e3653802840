"""Frames that a peer can send: unexpected, invalid, cut, or with wrong lengths."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable

import h2.events
import pytest
from grpclib.const import Status
from h2.settings import SettingCodes
from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaError,
)
from remotemedia.grpc import CallError
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    VersionRequest,
    VersionResponse,
)
from tests.faults.tools import is_version
from tests.support.calls import VERSION, stub
from tests.support.peers import Exchange, Script, h2_peer, tcp_peer
from tests.support.waiting import GUARD_S, turns, until

# -- unexpected frames


def _frames(*make: Callable[[int], Frame]) -> Script:
    def script(exchange: Exchange) -> None:
        if exchange.stream_id > 1:
            is_version(exchange)
            return
        for one in make:
            exchange.frame(one(exchange.stream_id))
        is_version(exchange)
        exchange.flush()

    return script


def _unknown(stream_id: int) -> Frame:
    frame = ExtensionFrame(0xBE, stream_id, flag_byte=0xFF, body=b"?" * 99)
    frame.body_len = 99
    return frame


def _pushed(stream_id: int) -> Frame:
    # :method GET, :scheme http and :path /, from HPACK's static table
    return PushPromiseFrame(
        stream_id,
        promised_stream_id=2,
        data=b"\x82\x86\x84\x41\x01a",
        flags=["END_HEADERS"],
    )


HARMLESS: dict[str, Script] = {
    "unknown type": _frames(_unknown),
    "unknown on no stream": _frames(lambda id_: _unknown(0)),
    "ping": _frames(lambda id_: PingFrame(0, opaque_data=b"12345678")),
    "priority": _frames(lambda id_: PriorityFrame(id_, depends_on=0, stream_weight=1)),
    "altsvc": _frames(lambda id_: AltSvcFrame(0, origin=b"h", field=b'h3=":1"')),
    "unknown setting": _frames(lambda id_: SettingsFrame(0, settings={0xABCD: 7})),
    "settings, many": _frames(
        *[lambda id_: SettingsFrame(0, settings={1: 0, 5: 16_384 * 2})] * 3
    ),
    "push": _frames(_pushed),
    "window": _frames(lambda id_: WindowUpdateFrame(0, window_increment=2**20)),
    "reset of another": _frames(lambda id_: RstStreamFrame(id_ + 100, error_code=8)),
}


@pytest.mark.parametrize("script", HARMLESS.values(), ids=HARMLESS)
async def test_unexpected_frames_are_ignored_or_end_the_connection(
    script: Script,
) -> None:
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, timeout=5.0) as service,
    ):
        for _ in range(2):
            try:
                assert (await service.get_version(VersionRequest())).compatible
            except CallError as error:  # noqa: PERF203 - there are two rounds
                # The peer broke a rule of HTTP/2, so the connection was closed.
                assert "what the peer sent" in str(error.message)  # noqa: PT017


async def test_informational_headers_before_the_answer() -> None:
    def script(exchange: Exchange) -> None:
        for status in ("100", "103"):
            exchange.connection.send_headers(exchange.stream_id, [(":status", status)])
        is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        assert (await service.get_version(VersionRequest())).compatible


async def test_data_after_the_trailers() -> None:
    """The response is valid, and later frames do not affect other calls."""

    def script(exchange: Exchange) -> None:
        is_version(exchange)
        exchange.frame(DataFrame(exchange.stream_id, data=b"late"))

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        for _ in range(3):
            assert (await service.get_version(VersionRequest())).compatible


async def test_a_header_block_that_never_ends() -> None:
    def script(exchange: Exchange) -> None:
        exchange.frame(HeadersFrame(exchange.stream_id, data=b"\x88"))
        exchange.frame(ContinuationFrame(exchange.stream_id, data=b""))

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=0.1)
        assert caught.value.status is Status.DEADLINE_EXCEEDED


async def test_headers_that_are_too_large() -> None:
    """Trailers of 100 kB fail the call with an error."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.trailers(13, *[("x", "y" * 1_000)] * 100)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError):
            await service.get_version(VersionRequest())


async def test_headers_in_the_middle_of_a_response() -> None:
    """A second block of headers without END_STREAM is not the end of a response."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.flush()
        block = exchange.connection.encoder.encode([("grpc-status", "0")])
        exchange.frame(
            HeadersFrame(exchange.stream_id, data=block, flags=["END_HEADERS"])
        )

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, timeout=0.5) as service,
    ):
        with pytest.raises(CallError):
            await service.get_version(VersionRequest())


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "application/grpc")],
        [(":status", "200")],
        [(":status", ""), ("content-type", "application/grpc")],
        [(":status", "200"), ("content-type", "")],
        [(":status", "200"), ("content-type", "text/plain"), ("grpc-status", "0")],
        [(":status", "500"), ("content-type", "application/grpc")],
    ],
)
async def test_a_response_that_is_not_grpc(headers: list[tuple[str, str]]) -> None:
    def script(exchange: Exchange) -> None:
        block = exchange.connection.encoder.encode(headers)
        exchange.frame(
            HeadersFrame(
                exchange.stream_id, data=block, flags=["END_HEADERS", "END_STREAM"]
            )
        )

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, timeout=1.0) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest())
        assert caught.value.status is not Status.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 2 + b"\x00\xff\xff\x00" + b"\0" * 32,
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff",
        bytes(200),
    ],
)
async def test_bytes_that_are_not_http2(junk: bytes) -> None:
    async with tcp_peer(junk) as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", timeout=1, connect_timeout=0.5)
        with pytest.raises(RemoteMediaError) as caught:
            await client.connect()
    assert isinstance(caught.value, ConnectionError)
    assert re.search("gRPC service|what the peer sent", str(caught.value))


async def test_a_message_with_a_wrong_length_prefix() -> None:
    """The prefix is larger than the message, and smaller."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        length = len(VERSION) + (10 if exchange.stream_id == 1 else -1)
        exchange.data(struct.pack(">BI", 0, length) + VERSION)
        exchange.trailers()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        for _ in range(2):
            with pytest.raises(CallError) as caught:
                await service.get_version(VersionRequest())
            assert caught.value.status is Status.INTERNAL


# -- windows and settings


async def test_a_window_of_zero() -> None:
    """Sending waits until the window opens, but not beyond the deadline."""

    def script(exchange: Exchange) -> None:
        if "now" in windows:
            exchange.settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
            is_version(exchange)

    windows: list[str] = []
    async with (
        h2_peer(script, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(client_version="v1"), timeout=0.05)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        windows.append("now")
        request = VersionRequest(client_version="v1")
        assert (await service.get_version(request)).compatible


async def test_settings_that_change_in_the_middle() -> None:
    """Windows shrink and grow while a large request is sent."""
    log: list[h2.events.Event] = []
    exchanges: list[Exchange] = []

    async def change() -> None:
        await until(lambda: exchanges)
        exchange = exchanges[0]
        for window in (10, 2**20, 1, 2**22):
            exchange.settings(
                {
                    SettingCodes.INITIAL_WINDOW_SIZE: window,
                    SettingCodes.HEADER_TABLE_SIZE: window,
                }
            )
            exchange.flush()
            await asyncio.sleep(0.01)
        await until(lambda: any(isinstance(e, h2.events.StreamEnded) for e in log))
        is_version(exchange)
        exchange.flush()

    async with (
        h2_peer(exchanges.append, log) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        changing = asyncio.create_task(change())
        big = VersionRequest(client_version="v" * 1_000_000)
        assert (await asyncio.wait_for(service.get_version(big), GUARD_S)).compatible
        await changing
    sent = sum(len(e.data or b"") for e in log if isinstance(e, h2.events.DataReceived))
    assert sent == len(bytes(big)) + 5


async def test_a_window_beyond_its_limit() -> None:
    """It ends the connection: calls fail with an error, and the next one reconnects."""

    def script(exchange: Exchange) -> None:
        if exchange.transport in broken:
            return
        if not broken:
            broken.append(exchange.transport)
            exchange.frame(WindowUpdateFrame(0, window_increment=2**31 - 1))
        else:
            is_version(exchange)

    broken: list[asyncio.Transport] = []
    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=5.0)
        assert caught.value.status is Status.UNAVAILABLE
        assert (await service.get_version(VersionRequest())).compatible


async def test_a_response_that_arrives_byte_by_byte() -> None:
    """The whole response is read in the end."""

    def script(exchange: Exchange) -> None:
        exchange.headers()
        asyncio.get_running_loop().create_task(drip(exchange))

    async def drip(exchange: Exchange) -> None:
        body = struct.pack(">BI", 0, len(VERSION)) + VERSION
        for byte in body:
            exchange.data(bytes([byte]))
            exchange.flush()
            await turns(2)
        exchange.trailers()
        exchange.flush()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        assert await service.get_version(VersionRequest()) == VersionResponse(
            compatible=True
        )
