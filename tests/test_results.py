"""Data outputs are decoded from their JSON text, and results shown in notebooks."""

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


def test_an_unknown_output_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(KeyError) as caught:
        RESULTS[0].json("asr")
    assert caught.value.args == (
        "no data output 'asr'; there are: 'bad', 'calc', 'vad'",
    )
    assert caught.value.__suppress_context__
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
