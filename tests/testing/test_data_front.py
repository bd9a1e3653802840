"""The data contract: kinds of values, errors, loading, and what the other one sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
import pytest_asyncio

from conformance.oracle import Google
from remotemedia import v1
from remotemedia.data_v1 import (
    AudioBuffer,
    AudioChunk,
    BinaryBuffer,
    ControlMessage,
    DataBuffer,
    DataChunk,
    DataTypeHint,
    ErrorType,
    ExecuteRequest,
    FileBuffer,
    JsonData,
    NumpyBuffer,
    PipelineManifest,
    StreamInit,
    StreamRequest,
    TensorBuffer,
    TextBuffer,
    VideoFrame,
)
from remotemedia.testing import Fault, LocalService, NodeCall, NodeOutput
from remotemedia.testing.limits import MAX_DATA_REQUEST_BYTES
from tests.support.pipelines import tone
from tests.testing.core_client import Message, connect
from tests.testing.data_client import (
    DataClient,
    DataStream,
    audio_buffer,
    connect_data,
    json_buffer,
)
from tests.testing.manifests import chain, node

PIXELS = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)

# One value of each kind but audio and JSON.
VALUES: dict[str, Any] = {
    "video": VideoFrame.from_numpy(PIXELS, frame_number=7, timestamp_us=8),
    "tensor": TensorBuffer.from_numpy(ARRAY.astype(np.float32), layout="NC"),
    "numpy": NumpyBuffer.from_numpy(ARRAY),
    "text": TextBuffer(text_data="čau".encode(), encoding="utf-8", channel="ui"),
    "binary": BinaryBuffer(data=b"\0\1", mime_type="image/png"),
    "file": FileBuffer(path="/tmp/a.wav", size=3),
}


def manifest(*nodes: v1.NodeManifest) -> PipelineManifest:
    return PipelineManifest.FromString(bytes(chain(*nodes)))


PASS = manifest(node("a", "PassThrough"), node("b", "Echo"), node("n", "PassThrough"))


def buffer_of(kind: str) -> DataBuffer:
    return DataBuffer.FromString(bytes(DataBuffer(**{kind: VALUES[kind]})))


def request(
    buffer: DataBuffer, pipeline: PipelineManifest = PASS, node_id: str = "a"
) -> ExecuteRequest:
    return ExecuteRequest(manifest=pipeline, data_inputs={node_id: buffer})


def chunk(buffer: DataBuffer, sequence: int = 0, node_id: str = "a") -> StreamRequest:
    return StreamRequest(
        data_chunk=DataChunk(node_id=node_id, buffer=buffer, sequence=sequence)
    )


@asynccontextmanager
async def serving(
    modules: dict[str, ModuleType], google: Google, **options: Any
) -> AsyncIterator[DataClient]:
    async with (
        LocalService(contract="data", **options) as service,
        connect_data(modules, google, service.address) as client,
    ):
        yield client


@pytest_asyncio.fixture
async def stream(data_client: DataClient) -> AsyncIterator[DataStream]:
    """A call that nothing was sent on yet."""
    stream = data_client.open()
    yield stream
    stream.call.cancel()


async def opened(
    stream: DataStream, pipeline: PipelineManifest = PASS, **more: Any
) -> None:
    init = StreamInit(manifest=pipeline, client_version="v1", **more)
    await stream.raw(StreamRequest(init=init))
    await stream.read("ready")


async def result_of(stream: DataStream) -> Message:
    response = await stream.next()
    assert response.WhichOneof("response") == "result", response
    return response.result


@pytest.mark.parametrize("kind", VALUES)
async def test_any_kind_passes_through_an_execution(
    data_client: DataClient, kind: str
) -> None:
    response = await data_client.ask(request(buffer_of(kind)))
    (name,) = response.result.data_outputs
    found = response.result.data_outputs[name]
    assert (name, found.SerializeToString()) == ("n", bytes(buffer_of(kind)))


@pytest.mark.parametrize("kind", VALUES)
async def test_any_kind_passes_through_a_session(stream: DataStream, kind: str) -> None:
    await opened(stream)
    await stream.raw(chunk(buffer_of(kind)))
    result = await result_of(stream)
    assert list(result.data_outputs) == ["n"]
    found = result.data_outputs["n"]
    assert found.SerializeToString() == bytes(buffer_of(kind))


async def test_nodes_get_values_and_give_arrays_bytes_and_messages(
    core_modules: dict[str, ModuleType], data_google: Google
) -> None:
    seen = []

    def note(call: NodeCall) -> Any:
        seen.append(call.data)
        return call.data

    def give(call: NodeCall) -> Any:
        gifts = [ARRAY, b"\0", "text", TextBuffer.from_text("text"), {"a": [1]}]
        return gifts[call.data]

    pipeline = manifest(node("give", "Give"), node("note", "Note"))
    async with serving(
        core_modules, data_google, nodes={"Give": give, "Note": note}
    ) as client:
        kinds = []
        for number in range(5):
            response = await client.ask(
                request(json_buffer(str(number)), pipeline, "give")
            )
            output = response.result.data_outputs["note"]
            kinds.append(output.WhichOneof("data_type"))
            if number == 0:
                assert output.numpy.SerializeToString() == bytes(
                    NumpyBuffer.from_numpy(ARRAY)
                )
    assert kinds == ["numpy", "binary", "json", "text", "json"]
    assert seen == [
        NumpyBuffer.from_numpy(ARRAY),
        BinaryBuffer(data=b"\0"),
        "text",
        TextBuffer.from_text("text"),
        {"a": [1]},
    ]


async def test_json_travels_with_audio_in_its_metadata(stream: DataStream) -> None:
    await opened(stream, manifest(node("src", "PassThrough"), node("ear", "VAD")))
    buffer = audio_buffer(tone())
    await stream.raw(chunk(buffer, node_id="src"))
    output = (await result_of(stream)).data_outputs["ear"].audio
    assert output.samples == tone().samples
    assert json.loads(output.metadata_json)["has_speech"] is True


async def test_json_that_came_with_audio_goes_on_with_it(
    data_client: DataClient,
) -> None:
    buffer = audio_buffer(tone())
    buffer.audio.metadata_json = b'{"speaker": 1}'
    response = await data_client.ask(request(buffer, manifest(node("a", "Echo"))))
    output = response.result.data_outputs["a"].audio
    assert output.samples == tone().samples
    assert json.loads(output.metadata_json)["input"] == {"speaker": 1}


async def test_audio_and_another_kind_do_not_go_together(
    core_modules: dict[str, ModuleType], data_google: Google
) -> None:
    def two(call: NodeCall) -> NodeOutput:
        return NodeOutput(tone(), VALUES["video"])

    async with serving(core_modules, data_google, nodes={"Two": two}) as client:
        response = await client.ask(ExecuteRequest(manifest=manifest(node("n", "Two"))))
    assert response.error.error_type == ErrorType.NODE_EXECUTION
    assert response.error.failing_node_id == "n"
    assert "audio and video" in response.error.message


async def test_the_older_form_of_a_chunk_is_understood(stream: DataStream) -> None:
    await opened(stream)
    audio = audio_buffer(tone()).audio
    with pytest.warns(DeprecationWarning, match="AudioChunk|audio_chunk"):
        old = [
            StreamRequest(
                audio_chunk=AudioChunk(node_id="a", buffer=audio, sequence=number)
            )
            for number in (0, 1)
        ]
    for sequence, each in enumerate(old):
        await stream.raw(each)
        result = await result_of(stream)
        assert result.sequence == sequence
        assert result.data_outputs["n"].audio.samples == audio.samples
    await stream.raw(old[1])
    assert "where 2 is next" in (await stream.read("error")).message


async def test_named_buffers_are_for_nodes_with_several_inputs(
    core_modules: dict[str, ModuleType], data_google: Google
) -> None:
    def mix(call: NodeCall) -> NodeOutput:
        named = call.upstream
        assert call.audio is named["voice"].audio
        assert named["frame"] == NodeOutput(data=call.data)
        return NodeOutput(named["voice"].audio, {"frame": call.data.frame_number})

    async with serving(core_modules, data_google, nodes={"Mix": mix}) as client:
        stream = client.open()
        await opened(stream, manifest(node("n", "Mix")))
        named = {"voice": audio_buffer(tone()), "frame": buffer_of("video")}
        await stream.raw(
            StreamRequest(data_chunk=DataChunk(node_id="n", named_buffers=named))
        )
        output = (await result_of(stream)).data_outputs["n"].audio
    assert output.samples == tone().samples
    assert json.loads(output.metadata_json) == {"frame": 7}


async def test_inputs_of_an_init_go_with_every_chunk(stream: DataStream) -> None:
    pipeline = manifest(node("a", "PassThrough"), node("n", "PassThrough"))
    inputs = {"a": buffer_of("video"), "n": audio_buffer(tone(80))}
    await opened(stream, pipeline, data_inputs=inputs)
    for sequence in range(2):
        await stream.raw(chunk(json_buffer(str(sequence)), sequence))
        output = (await result_of(stream)).data_outputs["n"].audio
        # The chunk comes before what stands, for a node and for what follows it.
        assert output.metadata_json == str(sequence).encode()
        assert output.num_samples == 80


async def test_each_node_reports_that_it_is_loaded(data_client: DataClient) -> None:
    stream = data_client.open()
    init = StreamInit(manifest=PASS, client_version="v1")
    await stream.raw(StreamRequest(init=init))
    response = await stream.next()
    assert response.result.sequence == 0
    assert list(response.result.data_outputs) == ["_status"]
    await stream.read("ready")
    assert stream.loading == [
        "[b] status=idle message=Echo ready (2/3)",
        "[n] status=idle message=PassThrough ready (3/3)",
    ]


@pytest.mark.parametrize(
    ("buffer", "says"),
    [
        (DataBuffer(), "the data for node 'a': the DataBuffer has no value"),
        (DataBuffer(control=ControlMessage(segment_id="s")), "takes no ControlMessage"),
        (
            DataBuffer(json=JsonData(json_payload="{")),
            "the json for node 'a' is not valid JSON",
        ),
        (DataBuffer(video=VideoFrame(width=1, height=1)), "the video for node 'a': "),
        (DataBuffer(numpy=NumpyBuffer(dtype="<f4", shape=[9])), "the numpy for node"),
        (audio_buffer(v1.AudioBuffer()), "the audio for node 'a' is not valid"),
        (
            DataBuffer(audio=AudioBuffer(metadata_json=b"\xff")),
            "the audio for node 'a' is not valid JSON",
        ),
    ],
    ids=["nothing", "control", "json", "video", "numpy", "audio", "beside audio"],
)
async def test_what_is_not_valid_is_refused(
    data_client: DataClient, buffer: DataBuffer, says: str
) -> None:
    error = (await data_client.ask(request(buffer))).error
    assert error.error_type == ErrorType.VALIDATION
    assert error.failing_node_id == "a"
    assert says in error.message


@pytest.mark.parametrize(
    ("node_type", "buffer", "error_type"),
    [
        ("AddNode", buffer_of("video"), ErrorType.TYPE_VALIDATION),
        ("AddNode", audio_buffer(tone()), ErrorType.TYPE_VALIDATION),
        ("AddNode", json_buffer('"one"'), ErrorType.NODE_EXECUTION),
        ("VAD", buffer_of("text"), ErrorType.TYPE_VALIDATION),
        ("VAD", json_buffer("1"), ErrorType.TYPE_VALIDATION),
    ],
)
async def test_a_kind_that_a_node_does_not_take_has_an_error_of_its_own(
    stream: DataStream, node_type: str, buffer: DataBuffer, error_type: ErrorType
) -> None:
    params = {"operand": 1} if node_type == "AddNode" else {}
    await opened(stream, manifest(node("a", node_type, **params)))
    await stream.raw(chunk(buffer))
    error = await stream.read("error")
    assert error.error_type == error_type
    assert error.failing_node_id == "a"
    assert await stream.ends_well()


async def test_a_manifest_may_say_which_kinds_a_node_takes(
    data_client: DataClient,
) -> None:
    pipeline = manifest(node("a", "PassThrough"))
    outcomes = []
    for hint in (DataTypeHint.TENSOR, DataTypeHint.ANY, DataTypeHint.AUDIO):
        pipeline.nodes[0].input_types = [hint]
        outcomes.append(await data_client.ask(request(buffer_of("numpy"), pipeline)))
    assert [each.WhichOneof("outcome") for each in outcomes] == [
        "result",
        "result",
        "error",
    ]
    error = outcomes[2].error
    assert error.error_type == ErrorType.TYPE_VALIDATION
    assert error.message == (
        "the numpy for node 'a': the manifest says that it takes AUDIO"
    )


@pytest.mark.parametrize("field", ["data", "pixel_data", "text_data"])
async def test_all_kinds_count_for_the_limit_of_memory(
    core_modules: dict[str, ModuleType], data_google: Google, field: str
) -> None:
    kind = {"data": "binary", "pixel_data": "video", "text_data": "text"}[field]
    size = len(getattr(VALUES[kind], field))
    for limit, outcome in ((size, "result"), (size - 1, "error")):
        limits = v1.ResourceLimits(max_memory_bytes=limit)
        async with serving(core_modules, data_google, limits=limits) as client:
            response = await client.ask(request(buffer_of(kind)))
        assert response.WhichOneof("outcome") == outcome, response
    assert response.error.error_type == ErrorType.RESOURCE_LIMIT
    assert f"{size} bytes of media" in response.error.message


async def test_a_request_may_have_10_mib(data_client: DataClient) -> None:
    rest = len(bytes(request(DataBuffer(binary=BinaryBuffer(data=bytes(2**23))))))
    room = MAX_DATA_REQUEST_BYTES - (rest - 2**23)
    largest = request(DataBuffer(binary=BinaryBuffer(data=bytes(room))))
    assert len(bytes(largest)) == MAX_DATA_REQUEST_BYTES == 10_485_760
    response = await data_client.ask(largest)
    assert response.WhichOneof("outcome") == "result"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await data_client.ask(
            request(DataBuffer(binary=BinaryBuffer(data=bytes(room + 1))))
        )
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_faults_count_chunks_and_not_reports_of_loading(
    core_modules: dict[str, ModuleType], data_google: Google
) -> None:
    fault = Fault.error(
        "boom", error_type=v1.ErrorType.RESOURCE_LIMIT, at_chunk=0, times=1
    )
    async with serving(core_modules, data_google, faults=[fault]) as client:
        stream = client.open()
        await opened(stream)
        await stream.raw(chunk(json_buffer("1")))
        error = await stream.read("error")
        assert (error.error_type, error.message) == (ErrorType.RESOURCE_LIMIT, "boom")
        assert await stream.ends_well()


async def test_a_fault_may_answer_an_execution(
    core_modules: dict[str, ModuleType], data_google: Google
) -> None:
    fault = Fault.error("boom", failing_node_id="a")
    async with serving(core_modules, data_google, faults=[fault]) as client:
        error = (await client.ask(request(json_buffer("1")))).error
    assert (error.error_type, error.message) == (ErrorType.INTERNAL, "boom")
    assert error.failing_node_id == "a"


AUDIO_PASS = chain(node("src", "PassThrough"))
OF_THE_AUDIO_CONTRACT = {
    "audio": v1.ExecuteRequest(manifest=AUDIO_PASS, audio_inputs={"src": tone()}),
    "json": v1.ExecuteRequest(manifest=AUDIO_PASS, data_inputs={"src": "5"}),
    "limits": v1.ExecuteRequest(
        manifest=AUDIO_PASS, resource_limits=v1.ResourceLimits(max_timeout_ms=5_000)
    ),
}


@pytest.mark.parametrize("kind", OF_THE_AUDIO_CONTRACT)
async def test_a_request_of_the_audio_contract_cannot_be_decoded(kind: str) -> None:
    async with LocalService(contract="data") as service:
        await refuses(service, bytes(OF_THE_AUDIO_CONTRACT[kind]))


async def test_a_session_of_the_audio_contract_cannot_be_decoded(
    core_modules: dict[str, ModuleType],
) -> None:
    async with (
        LocalService(contract="data") as service,
        connect(core_modules, service.address) as client,
    ):
        stream = client.open()
        # An init without inputs is the same in both.
        await stream.init(AUDIO_PASS)
        await stream.read("result")
        await stream.read("ready")
        await stream.chunk("src", tone(), 0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.call.read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = caught.value.details() or ""
    assert details.startswith("failed to decode Protobuf message: ")


@pytest.mark.parametrize("kind", [None, *VALUES])
async def test_the_audio_contract_cannot_decode_a_request_of_this_one(
    local: LocalService, kind: str | None
) -> None:
    inputs = {} if kind is None else {"a": buffer_of(kind)}
    made = ExecuteRequest(manifest=PASS, data_inputs=inputs, client_version="v1")
    await refuses(local, bytes(made))


async def refuses(service: LocalService, data: bytes) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        call: Any = channel.unary_unary(
            "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(data)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = caught.value.details() or ""
    assert details.startswith("failed to decode Protobuf message: ")
