"""Results of the data contract: their outputs, and what the audio contract knows."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from remotemedia import data_v1, v1
from remotemedia.contracts.results import ChunkResult, ExecutionResult
from remotemedia.contracts.values import to_buffer
from remotemedia.data_v1 import BinaryBuffer, DataBuffer, FileBuffer, VideoFrame
from tests.support.pipelines import tone

ARRAY = np.arange(6, dtype=np.float64).reshape(2, 3)
FRAME = VideoFrame.from_numpy(np.full((2, 4, 3), 9, np.uint8))
TENSOR = data_v1.TensorBuffer.from_numpy(np.ones((2, 2), np.float16))

OUTPUTS = {
    "voice": to_buffer(tone(), ""),
    "level": to_buffer({"rms_db": -20.5}, ""),
    "words": to_buffer("grüße", ""),
    "vector": to_buffer(ARRAY, ""),
    "tensor": to_buffer(TENSOR, ""),
    "frame": to_buffer(FRAME, ""),
    "image": to_buffer(BinaryBuffer(data=b"png", mime_type="image/png"), ""),
    "report": to_buffer(FileBuffer(path="/r.txt"), ""),
}


def chunk(**outputs: DataBuffer) -> ChunkResult:
    return ChunkResult(data_v1.ChunkResult(sequence=3, data_outputs=outputs))


ALL = chunk(**OUTPUTS)


def test_each_kind_by_its_name() -> None:
    assert ALL.audio("voice") == tone()
    assert ALL.json("level") == {"rms_db": -20.5}
    assert ALL.text("words") == "grüße"
    assert ALL.array("vector").tolist() == ARRAY.tolist()
    assert ALL.array("tensor").dtype == np.float16
    assert ALL.video("frame").to_numpy().shape == (2, 4, 3)
    assert ALL.binary("image").mime_type == "image/png"
    assert ALL.file("report").path == "/r.txt"
    assert ALL.outputs == OUTPUTS


def test_the_only_one_of_its_kind_needs_no_name() -> None:
    assert ALL.audio() == tone()
    assert ALL.json() == {"rms_db": -20.5}
    assert ALL.text() == "grüße"
    assert ALL.video() == FRAME
    with pytest.raises(KeyError, match=r"several array outputs.*'tensor', 'vector'"):
        ALL.array()


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda found: found.video("words"), "no video output 'words'; there are: "),
        (lambda found: found.text("frames"), r"'frame' \(video\), 'image' \(binary\)"),
        (lambda found: found.array("level"), r"'level' \(JSON\)"),
        (lambda found: found.audio("x"), r"'tensor' \(array\).* 'voice' \(audio\)"),
    ],
)
def test_another_name_or_kind_says_what_there_is(
    ask: Callable[[ChunkResult], object], text: str
) -> None:
    with pytest.raises(KeyError, match=text):
        ask(ALL)


def test_without_outputs_there_is_none() -> None:
    with pytest.raises(KeyError, match="no JSON output; there are: none"):
        chunk().json()
    with pytest.raises(KeyError, match=r"there are: 'a' \(empty\)"):
        chunk(a=DataBuffer()).audio()


def test_memory_is_shared_with_what_was_received() -> None:
    message = data_v1.ChunkResult.FromString(bytes(ALL.message))
    received = ChunkResult(message)
    samples = message.data_outputs["voice"].audio.samples
    assert received.audio("voice").samples is samples
    array = received.array("vector")
    assert not array.flags.writeable
    whole = np.frombuffer(message.data_outputs["vector"].numpy.data, np.uint8)
    assert np.shares_memory(array, whole)


def test_what_the_audio_contract_knows_is_where_its_users_look() -> None:
    assert isinstance(ALL, v1.ChunkResult)
    assert ALL.sequence == 3
    assert ALL.audio_outputs == {"voice": tone()}
    assert ALL.data_outputs == {"level": '{"rms_db": -20.5}'}


def test_json_beside_audio_is_an_output_of_the_same_name() -> None:
    buffer = to_buffer(tone(), "")
    buffer.audio.metadata_json = b'{"has_speech": true}'
    found = chunk(vad=buffer)
    assert found.json("vad") == {"has_speech": True}
    assert found.json() == {"has_speech": True}
    assert found.audio("vad") == tone()
    buffer.audio.metadata_json = b"\xff"
    with pytest.raises(ValueError, match="Expecting value"):
        chunk(vad=buffer).json()


def test_a_result_of_an_execution() -> None:
    error = data_v1.ErrorResponse(message="no", failing_node_id="b")
    message = data_v1.ExecutionResult(
        data_outputs={"output": to_buffer("hello", "")},
        metrics=data_v1.ExecutionMetrics(
            wall_time_ms=1.5,
            node_metrics={"a": data_v1.NodeMetrics(items_processed=4)},
            data_type_breakdown={"text": 1},
        ),
        node_results=[
            data_v1.NodeResult(
                node_id="b", status=data_v1.NodeStatus.FAILED, error=error
            )
        ],
        status=data_v1.ExecutionStatus.PARTIAL_SUCCESS,
    )
    result = ExecutionResult(message)
    assert result.text() == "hello"
    assert result.metrics.wall_time_ms == 1.5
    assert result.metrics.node_metrics["a"].samples_processed == 4
    assert result.status is v1.ExecutionStatus.PARTIAL_SUCCESS
    assert result.node_results[0].status is v1.NodeStatus.FAILED
    assert result.node_results[0].error.failing_node_id == "b"
    assert result.message.metrics.data_type_breakdown == {"text": 1}
    assert result.request_id == ""


@pytest.mark.parametrize(
    "result",
    [ALL, ExecutionResult(data_v1.ExecutionResult(data_outputs=OUTPUTS))],
)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_copies_are_equal_and_whole(
    result: ChunkResult, duplicate: Callable[[ChunkResult], ChunkResult]
) -> None:
    same = duplicate(result)
    assert type(same) is type(result)
    assert same == result
    assert same.text() == "grüße"
    assert same.video() == FRAME
    assert same.audio() == tone()


def test_as_a_message_it_is_the_audio_contracts_part() -> None:
    assert v1.ChunkResult.FromString(bytes(ALL)) == v1.ChunkResult(
        sequence=3,
        audio_outputs=ALL.audio_outputs,
        data_outputs=ALL.data_outputs,
    )
    assert ALL.to_dict()["sequence"] == "3"
    assert "voice" in ALL._repr_html_()


def test_what_only_this_contract_has_is_something() -> None:
    only_text = ChunkResult(
        data_v1.ChunkResult(data_outputs={"src": to_buffer("x", "")})
    )
    assert only_text
    assert "src" in repr(only_text)
    assert not ChunkResult(data_v1.ChunkResult())


def test_the_error_of_a_node_is_of_a_type_that_users_know() -> None:
    error = data_v1.ErrorResponse(error_type=data_v1.ErrorType.TYPE_VALIDATION)
    results = [data_v1.NodeResult(error=error), data_v1.NodeResult(node_id="b")]
    found = ExecutionResult(data_v1.ExecutionResult(node_results=results)).node_results
    assert found[0].error.error_type is v1.ErrorType.VALIDATION
    assert not found[1].is_set("error")


def test_json_that_is_nested_too_deeply_is_not_valid() -> None:
    bomb = data_v1.DataBuffer(json=data_v1.JsonData(json_payload="[" * 200_000))
    # How deep is too deep depends on Python and its stack; else, the end is missing.
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
        chunk(bomb=bomb).json()


def test_results_are_not_decoded() -> None:
    with pytest.raises(TypeError, match=r"decode remotemedia\.data_v1\.ChunkResult"):
        ChunkResult.FromString(b"")


def test_results_differ_by_all_that_was_sent() -> None:
    assert chunk(a=to_buffer("x", "")) != chunk(a=to_buffer("y", ""))
    assert chunk() != v1.ChunkResult(sequence=3)
    assert "level" in repr(ALL)
