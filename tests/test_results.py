"""Outputs are found by their name, and data is decoded from its JSON text."""

from __future__ import annotations

import json

import pytest

from remotemedia.v1 import AudioBuffer, ChunkResult, ExecutionResult

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
    assert caught.value.__suppress_context__
    with pytest.raises(KeyError, match="there are: none"):
        ExecutionResult().json("asr")


def test_an_output_that_is_not_json_is_a_value_error() -> None:
    with pytest.raises(json.JSONDecodeError):
        RESULTS[0].json("bad")
