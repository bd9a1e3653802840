"""A client of the data contract, on grpcio's C core and Google's messages.

It has the calls of ``core_client``, and takes and gives the messages of the audio
contract where both say the same. So the same tests run on both contracts. ``ask`` and
``raw`` pass the data contract's own messages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

from conformance.oracle import Google
from remotemedia import data_v1
from remotemedia.v1 import ErrorType, ExecuteRequest, StreamRequest
from tests.testing.core_client import Call, CoreClient, CoreStream, Message

_EXECUTION = "/remotemedia.v1.PipelineExecutionService"
_STREAMING = "/remotemedia.v1.StreamingPipelineService"

# What the audio contract says for the type of an error: a status, and a prefix.
_STATUSES = {
    ErrorType.VALIDATION: "INVALID_ARGUMENT",
    ErrorType.NODE_EXECUTION: "INTERNAL",
    ErrorType.RESOURCE_LIMIT: "RESOURCE_EXHAUSTED",
    ErrorType.VERSION_MISMATCH: "FAILED_PRECONDITION",
}
_PREFIXES = {
    ErrorType.VALIDATION: "Validation error: ",
    ErrorType.NODE_EXECUTION: "Node execution error in {node}: ",
    ErrorType.RESOURCE_LIMIT: "Resource limit exceeded: ",
    ErrorType.VERSION_MISMATCH: "Version mismatch: ",
}


class DataClient(CoreClient):
    """The three calls, over one connection."""

    def __init__(
        self, modules: dict[str, ModuleType], google: Google, channel: Call
    ) -> None:
        super().__init__(modules, channel)
        self.google = google
        self._modules = modules

    async def ask(self, request: data_v1.ExecuteRequest) -> Message:
        """Execute; return the response of the data contract."""
        cls: Any = self.google.message("remotemedia.v1.ExecuteResponse")
        call: Any = self.channel.unary_unary(f"{_EXECUTION}/ExecutePipeline")
        return cls.FromString(await call(bytes(request)))

    async def execute(self, request: ExecuteRequest, **options: object) -> Message:
        response = await self.ask(_execute_request(request))
        assert response.WhichOneof("outcome") == "result", response
        result, common = response.result, self._modules["common_pb2"]
        return self.execution.ExecutionResult(
            **_outputs(common, result),
            metrics=_as(common.ExecutionMetrics, result.metrics),
            node_results=[_as(common.NodeResult, each) for each in result.node_results],
            status=result.status,
        )

    async def failure(self, request: ExecuteRequest) -> tuple[str, str]:
        error = (await self.ask(_execute_request(request))).error
        error_type = ErrorType(error.error_type)
        is_node = error_type is ErrorType.NODE_EXECUTION
        prefix = f"Node {error.failing_node_id}: " if is_node else ""
        return _STATUSES[error_type], prefix + error.message

    def open(self, **options: object) -> DataStream:
        path = f"{_STREAMING}/StreamPipeline"
        call: Any = self.channel.stream_stream(path)
        return DataStream(self._modules, self.google, call(**options))


class DataStream(CoreStream):
    """One session.

    Attributes:
        loading: what the service said of its nodes so far.
    """

    def __init__(
        self, modules: dict[str, ModuleType], google: Google, call: Call
    ) -> None:
        super().__init__(modules["streaming_pb2"], call)
        self._common = modules["common_pb2"]
        self._response: Any = google.message("remotemedia.v1.StreamResponse")
        self.loading: list[str] = []

    async def write(self, request: StreamRequest) -> None:
        await self.call.write(bytes(_stream_request(request)))

    async def raw(self, request: data_v1.StreamRequest) -> None:
        """Send a message of the data contract."""
        await self.call.write(bytes(request))

    async def next(self) -> Message:
        """The next response of the data contract."""
        data = await self.call.read()
        assert data, await self.call.details()
        return self._response.FromString(data)

    async def read(self, kind: str) -> Message:
        response = await self.next()
        while "_status" in response.result.data_outputs:
            report = response.result.data_outputs["_status"]
            self.loading.append(report.text.text_data.decode())
            response = await self.next()
        assert response.WhichOneof("response") == kind, response
        if kind != "result":
            converted = _as(self._streaming.StreamResponse, response)
            return getattr(converted, kind)
        found = response.result
        return self._streaming.ChunkResult(
            sequence=found.sequence,
            **_outputs(self._common, found),
            processing_time_ms=found.processing_time_ms,
            total_samples_processed=found.total_items_processed,
        )

    def error_text(self, error: Message) -> str:
        prefix = _PREFIXES[ErrorType(error.error_type)]
        return prefix.format(node=error.failing_node_id) + str(error.message)


@asynccontextmanager
async def connect_data(
    modules: dict[str, ModuleType], google: Google, address: str
) -> AsyncIterator[DataClient]:
    """Connect to a service."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
    ]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield DataClient(modules, google, channel)


def json_buffer(text: str) -> data_v1.DataBuffer:
    return data_v1.DataBuffer(json=data_v1.JsonData(json_payload=text))


def audio_buffer(audio: Any) -> data_v1.DataBuffer:
    """The same audio, by its bytes: the fields have the same numbers."""
    return data_v1.DataBuffer(audio=data_v1.AudioBuffer.FromString(bytes(audio)))


def _execute_request(request: ExecuteRequest) -> data_v1.ExecuteRequest:
    return data_v1.ExecuteRequest(
        manifest=data_v1.PipelineManifest.FromString(bytes(request.manifest)),
        data_inputs={
            **{name: json_buffer(text) for name, text in request.data_inputs.items()},
            **{name: audio_buffer(each) for name, each in request.audio_inputs.items()},
        },
        resource_limits=data_v1.ResourceLimits.FromString(
            bytes(request.resource_limits)
        ),
        client_version=request.client_version,
    )


def _stream_request(request: StreamRequest) -> data_v1.StreamRequest:
    kind = request.which_oneof("request")
    if kind == "init":
        init = request.init
        return data_v1.StreamRequest(
            init=data_v1.StreamInit(
                manifest=data_v1.PipelineManifest.FromString(bytes(init.manifest)),
                data_inputs={
                    name: json_buffer(text) for name, text in init.data_inputs.items()
                },
                resource_limits=data_v1.ResourceLimits.FromString(
                    bytes(init.resource_limits)
                ),
                client_version=init.client_version,
            )
        )
    if kind == "audio_chunk":
        chunk = request.audio_chunk
        return data_v1.StreamRequest(
            data_chunk=data_v1.DataChunk(
                node_id=chunk.node_id,
                buffer=audio_buffer(chunk.buffer),
                sequence=chunk.sequence,
            )
        )
    if kind == "control":
        command = data_v1.Command.try_value(request.control.command)
        return data_v1.StreamRequest(control=data_v1.StreamControl(command=command))
    return data_v1.StreamRequest()


def _outputs(common: ModuleType, result: Message) -> dict[str, Any]:
    """The outputs of a result, as the audio contract has them."""
    audio, data = {}, {}
    for name, buffer in result.data_outputs.items():
        if buffer.WhichOneof("data_type") == "json":
            data[name] = buffer.json.json_payload
        else:
            sound = buffer.audio
            if sound.HasField("metadata_json"):
                data[name] = sound.metadata_json.decode()
                sound.ClearField("metadata_json")
            audio[name] = _as(common.AudioBuffer, sound)
    return {"audio_outputs": audio, "data_outputs": data}


def _as(cls: Any, message: Message) -> Message:
    return cls.FromString(message.SerializeToString())
