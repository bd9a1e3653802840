"""The socket side: sizes, concurrency, and how the service stops."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
import trustme
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from remotemedia.testing import LocalService, NodeCall
from remotemedia.testing.limits import MAX_REQUEST_BYTES
from remotemedia.testing.transport import LimitedCodec, Stopwatch, serialization
from remotemedia.v1 import ExecuteRequest
from tests.support.pipelines import tone
from tests.testing.core_client import CoreClient, connect
from tests.testing.manifests import chain, node

PASS = chain(node("src", "PassThrough"))


def padded(size: int) -> ExecuteRequest:
    """A request of exactly this many bytes."""
    request = ExecuteRequest(manifest=chain(node("src", "PassThrough")))
    description = "x" * (size - 100)
    request.manifest.metadata.description = description
    missing = size - len(bytes(request))
    request.manifest.metadata.description = description + "x" * missing
    assert len(bytes(request)) == size
    return request


async def test_a_request_may_have_4_mib_and_no_more(core_client: CoreClient) -> None:
    await core_client.execute(padded(MAX_REQUEST_BYTES))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await core_client.execute(padded(MAX_REQUEST_BYTES + 1))
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert "4194305 bytes" in (caught.value.details() or "")


async def test_the_size_limit_holds_for_messages_of_a_stream(
    core_client: CoreClient,
) -> None:
    stream = core_client.open()
    await stream.init(PASS)
    await stream.read("ready")
    await stream.chunk("src", tone(MAX_REQUEST_BYTES // 4), 0)
    assert await stream.call.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_bytes_that_are_not_a_request_are_refused(
    local: LocalService, core_modules: dict[str, ModuleType]
) -> None:
    async with grpc.aio.insecure_channel(local.address) as channel:
        call: Any = channel.unary_unary(
            "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\xff")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = caught.value.details() or ""
    assert details.startswith("failed to decode Protobuf message: ")


async def test_one_connection_takes_many_sessions_at_once(
    core_client: CoreClient,
) -> None:
    streams = [core_client.open() for _ in range(300)]
    await asyncio.gather(*(stream.init(PASS) for stream in streams))
    await asyncio.gather(*(stream.read("ready") for stream in streams))
    for stream in streams:
        stream.call.cancel()


async def test_a_slow_session_does_not_stop_the_others(
    core_modules: dict[str, ModuleType],
) -> None:
    async def stall(call: NodeCall) -> None:
        await asyncio.Event().wait()

    async with (
        LocalService(nodes={"Stall": stall}) as service,
        connect(core_modules, service.address) as client,
    ):
        slow = client.open()
        await slow.init(chain(node("n", "Stall")))
        await slow.read("ready")

        audio = tone(250_000)

        async def flood() -> None:
            # More than grpclib's default window for a whole connection.
            for sequence in range(8):
                await slow.chunk("n", audio, sequence)

        flooding = asyncio.create_task(flood())
        for _ in range(50):
            assert (await client.version(timeout=5)).compatible
        flooding.cancel()
        slow.call.cancel()


async def test_small_answers_are_sent_at_once(
    local: LocalService, core_client: CoreClient
) -> None:
    await core_client.version()
    server = local._server
    assert server is not None
    (connection,) = server.connections
    found = connection.transport.get_extra_info("socket")
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_stopping_ends_the_calls_in_flight(
    core_modules: dict[str, ModuleType],
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(call: NodeCall) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    before = asyncio.all_tasks()
    service = LocalService(nodes={"Work": work})
    await service.start()
    async with connect(core_modules, service.address) as client:
        in_flight = asyncio.create_task(
            client.execute(ExecuteRequest(manifest=chain(node("n", "Work"))))
        )
        await began.wait()
        await service.stop()
        assert ended.is_set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await in_flight
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert asyncio.all_tasks() == before


async def test_stopping_closes_the_connections_at_once(
    local: LocalService, core_client: CoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remotemedia.testing.transport._FAREWELL_S", 60.0)
    await core_client.version()
    await asyncio.wait_for(local.stop(), 10)


async def test_a_client_that_hangs_up_ends_its_calls(
    core_modules: dict[str, ModuleType],
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(call: NodeCall) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with LocalService(nodes={"Work": work}) as service:
        async with connect(core_modules, service.address) as client:
            stream = client.open()
            await stream.init(chain(node("n", "Work")))
            await stream.chunk("n", tone(), 0)
            await began.wait()
        await asyncio.wait_for(ended.wait(), 10)


async def test_stopping_sends_a_goaway_frame(local: LocalService) -> None:
    host, port = local.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = await reader.read(1)
    await local.stop()
    received += await reader.read()
    writer.close()
    # The last frame is a GOAWAY: three bytes of length, then the type.
    assert received[-17:-13] == b"\0\0\x08\x07"


async def test_stopping_does_not_wait_for_a_client_that_does_not_read(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remotemedia.testing.transport._FAREWELL_S", 0.05)
    host, port = local.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.read(1)
    server = local._server
    assert server is not None
    (connection,) = server.connections
    # More than the kernel buffers, so that a service that waits never stops.
    connection.transport.write(bytes(64 * 2**20))
    await asyncio.wait_for(local.stop(), 5)
    assert not server.connections
    writer.close()


async def test_stopping_does_not_wait_for_a_tls_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.testing.transport._FAREWELL_S", 0.05)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with LocalService(ssl=context) as service:
        host, port = service.address.split(":")
        _, silent = await asyncio.open_connection(host, int(port))
        await asyncio.wait_for(service.stop(), 5)
    silent.close()


async def test_a_connection_that_was_accepted_as_it_stopped_is_dropped(
    local: LocalService,
) -> None:
    server = local._server
    assert server is not None
    connection: Any = server._protocol_factory()
    await local.stop()
    transport = Mock(asyncio.Transport)
    connection.connection_made(transport)
    transport.abort.assert_called_once()
    assert not connection.lost.done()
    connection.connection_lost(None)
    assert connection.lost.done()


async def test_a_new_connection_announces_its_limits(local: LocalService) -> None:
    host, port = local.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    buffer = FrameBuffer()
    buffer.max_frame_size = 2**14
    settings: dict[int, int] = {}
    window_bytes = 2**16 - 1
    # The service speaks first; it has not heard from this client.
    while SettingCodes.MAX_CONCURRENT_STREAMS not in settings or window_bytes < 2**16:
        buffer.add_data(await reader.read(65_536))
        for frame in buffer:
            if isinstance(frame, SettingsFrame):
                settings |= frame.settings
            elif isinstance(frame, WindowUpdateFrame):
                window_bytes += frame.window_increment
    assert settings[SettingCodes.MAX_CONCURRENT_STREAMS] == 10_000
    assert settings[SettingCodes.INITIAL_WINDOW_SIZE] == 2**20
    assert window_bytes == 64 * 2**20
    writer.close()


async def test_stopping_lets_a_client_read_what_was_sent(local: LocalService) -> None:
    host, port = local.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = await reader.read(1)
    server = local._server
    assert server is not None
    (connection,) = server.connections
    # More than the kernel buffers.
    size = 16 * 2**20
    connection.transport.write(bytes(size))
    stopping = asyncio.create_task(local.stop())
    received += await reader.read()
    await stopping
    assert len(received) > size
    assert received[-17:-13] == b"\0\0\x08\x07"
    writer.close()


def test_the_time_of_decoding_and_encoding_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = iter([1.0, 1.5, 3.0, 5.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    stopwatch = Stopwatch()
    token = serialization.set(stopwatch)
    try:
        codec = LimitedCodec()
        request = codec.decode(bytes(ExecuteRequest(manifest=PASS)), ExecuteRequest)
        assert request == ExecuteRequest(manifest=PASS)
        assert stopwatch.seconds == 0.5
        assert codec.encode(request, ExecuteRequest) == bytes(request)
        assert stopwatch.seconds == 2.5
    finally:
        serialization.reset(token)
