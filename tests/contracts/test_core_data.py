"""The server that stands for the service of April 2026 behaves as that is known to.

It is called with grpcio and Google's messages, so none of the library is involved.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from tests.support.core_data_server import (
    EXECUTION,
    STREAMING,
    Behaviour,
    CoreDataServer,
    data_types,
    serve,
)
from tests.support.waiting import until

TYPES = data_types()
TONE = np.sin(np.arange(64) / 5).astype("<f4")

# Messages of Google's protobuf and calls of grpcio, which have no types here.
Message = Any
Call = Callable[..., Any]


@asynccontextmanager
async def channel_to(server: CoreDataServer) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        yield channel


def manifest(*nodes: tuple[str, str], params: object = None, **path: str) -> Message:
    """Return a manifest of nodes; ``a="b"`` connects the node `a` to `b`."""
    return TYPES.PipelineManifest(
        version="v1",
        nodes=[
            TYPES.NodeManifest(
                id=node_id,
                node_type=kind,
                params=json.dumps(params) if params is not None else "",
            )
            for node_id, kind in nodes
        ],
        connections=[
            TYPES.Connection(**{"from": source, "to": target})
            for source, target in path.items()
        ],
    )


PASS = manifest(("a", "PassThrough"))


def audio(samples: Any, code: int = 1) -> Message:
    return TYPES.DataBuffer(
        audio=TYPES.AudioBuffer(
            samples=samples.tobytes(),
            sample_rate=16_000,
            channels=1,
            format=code,
            num_samples=samples.size,
        )
    )


def a_text(text: str) -> Message:
    return TYPES.DataBuffer(text=TYPES.TextBuffer(text_data=text.encode()))


def a_json(value: object) -> Message:
    return TYPES.DataBuffer(json=TYPES.JsonData(json_payload=json.dumps(value)))


def serializer(message: Message) -> bytes:
    return bytes(message.SerializeToString())


async def execute(
    server: CoreDataServer, pipeline: Message, timeout: float = 5, **inputs: Message
) -> Message:
    request = TYPES.ExecuteRequest(manifest=pipeline, data_inputs=inputs)
    async with channel_to(server) as channel:
        call: Call = channel.unary_unary(
            f"/{EXECUTION}/ExecutePipeline",
            serializer,
            TYPES.ExecuteResponse.FromString,
        )
        return await call(request, timeout=timeout)


class Session:
    """A stream, written and read by hand."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.sequence = 0

    async def send(self, node_id: str, buffer: Message) -> None:
        chunk = TYPES.DataChunk(node_id=node_id, buffer=buffer, sequence=self.sequence)
        self.sequence += 1
        await self.call.write(TYPES.StreamRequest(data_chunk=chunk))

    async def control(self, command: int) -> None:
        control = TYPES.StreamControl(command=command)
        await self.call.write(TYPES.StreamRequest(control=control))

    async def read(self) -> Message:
        """Return the next response; None at the end of the call."""
        response = await self.call.read()
        return None if response is grpc.aio.EOF else response

    async def rest(self) -> list[Message]:
        found = []
        while (response := await self.read()) is not None:
            found.append(response)
        return found


@asynccontextmanager
async def opened(
    server: CoreDataServer, pipeline: Message = PASS
) -> AsyncIterator[Session]:
    """Open a stream, and read until it is ready."""
    async with channel_to(server) as channel:
        open_call: Call = channel.stream_stream(
            f"/{STREAMING}/StreamPipeline",
            serializer,
            TYPES.StreamResponse.FromString,
        )
        session = Session(open_call(timeout=20))
        init = TYPES.StreamInit(manifest=pipeline, client_version="v1")
        await session.call.write(TYPES.StreamRequest(init=init))
        while (response := await session.read()) is not None:
            if response.WhichOneof("response") == "ready":
                break
        yield session
        session.call.cancel()


def serving(**behaviour: Any) -> AbstractAsyncContextManager[CoreDataServer]:
    return serve(Behaviour(**behaviour))


# -- executions


@pytest.mark.parametrize("version", ["0.4.0", "0.2.0", "9.9"])
async def test_the_version_is_stated_and_no_node_types(version: str) -> None:
    async with serving(version=version) as server, channel_to(server) as channel:
        call: Call = channel.unary_unary(
            f"/{EXECUTION}/GetVersion",
            serializer,
            TYPES.VersionResponse.FromString,
        )
        answer = await call(TYPES.VersionRequest(client_version="v1"))
    assert answer.compatible
    assert answer.version_info.runtime_version == version
    assert list(answer.version_info.supported_node_types) == []
    assert list(answer.version_info.supported_protocols) == ["v1"]
    assert answer.version_info.build_timestamp == "unknown"


async def test_the_output_has_one_name(core_data: CoreDataServer) -> None:
    calculator = manifest(
        ("calc", "CalculatorNode"), params={"operation": "multiply", "operand": 4}
    )
    answer = await execute(core_data, calculator, whatever=a_json(3))
    assert list(answer.result.data_outputs) == ["output"]
    assert answer.result.data_outputs["output"].json.json_payload == "12"


async def test_one_of_several_inputs_is_used(core_data: CoreDataServer) -> None:
    answer = await execute(core_data, PASS, a=a_json(1), b=a_json(2))
    assert answer.result.data_outputs["output"].json.json_payload == "2"


async def test_audio_is_read_as_f32(core_data: CoreDataServer) -> None:
    answer = await execute(core_data, PASS, a=audio(TONE))
    assert answer.result.data_outputs["output"] == audio(TONE)
    shorts = np.arange(8, dtype="<i2")
    answer = await execute(core_data, PASS, a=audio(shorts, code=2))
    found = answer.result.data_outputs["output"].audio
    assert (found.format, found.num_samples) == (1, 4)
    assert found.samples == shorts.tobytes()


@pytest.mark.parametrize(
    ("pipeline", "inputs", "error_type", "text"),
    [
        (PASS, {}, 1, "No input"),
        (PASS, {"a": TYPES.DataBuffer()}, 1, "Unsupported data type"),
        (
            PASS,
            {"a": TYPES.DataBuffer(control=TYPES.ControlMessage())},
            *(1, "Unsupported data type"),
        ),
        (manifest(("a", "Nope")), {"a": a_json(1)}, 2, "Available types.*PassThrough"),
        (
            manifest(("a", "PassThrough"), ("b", "PassThrough"), a="b", b="a"),
            *({"a": a_json(1)}, 2, "cycle"),
        ),
        (manifest(("a", "PassThrough"), a="c"), {"a": a_json(1)}, 2, "unknown node"),
        (
            manifest(
                ("a", "CalculatorNode"), params={"operation": "divide", "operand": 0}
            ),
            *({"a": a_json(1)}, 2, "division by zero"),
        ),
    ],
)
async def test_errors_are_in_the_oneof(
    core_data: CoreDataServer,
    pipeline: Message,
    inputs: dict[str, Message],
    error_type: int,
    text: str,
) -> None:
    answer = await execute(core_data, pipeline, **inputs)
    assert answer.WhichOneof("outcome") == "error"
    assert answer.error.error_type == error_type
    with pytest.raises(RuntimeError, match=text):
        raise RuntimeError(answer.error.message)


async def test_the_checks_of_clients_are_missing(core_data: CoreDataServer) -> None:
    pipeline = manifest(("a", "PassThrough"), ("a", "PassThrough"))
    pipeline.version = "v9"
    answer = await execute(core_data, pipeline, a=a_json(1))
    assert answer.WhichOneof("outcome") == "result"


async def test_what_produces_nothing_is_never_answered() -> None:
    collector = manifest(("a", "TextCollectorNode"))
    async with serving() as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await execute(server, collector, timeout=0.2, a=a_text("half a sen"))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with serving(gives_up_s=0.01) as server:
        with pytest.raises(grpc.aio.AioRpcError, match="Timeout expired") as caught:
            await execute(server, collector, a=a_text("half a sen"))
        assert caught.value.code() is grpc.StatusCode.CANCELLED


async def test_a_round_trip_loses_what_the_service_does_not_hold(
    core_data: CoreDataServer,
) -> None:
    async def trip(**buffer: Message) -> Message:
        sent = TYPES.DataBuffer(**buffer, metadata={"key": "value"})
        answer = await execute(core_data, PASS, a=sent)
        found = answer.result.data_outputs["output"]
        assert not found.metadata
        return found

    text = await trip(text=TYPES.TextBuffer(text_data=b"hello", channel="main"))
    assert (text.text.text_data, text.text.channel) == (b"hello", "tts")
    binary = await trip(binary=TYPES.BinaryBuffer(data=b"abc", mime_type="image/png"))
    assert (binary.binary.data, binary.binary.mime_type) == (b"abc", "")
    frame = TYPES.VideoFrame(pixel_data=bytes(12), width=2, height=2, format=1)
    video = await trip(video=frame)
    assert (video.video.pixel_data, video.video.format) == (bytes(12), 0)


async def test_only_an_execution_checks_the_token() -> None:
    async with serving(token="secret") as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await execute(server, PASS, a=a_json(1))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        async with opened(server) as session:
            await session.send("a", a_json(1))
            assert (await session.read()).WhichOneof("response") == "result"


async def test_the_largest_request_is_10_mib(core_data: CoreDataServer) -> None:
    def binary(size: int) -> Message:
        return TYPES.DataBuffer(binary=TYPES.BinaryBuffer(data=bytes(size)))

    with pytest.raises(grpc.aio.AioRpcError, match="message length") as caught:
        await execute(core_data, PASS, a=binary(10 * 1024 * 1024))
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_requests_of_the_other_contract_are_not_decoded(
    core_data: CoreDataServer, core_modules: dict[str, Any]
) -> None:
    common, execution, streaming = (
        core_modules[f"{name}_pb2"] for name in ("common", "execution", "streaming")
    )
    buffer = common.AudioBuffer(samples=bytes(8), sample_rate=16_000, channels=1)
    unary = [
        execution.ExecuteRequest(audio_inputs={"a": buffer}),
        execution.ExecuteRequest(data_inputs={"a": "12"}),
    ]
    async with channel_to(core_data) as channel:
        call: Call = channel.unary_unary(f"/{EXECUTION}/ExecutePipeline", serializer)
        for request in unary:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request)
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert "failed to decode Protobuf message" in str(caught.value.details())
    chunk = streaming.AudioChunk(node_id="a", buffer=buffer)
    async with opened(core_data) as session:
        await session.call.write(streaming.StreamRequest(audio_chunk=chunk))
        with pytest.raises(grpc.aio.AioRpcError, match="failed to decode Protobuf"):
            await session.read()
        assert await session.call.code() is grpc.StatusCode.INTERNAL


# -- streams


async def test_loading_is_reported_before_the_session_is_ready(
    core_data: CoreDataServer,
) -> None:
    async with channel_to(core_data) as channel:
        open_call: Call = channel.stream_stream(
            f"/{STREAMING}/StreamPipeline",
            serializer,
            TYPES.StreamResponse.FromString,
        )
        session = Session(open_call())
        init = TYPES.StreamInit(manifest=manifest(("lv", "AudioLevelNode")))
        await session.call.write(TYPES.StreamRequest(init=init))
        texts = []
        while (response := await session.read()).WhichOneof("response") == "result":
            assert response.result.sequence == 0
            texts.append(response.result.data_outputs["_status"].text.text_data)
        assert response.WhichOneof("response") == "ready"
        assert texts[-1] == b"[lv] status=idle message=AudioLevelNode ready (1/1)"
        session.call.cancel()


async def test_the_outputs_are_those_of_the_sinks(core_data: CoreDataServer) -> None:
    pipeline = manifest(
        *(("in", "PassThrough"), ("lv", "AudioLevelNode")), **{"in": "lv"}
    )
    async with opened(core_data, pipeline) as session:
        await session.send("in", audio(TONE))
        result = (await session.read()).result
    assert list(result.data_outputs) == ["lv"]
    level = json.loads(result.data_outputs["lv"].json.json_payload)
    assert set(level) == {"rms_db", "peak_db", "is_silence", "health"}
    assert not level["is_silence"]
    assert (result.processing_time_ms, result.total_items_processed) == (0, 0)


async def test_a_chunk_has_no_result_or_several(core_data: CoreDataServer) -> None:
    chunker = manifest(("a", "AudioChunkerNode"), params={"chunk_size": 24})
    async with opened(core_data, chunker) as session:
        for samples in (TONE[:10], TONE, TONE[:10]):
            await session.send("a", audio(samples))
        results = [(await session.read()).result for _ in range(3)]
        await session.control(1)
        closed = await session.rest()
    assert [result.sequence for result in results] == [1, 1, 1]
    assert all(r.data_outputs["a"].audio.num_samples == 24 for r in results)
    assert [each.closed.reason for each in closed] == ["Client requested close"]


async def test_integers_are_converted_in_a_stream(core_data: CoreDataServer) -> None:
    shorts = np.array([0, 16384, -32768], "<i2")
    async with opened(core_data) as session:
        await session.send("a", audio(shorts, code=2))
        found = (await session.read()).result.data_outputs["a"].audio
        assert found.format == 1
        assert np.frombuffer(found.samples, "<f4").tolist() == [0, 0.5, -1]


async def test_audio_chunks_of_old_are_understood(core_data: CoreDataServer) -> None:
    chunk = TYPES.AudioChunk(node_id="a", buffer=audio(TONE).audio, sequence=7)
    async with opened(core_data) as session:
        await session.call.write(TYPES.StreamRequest(audio_chunk=chunk))
        result = (await session.read()).result
    assert result.sequence == 7
    assert result.data_outputs["a"].audio.num_samples == 64


async def test_nothing_is_said_of_unknown_nodes_and_failing_ones(
    core_data: CoreDataServer,
) -> None:
    async with opened(core_data, manifest(("lv", "AudioLevelNode"))) as session:
        await session.send("nope", audio(TONE))
        await session.send("lv", a_text("no audio"))
        await session.send("lv", audio(TONE))
        assert (await session.read()).result.sequence == 2
        await session.control(2)
        (closed,) = await session.rest()
    assert closed.closed.reason == "Client requested cancel"


async def test_an_error_leaves_the_call_open() -> None:
    async with serving(error_at_chunk=0) as server, opened(server) as session:
        await session.send("a", a_json(1))
        assert (await session.read()).error.error_type == 2
        await session.send("a", a_json(2))
        assert (await session.read()).result.sequence == 1


async def test_a_pipeline_that_is_not_valid_ends_the_call(
    core_data: CoreDataServer,
) -> None:
    async with channel_to(core_data) as channel:
        open_call: Call = channel.stream_stream(
            f"/{STREAMING}/StreamPipeline",
            serializer,
            TYPES.StreamResponse.FromString,
        )
        session = Session(open_call())
        init = TYPES.StreamInit(manifest=manifest(("a", "Nope")))
        await session.call.write(TYPES.StreamRequest(init=init))
        (response,) = await session.rest()
        assert "Available types" in response.error.message
        assert await session.call.code() is grpc.StatusCode.OK
    await until(lambda: core_data.running == 0)


@pytest.mark.parametrize("ending", ["close", "half-close"])
async def test_what_was_not_processed_is_lost_at_the_end(ending: str) -> None:
    async with serving(work_s=60) as server, opened(server) as session:
        await session.send("a", a_json(1))
        if ending == "close":
            await session.control(1)
        else:
            await session.call.done_writing()
        assert [each.WhichOneof("response") for each in await session.rest()] == (
            ["closed"] if ending == "close" else []
        )
        assert len(server.chunks) == 1
        assert server.processed == []


async def test_what_is_answered_is_not_lost() -> None:
    async with serving(work_s=0.01) as server, opened(server) as session:
        await session.send("a", a_json(1))
        assert (await session.read()).result.sequence == 0
        await session.control(1)
        (closed,) = await session.rest()
        assert closed.WhichOneof("response") == "closed"


async def test_pixels_are_flipped_and_audio_is_resampled(
    core_data: CoreDataServer,
) -> None:
    frame = TYPES.VideoFrame(pixel_data=b"abcdef", width=2, height=1, format=1)
    answer = await execute(
        core_data, manifest(("f", "VideoFlip")), f=TYPES.DataBuffer(video=frame)
    )
    assert answer.result.data_outputs["output"].video.pixel_data == b"defabc"
    resample = manifest(
        ("r", "FastResampleNode"),
        params={"source_rate": 48_000, "target_rate": 16_000, "channels": 1},
    )
    second = np.zeros(48_000, "<f4")
    answer = await execute(core_data, resample, r=audio(second))
    found = answer.result.data_outputs["output"].audio
    assert (found.num_samples, found.sample_rate) == (15_360, 16_000)
