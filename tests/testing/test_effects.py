"""What faults do on the wire, as clients that are not ours see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import FrozenInstanceError, replace
from types import ModuleType
from typing import Any, TypeVar

import grpc
import pytest
from grpclib.const import Status
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.frame_buffer import FrameBuffer
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, PingFrame

from remotemedia.testing import Fault, LocalService, Node, NodeCall
from remotemedia.testing.audio_front import AudioFront
from remotemedia.testing.effects import (
    AnswerError,
    Call,
    Delay,
    DropConnection,
    Effect,
    EndEarly,
    EndWithStatus,
    GoAway,
    Reset,
    WrongSequence,
)
from remotemedia.v1 import ErrorType, ExecuteRequest, ExecuteResponse, VersionRequest
from tests.support.pipelines import tone
from tests.testing.conftest import Serve
from tests.testing.core_client import CoreStream, connect
from tests.testing.manifests import chain, node

PASS = chain(node("src", "PassThrough"))
NODE = ErrorType.NODE_EXECUTION
FrameT = TypeVar("FrameT", bound=Frame)

SERVICE = "/remotemedia.v1.PipelineExecutionService"


@asynccontextmanager
async def core_stream(serve: Serve, fault: Fault) -> AsyncIterator[CoreStream]:
    """A session on which two chunks were answered and a third was sent."""
    async with serve(faults=[fault]) as client:
        session = client.open()
        await session.init(PASS)
        await session.read("ready")
        for sequence in range(2):
            await session.chunk("src", tone(), sequence)
            assert (await session.read("result")).sequence == sequence
        await session.chunk("src", tone(), 2)
        yield session
        session.call.cancel()


async def test_grpcio_sees_a_status(serve: Serve) -> None:
    fault = Fault.status(Status.ABORTED, "späť", at_chunk=2)
    async with core_stream(serve, fault) as session:
        assert await session.call.code() is grpc.StatusCode.ABORTED
        assert await session.call.details() == "späť"


async def test_grpcio_sees_an_error(serve: Serve) -> None:
    fault = Fault.error("boom", error_type=NODE, failing_node_id="n", at_chunk=2)
    async with core_stream(serve, fault) as session:
        response = await session.read("error")
        assert session.error_text(response) == "Node execution error in n: boom"
        assert response.failing_node_id == "n"
        assert await session.ends_well()


async def test_grpcio_sees_a_reset(serve: Serve) -> None:
    async with core_stream(
        serve, Fault.reset(ErrorCodes.ENHANCE_YOUR_CALM, at_chunk=2)
    ) as session:
        assert await session.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_grpcio_sees_a_lost_connection(
    serve: Serve,
) -> None:
    async with core_stream(serve, Fault.drop_connection(at_chunk=2)) as session:
        assert await session.call.code() is grpc.StatusCode.UNAVAILABLE


async def test_grpcio_sees_an_early_end(serve: Serve) -> None:
    async with core_stream(serve, Fault.end_early(at_chunk=2)) as session:
        assert await session.ends_well()


async def test_grpcio_sees_a_bad_sequence(serve: Serve) -> None:
    fault = Fault.bad_sequence(at_chunk=2)
    async with core_stream(serve, fault) as session:
        assert (await session.read("result")).sequence == 2**64 - 1
        await session.chunk("src", tone(), 3)
        assert (await session.read("result")).sequence == 3


async def test_grpcio_continues_after_a_goaway(
    serve: Serve,
) -> None:
    async with core_stream(serve, Fault.go_away(at_chunk=2)) as session:
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

    def send(self) -> None:
        self._writer.write(self._h2.data_to_send())

    async def until(self, kind: type[FrameT], stream_id: int = 0) -> FrameT:
        """Wait for a frame of this kind, on this stream or on the connection."""
        while True:
            for frame in self.seen:
                if isinstance(frame, kind) and frame.stream_id == stream_id:
                    return frame
            self.send()
            data = await self._reader.read(65_536)
            assert data
            self._buffer.add_data(data)
            self.seen += self._buffer

    async def until_all_is_read(self) -> None:
        self._h2.ping(bytes(8))
        await self.until(PingFrame)


@asynccontextmanager
async def frames(service: LocalService) -> AsyncIterator[Frames]:
    """Connect to the service."""
    host, port = service.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with closing(writer):
        yield Frames(reader, writer)


async def test_a_goaway_that_refuses_the_first_call_names_no_call() -> None:
    fault = Fault.go_away(refuses=True, method="GetVersion")
    async with LocalService(faults=[fault]) as service, frames(service) as client:
        client.ask_version(1)
        assert (await client.until(GoAwayFrame)).last_stream_id == 0


async def test_a_goaway_that_refuses_cancels_the_later_calls() -> None:
    first, later = asyncio.Event(), asyncio.Event()
    is_cancelled = asyncio.Event()

    class RefuseOnceLaterCallsRun(Effect):
        async def apply(self, call: Call) -> None:
            first.set()
            await later.wait()
            await GoAway(refuses=True).apply(call)

    class Run(Effect):
        async def apply(self, call: Call) -> None:
            later.set()
            try:
                await asyncio.Event().wait()
            finally:
                is_cancelled.set()

    faults = [
        Fault(RefuseOnceLaterCallsRun(), method="GetVersion"),
        Fault(Run(), method="GetVersion"),
    ]
    async with LocalService(faults=faults) as service, frames(service) as client:
        client.ask_version(1)
        client.send()
        await first.wait()
        client.ask_version(3)
        assert (await client.until(GoAwayFrame)).last_stream_id == 0
        await is_cancelled.wait()


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_goaway_on_the_wire(refuses: bool) -> None:
    async with LocalService() as service, frames(service) as client:
        client.ask_version(1)
        await client.until(HeadersFrame, 1)
        server = service._server
        assert server is not None
        (connection,) = server.connections

        service.add_fault(Fault.go_away(refuses=refuses, method="GetVersion"))
        client.ask_version(3)
        farewell = await client.until(GoAwayFrame)
        assert farewell.last_stream_id == (1 if refuses else 3)
        assert farewell.error_code == ErrorCodes.NO_ERROR
        if not refuses:
            await client.until(HeadersFrame, 3)

        # A call after the GOAWAY frame is ignored.
        client.ask_version(5)
        await client.until_all_is_read()
        assert 5 not in connection.processor.streams
        assert 5 not in {frame.stream_id for frame in client.seen}
        assert (3 in {frame.stream_id for frame in client.seen}) is not refuses


@pytest.mark.parametrize("fault", [Fault.reset(), Fault.drop_connection()])
async def test_a_call_that_a_fault_ended_is_not_processed(
    core_modules: dict[str, ModuleType], fault: Fault
) -> None:
    processed = []

    class Note(Node):
        def process(self, call: NodeCall) -> None:
            processed.append(call.node_id)

    async with LocalService(nodes={"Note": Note}, faults=[fault]) as service:
        for node_id, is_ended in (("first", True), ("second", False)):
            async with connect(core_modules, service.address) as client:
                request = ExecuteRequest(manifest=chain(node(node_id, "Note")))
                if is_ended:
                    with pytest.raises(grpc.aio.AioRpcError):
                        await client.execute(request)
                else:
                    await client.execute(request)
    assert processed == ["second"]


async def test_a_delay_waits() -> None:
    call = Call("GetVersion", None, AudioFront())  # type: ignore[arg-type]  # not used
    await Delay(0).apply(call)
    waiting = asyncio.create_task(Delay(1_000).apply(call))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize(
    "effect",
    [
        Delay(1),
        EndWithStatus(Status.ABORTED, "m"),
        AnswerError("m", NODE, "n"),
        EndEarly(),
        WrongSequence(),
        Reset(ErrorCodes.CANCEL),
        GoAway(refuses=True),
        DropConnection(),
    ],
)
def test_faults_with_equal_effects_are_equal(effect: Effect) -> None:
    assert len({Fault(effect), Fault(replace(effect))}) == 1  # type: ignore[type-var]  # all are dataclasses


def test_a_call_cannot_be_changed() -> None:
    call = Call("GetVersion", None, AudioFront())  # type: ignore[arg-type]  # not used
    with pytest.raises(FrozenInstanceError):
        call.method = "ExecutePipeline"  # type: ignore[misc]  # on purpose
