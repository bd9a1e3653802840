"""Data outputs are decoded from their JSON text."""

from __future__ import annotations

import json

import pytest

from remotemedia.v1 import ChunkResult, ExecutionResult

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
