"""The adapter of the data contract: what it makes of inputs, and of responses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from remotemedia import AudioBuffer, ErrorType, RemoteMediaError, v1
from remotemedia.contracts.data import DataContract
from remotemedia.contracts.results import ChunkResult, ExecutionResult
from remotemedia.data_v1 import (
    AudioBuffer as WireAudio,
)
from remotemedia.data_v1 import AudioFormat as WireFormat
from remotemedia.data_v1 import ChunkResult as ChunkMessage
from remotemedia.data_v1 import (
    DataBuffer,
    ErrorResponse,
    ExecuteRequest,
    ExecuteResponse,
    JsonData,
    StreamRequest,
    StreamResponse,
    TextBuffer,
    VideoFrame,
)
from remotemedia.data_v1 import ErrorType as WireErrorType
from remotemedia.data_v1 import ExecutionResult as ResultMessage
from remotemedia.manifest import to_manifest
from remotemedia.session import Event
from tests.support.pipelines import PASS, tone

CONTRACT = DataContract()
I16 = AudioBuffer.from_numpy(np.array([16384, -32768], np.int16), 8000)


def request(audio: object = None, data: object = None) -> ExecuteRequest:
    sent = CONTRACT.execute_request(PASS, audio, data, None)  # type: ignore[arg-type]  # mistakes, too
    return ExecuteRequest.FromString(bytes(sent))


def test_audio_of_an_execution_goes_out_as_floats() -> None:
    """The service reads it so, whatever its format says."""
    sent = request({"src": I16}).data_inputs["src"].audio
    assert sent.format is WireFormat.F32
    assert sent.to_numpy()[:, 0].tolist() == [0.5, -1.0]


def test_audio_as_a_message_goes_out_as_floats_too() -> None:
    audio = WireAudio.from_numpy(I16.to_numpy(), 8000)
    audio.metadata_json = b'{"a": 1}'
    buffer = DataBuffer(audio=audio, metadata={"k": "v"})
    sent = request(None, {"src": buffer}).data_inputs["src"]
    assert sent.audio.format is WireFormat.F32
    assert sent.audio.metadata_json == b'{"a": 1}'
    assert sent.metadata == {"k": "v"}
    assert buffer.audio.format is WireFormat.I16


def test_a_format_may_be_a_plain_number() -> None:
    number: Any = 2
    audio = WireAudio(samples=b"\x00\x40", channels=1, sample_rate=8000, format=number)
    sent = request(data={"src": audio}).data_inputs["src"].audio
    assert sent.format is WireFormat.F32
    assert np.frombuffer(sent.samples, np.float32).tolist() == [0.5]


def test_audio_on_a_stream_stays_as_it_is() -> None:
    content, _, _ = CONTRACT.payload(I16, "the chunk")
    assert content.audio.format is WireFormat.I16
    assert content.audio.samples is I16.samples


def test_json_beside_audio_travels_in_it() -> None:
    sent = request({"src": tone()}, {"src": {"gain": 2}})
    assert sent.data_inputs.keys() == {"src"}
    beside = sent.data_inputs["src"].audio.metadata_json
    assert beside is not None
    assert json.loads(beside) == {"gain": 2}


def test_metadata_of_json_beside_audio_is_kept() -> None:
    beside = DataBuffer(json=JsonData(json_payload="1"), metadata={"k": "v"})
    sent = request({"src": tone()}, {"src": beside}).data_inputs["src"]
    assert sent.audio.metadata_json == b"1"
    assert sent.metadata == {"k": "v"}


def test_nothing_else_fits_beside_audio() -> None:
    with pytest.raises(RemoteMediaError, match="one input, or audio and JSON") as e:
        request({"src": tone()}, {"src": b"bytes"})
    assert e.value.error_type is ErrorType.VALIDATION
    assert e.value.failing_node_id == "src"


def test_data_inputs_are_json_text_or_what_they_are() -> None:
    assert request(None, {"src": "[1]"}).data_inputs["src"].json.json_payload == "[1]"
    assert request(None, {"src": [1]}).data_inputs["src"].json.json_payload == "[1]"
    text = request(None, {"src": TextBuffer.from_text("hello")})
    assert text.data_inputs["src"].text.text == "hello"


def test_one_input_of_several_is_used_so_a_warning_says_it() -> None:
    manifest = {
        **PASS,
        "nodes": [{"id": name, "node_type": "PassThrough"} for name in ("a", "b")],
    }
    for audio, data in (
        ({"a": I16}, {"b": 1}),
        ({"a": I16, "b": I16}, None),
        (None, {"a": 1, "b": 2}),
    ):
        with pytest.warns(UserWarning, match="inputs for 2 nodes"):
            CONTRACT.execute_request(manifest, audio, data, None)
    # JSON beside audio is one input.
    CONTRACT.execute_request(manifest, {"a": I16}, {"a": 1}, None)


def test_inputs_go_to_nodes_of_the_manifest() -> None:
    for inputs in (({"other": tone()}, None), (None, {"other": 1})):
        with pytest.raises(RemoteMediaError, match="no node 'other'"):
            request(*inputs)


def test_limits_and_the_version_go_along() -> None:
    limits = v1.ResourceLimits(max_memory_bytes=5, max_audio_samples=9)
    sent = CONTRACT.execute_request(PASS, None, None, limits)
    assert bytes(sent.resource_limits) == bytes(limits)
    assert sent.client_version == "v1"
    init = CONTRACT.init_request(CONTRACT.manifest(PASS), {"src": "1"}, 160, limits)
    opened = StreamRequest.FromString(bytes(init)).init
    assert bytes(opened.resource_limits) == bytes(limits)
    assert (opened.expected_chunk_size, opened.client_version) == (160, "v1")
    assert opened.data_inputs["src"].json.json_payload == "1"


def test_a_manifest_may_say_which_kinds_of_data_a_node_takes() -> None:
    node = {"id": "a", "node_type": "X", "input_types": ["VIDEO", 3]}
    manifest = CONTRACT.manifest({"nodes": [node]})
    assert [hint.name for hint in manifest.nodes[0].input_types] == ["VIDEO", "TENSOR"]
    with pytest.raises(RemoteMediaError, match="no such node"):
        CONTRACT.manifest({"nodes": [node], "connections": [{"from": "a", "to": "b"}]})


def test_a_manifest_of_the_audio_contract_is_taken() -> None:
    assert CONTRACT.manifest(to_manifest(PASS)) == CONTRACT.manifest(PASS)


def test_a_result_an_error_and_neither() -> None:
    response = ExecuteResponse(result=ResultMessage())
    assert CONTRACT.error_of(response) is None
    assert isinstance(CONTRACT.result_of(response), ExecutionResult)
    neither = CONTRACT.error_of(ExecuteResponse())
    assert neither is not None
    assert "neither a result nor an error" in neither.message


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (WireErrorType.NODE_EXECUTION, v1.ErrorType.NODE_EXECUTION),
        # The audio contract has no such type.
        (WireErrorType.TYPE_VALIDATION, v1.ErrorType.VALIDATION),
    ],
)
def test_an_error_is_one_of_the_types_that_users_know(
    sent: WireErrorType, seen: v1.ErrorType
) -> None:
    error = ErrorResponse(error_type=sent, message="no", failing_node_id="a")
    found = CONTRACT.error_of(ExecuteResponse(error=error))
    assert found == v1.ErrorResponse(error_type=seen, message="no", failing_node_id="a")
    assert CONTRACT.read(StreamResponse(error=error)) == (Event.ERROR, found)


def result(**outputs: DataBuffer) -> StreamResponse:
    return StreamResponse(result=ChunkMessage(sequence=0, data_outputs=outputs))


def test_progress_of_loading_is_no_result() -> None:
    text = DataBuffer(text=TextBuffer.from_text("[lv] status=idle"))
    assert CONTRACT.read(result(_status=text)) == (Event.LOADING, "[lv] status=idle")
    assert CONTRACT.read(result(_status=DataBuffer())) == (Event.LOADING, "")
    event, found = CONTRACT.read(result(_status=text, vad=text))
    assert event is Event.RESULT
    assert isinstance(found, ChunkResult)
    assert CONTRACT.read(result())[0] is Event.RESULT


@pytest.mark.parametrize("data", [b"\xff\xfe", "ü".encode("latin-1")])
def test_progress_that_is_no_text_ends_nothing(data: bytes) -> None:
    broken = DataBuffer(text=TextBuffer(text_data=data, encoding="ascii"))
    event, text = CONTRACT.read(result(_status=broken))
    assert event is Event.LOADING
    assert isinstance(text, str)


def test_no_node_has_the_name_of_progress() -> None:
    manifest: dict[str, Any] = {
        "version": "v1",
        "metadata": {"name": "test"},
        "nodes": [{"id": "_status", "node_type": "PassThrough"}],
    }
    with pytest.raises(RemoteMediaError, match="a node has the id '_status'") as caught:
        CONTRACT.init_request(CONTRACT.manifest(manifest), None, 0, None)
    assert caught.value.error_type is ErrorType.VALIDATION


def test_what_has_no_length_has_no_time_of_its_own() -> None:
    frame = VideoFrame.from_numpy(np.zeros((4, 4, 3), np.uint8))
    for value in (frame, "text", np.zeros(3), b"1"):
        content, size, length_s = CONTRACT.payload(value, "the chunk")
        assert isinstance(content, DataBuffer)
        assert size == len(content)
        assert length_s is None


def test_an_execution_is_always_bounded() -> None:
    """A pipeline that produces nothing is never answered."""
    assert CONTRACT.max_execution_s == 65
