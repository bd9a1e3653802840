"""What faults do on the wire, as clients that are not ours see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, TypeVar

import grpc
import pytest
from grpclib.const import Status
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.frame_buffer import FrameBuffer
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, PingFrame

from remotemedia.testing import Fault, LocalService
from remotemedia.v1 import ErrorType, ExecuteRequest, ExecuteResponse, VersionRequest
from tests.support.pipelines import tone
from tests.testing.core_client import CoreStream, connect
from tests.testing.manifests import chain, node

PASS = chain(node("src", "PassThrough"))
NODE = ErrorType.NODE_EXECUTION
FrameT = TypeVar("FrameT", bound=Frame)

SERVICE = "/remotemedia.v1.PipelineExecutionService"


@asynccontextmanager
async def core_stream(
    modules: dict[str, ModuleType], fault: Fault
) -> AsyncIterator[CoreStream]:
    """A session on which two chunks were answered and a third was sent."""
    async with (
        LocalService(faults=[fault]) as service,
        connect(modules, service.address) as client,
    ):
        session = client.open()
        await session.init(PASS)
        await session.read("ready")
        for sequence in range(2):
            await session.chunk("src", tone(), sequence)
            assert (await session.read("result")).sequence == sequence
        await session.chunk("src", tone(), 2)
        yield session
        session.call.cancel()


async def test_grpcio_sees_a_status(core_modules: dict[str, ModuleType]) -> None:
    fault = Fault.status(Status.ABORTED, "späť", at_chunk=2)
    async with core_stream(core_modules, fault) as session:
        assert await session.call.code() is grpc.StatusCode.ABORTED
        assert await session.call.details() == "späť"


async def test_grpcio_sees_an_error(core_modules: dict[str, ModuleType]) -> None:
    fault = Fault.error("boom", error_type=NODE, failing_node_id="n", at_chunk=2)
    async with core_stream(core_modules, fault) as session:
        response = await session.read("error")
        assert response.error_type == ErrorType.INTERNAL
        assert response.message == "Node execution error in n: boom"
        assert response.failing_node_id == "n"
        assert await session.ends_well()


async def test_grpcio_sees_a_reset(core_modules: dict[str, ModuleType]) -> None:
    async with core_stream(
        core_modules, Fault.reset(ErrorCodes.ENHANCE_YOUR_CALM, at_chunk=2)
    ) as session:
        assert await session.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_grpcio_sees_a_lost_connection(
    core_modules: dict[str, ModuleType],
) -> None:
    async with core_stream(core_modules, Fault.drop_connection(at_chunk=2)) as session:
        assert await session.call.code() is grpc.StatusCode.UNAVAILABLE


async def test_grpcio_sees_an_early_end(core_modules: dict[str, ModuleType]) -> None:
    async with core_stream(core_modules, Fault.end_early(at_chunk=2)) as session:
        assert await session.ends_well()


async def test_grpcio_sees_a_bad_sequence(core_modules: dict[str, ModuleType]) -> None:
    fault = Fault.bad_sequence(at_chunk=2)
    async with core_stream(core_modules, fault) as session:
        assert (await session.read("result")).sequence > 2
        await session.chunk("src", tone(), 3)
        assert (await session.read("result")).sequence == 3


async def test_grpcio_continues_after_a_goaway(
    core_modules: dict[str, ModuleType],
) -> None:
    async with core_stream(core_modules, Fault.go_away(at_chunk=2)) as session:
        assert (await session.read("result")).sequence == 2
        await session.call.done_writing()
        assert await session.ends_well()


async def test_an_execution_by_grpcio_is_answered_with_an_error(
    core_modules: dict[str, ModuleType],
) -> None:
    fault = Fault.error("boom", error_type=NODE, failing_node_id="n")
    async with (
        LocalService(faults=[fault]) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        call: Any = channel.unary_unary(f"{SERVICE}/ExecutePipeline")
        answer = ExecuteResponse.FromString(
            await call(bytes(ExecuteRequest(manifest=PASS)))
        )
    assert answer.error.error_type is NODE
    assert answer.error.message == "boom"
    assert answer.error.failing_node_id == "n"


class Frames:
    """A client that sends HTTP/2 by hand and keeps the frames that it receives."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = H2Connection()
        self._h2.initiate_connection()
        self._buffer = FrameBuffer()
        self._buffer.max_frame_size = 2**14
        self.seen: list[Frame] = []

    def ask_version(self, stream_id: int) -> None:
        self._h2.send_headers(
            stream_id,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"{SERVICE}/GetVersion"),
                (":authority", "test"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
            ],
        )
        body = bytes(VersionRequest(client_version="v1"))
        message = b"\0" + len(body).to_bytes(4, "big") + body
        self._h2.send_data(stream_id, message, end_stream=True)

    async def until(self, kind: type[FrameT], stream_id: int = 0) -> FrameT:
        """Wait for a frame of this kind, on this stream or on the connection."""
        while True:
            for frame in self.seen:
                if isinstance(frame, kind) and frame.stream_id == stream_id:
                    return frame
            self._writer.write(self._h2.data_to_send())
            data = await self._reader.read(65_536)
            assert data
            self._buffer.add_data(data)
            self.seen += self._buffer

    async def until_all_is_read(self) -> None:
        self._h2.ping(bytes(8))
        await self.until(PingFrame)


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_goaway_on_the_wire(refuses: bool) -> None:
    async with LocalService() as service:
        host, port = service.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        frames = Frames(reader, writer)
        frames.ask_version(1)
        await frames.until(HeadersFrame, 1)
        server = service._server
        assert server is not None
        (connection,) = server.connections

        service.add_fault(Fault.go_away(refuses=refuses, method="GetVersion"))
        frames.ask_version(3)
        farewell = await frames.until(GoAwayFrame)
        assert farewell.last_stream_id == (1 if refuses else 3)
        assert farewell.error_code == ErrorCodes.NO_ERROR
        if not refuses:
            await frames.until(HeadersFrame, 3)

        # A call after the GOAWAY frame is ignored.
        frames.ask_version(5)
        await frames.until_all_is_read()
        assert 5 not in connection.processor.streams
        assert 5 not in {frame.stream_id for frame in frames.seen}
        assert (3 in {frame.stream_id for frame in frames.seen}) is not refuses
        writer.close()
