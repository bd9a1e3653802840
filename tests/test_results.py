"""Outputs are found by name, data is decoded from JSON, and notebooks show a table."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from remotemedia.v1 import (
    AudioBuffer,
    ChunkResult,
    ExecutionMetrics,
    ExecutionResult,
    ExecutionStatus,
    NodeMetrics,
)

OUTPUTS = {"vad": '{"has_speech": true}', "calc": "42", "bad": "{"}
RESULTS: list[ExecutionResult | ChunkResult] = [
    ExecutionResult(data_outputs=OUTPUTS),
    ChunkResult(data_outputs=OUTPUTS),
]


@pytest.mark.parametrize("result", RESULTS)
def test_an_output_is_decoded_by_its_name(
    result: ExecutionResult | ChunkResult,
) -> None:
    assert result.json("vad") == {"has_speech": True}
    assert result.json("calc") == 42


@pytest.mark.parametrize("message", [ExecutionResult, ChunkResult])
def test_the_only_audio_output_needs_no_name(
    message: type[ExecutionResult] | type[ChunkResult],
) -> None:
    buffer = AudioBuffer(sample_rate=8000)
    result = message(audio_outputs={"output": buffer})
    assert result.audio() is buffer
    assert result.audio("output") is buffer


def test_one_of_several_audio_outputs_is_named() -> None:
    left, right = AudioBuffer(channels=1), AudioBuffer(channels=2)
    result = ChunkResult(audio_outputs={"right": right, "left": left})
    assert result.audio("left") is left
    assert result.audio("right") is right
    with pytest.raises(KeyError) as caught:
        result.audio()
    assert caught.value.args == (
        "there are several audio outputs, so name one of 'left', 'right'",
    )
    with pytest.raises(KeyError) as caught:
        result.audio("")
    assert caught.value.args == ("no audio output ''; there are: 'left', 'right'",)


def test_a_missing_audio_output_is_an_error_that_lists_what_there_is() -> None:
    only_data = ExecutionResult(data_outputs={"vad": "{}", "asr": "{}"})
    with pytest.raises(KeyError) as caught:
        only_data.audio()
    assert caught.value.args == (
        "no audio output; there are: none (data outputs: 'asr', 'vad')",
    )
    only_audio = ExecutionResult(audio_outputs={"mic": AudioBuffer()})
    with pytest.raises(KeyError) as caught:
        only_audio.audio("output")
    assert caught.value.args == ("no audio output 'output'; there are: 'mic'",)
    with pytest.raises(KeyError) as caught:
        only_audio.json("vad")
    assert caught.value.args == (
        "no data output 'vad'; there are: none (audio outputs: 'mic')",
    )


@pytest.mark.parametrize("result", [ExecutionResult(), ChunkResult()])
def test_without_any_output_the_error_says_that_a_service_may_return_none(
    result: ExecutionResult | ChunkResult,
) -> None:
    for find in (result.audio, lambda: result.json("asr")):
        with pytest.raises(KeyError, match=r"none\. A service may return no outputs"):
            find()


def test_an_unknown_output_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(KeyError) as caught:
        RESULTS[0].json("asr")
    assert caught.value.args == (
        "no data output 'asr'; there are: 'bad', 'calc', 'vad'",
    )
    assert caught.value.__context__ is None
    with pytest.raises(KeyError, match="there are: none"):
        ExecutionResult().json("asr")


def test_an_output_that_is_not_json_is_a_value_error() -> None:
    with pytest.raises(json.JSONDecodeError):
        RESULTS[0].json("bad")


def table(result: ExecutionResult | ChunkResult) -> dict[str, str]:
    """Return what a notebook shows, by the first cell of each row."""
    root = ET.fromstring(result._repr_html_())
    rows = [["".join(cell.itertext()) for cell in row] for row in root]
    return {row[0]: row[-1] for row in rows}


def test_a_notebook_shows_metrics_and_outputs() -> None:
    buffer = AudioBuffer(samples=bytes(6400), sample_rate=16000)
    result = ExecutionResult(
        audio_outputs={"tts": buffer},
        data_outputs={"vad": '{"has_speech": true}'},
        metrics=ExecutionMetrics(
            wall_time_ms=1.5, node_metrics={"vad": NodeMetrics(execution_time_ms=2.5)}
        ),
        status=ExecutionStatus.SUCCESS,
    )
    shown = table(result)
    assert shown["data_outputs['vad']"] == '{"has_speech": true}'
    assert shown["audio_outputs['tts']"] == repr(buffer)
    assert shown["metrics.wall_time_ms"] == "1.5"
    assert shown["metrics.node_metrics['vad']"] == "NodeMetrics(execution_time_ms=2.5)"
    assert "SUCCESS" in shown["status"]
    chunk = table(ChunkResult(sequence=3, processing_time_ms=1.5))
    assert (chunk["sequence"], chunk["processing_time_ms"]) == ("3", "1.5")


def test_values_in_a_notebook_are_escaped_and_short() -> None:
    attack = "<script>alert(1)</script>"
    html = ExecutionResult(data_outputs={attack: attack * 100})._repr_html_()
    assert "<script>" not in html
    assert len(html) < 2000
    assert f"data_outputs['{attack}']" in table(
        ExecutionResult(data_outputs={attack: "1"})
    )


def test_a_table_in_a_notebook_has_a_bounded_number_of_rows() -> None:
    result = ChunkResult(data_outputs={str(i): "1" for i in range(10_000)})
    assert len(table(result)) == 101


def test_json_that_is_nested_too_deeply_is_not_valid() -> None:
    # How deep is too deep depends on Python and its stack; else, the end is missing.
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
        ChunkResult(data_outputs={"vad": "[" * 200_000}).json()
