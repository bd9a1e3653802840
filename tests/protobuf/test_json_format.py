"""The methods of messages for dicts and JSON, and JSON's text."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import pytest

from remotemedia.protobuf import DecodeError
from remotemedia.protobuf.wkt import Value
from remotemedia.v1 import AudioBuffer, AudioFormat, ExecutionMetrics, NodeResult
from tests.protobuf.sample import FULL, Sample, full

BUFFER = AudioBuffer(channels=2, format=AudioFormat.I16)
TEXT = '{"channels": 2, "format": "AUDIO_FORMAT_I16"}'


def test_json_is_the_dict_as_text() -> None:
    assert BUFFER.to_json() == TEXT
    assert BUFFER.to_json(2) == json.dumps(BUFFER.to_dict(), indent=2)
    assert NodeResult().to_json(include_default_values=True) == (
        '{"nodeId": "", "status": "NODE_STATUS_UNSPECIFIED", "outputMetadata": ""}'
    )
    assert AudioBuffer(sample_rate=1).to_json(casing=str.upper) == '{"SAMPLE_RATE": 1}'


def test_a_class_makes_a_message_and_a_message_is_changed() -> None:
    for found in (AudioBuffer.from_json(TEXT), AudioBuffer.from_dict(json.loads(TEXT))):
        assert found == BUFFER
        assert type(found) is AudioBuffer
    message = AudioBuffer(sample_rate=5)
    assert message.from_json(TEXT) is message
    assert message.from_dict({"sampleRate": 6}) is message
    assert (message.channels, message.sample_rate) == (2, 6)


def test_everything_comes_back() -> None:
    assert Sample.from_json(full().to_json()) == full()
    assert Sample().from_json(json.dumps(FULL)) == full()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 1.5])
def test_every_float_survives(value: float) -> None:
    metrics = ExecutionMetrics(wall_time_ms=value)
    again = ExecutionMetrics().from_json(metrics.to_json())
    assert bytes(again) == bytes(metrics)
    json.loads(metrics.to_json(), parse_constant=pytest.fail)


def test_a_computed_field_that_is_left_out_has_its_default() -> None:
    found = AudioBuffer.from_dict({"samples": "YWI=", "format": "I16"})
    assert found.num_samples == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le"])
def test_text_may_be_bytes(encoding: str) -> None:
    text = '{"nodeId": "é\\ud83d\\ude00"}'
    assert NodeResult.from_json(text.encode(encoding)).node_id == "é\U0001f600"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the text is not JSON: Expecting value"),
        ("{", "the text is not JSON: Expecting property name"),
        ("{} {}", "the text is not JSON: Extra data"),
        ("\ufeff{}", "the text is not JSON: "),
        (b"\xff{}", "the text is not JSON: "),
        ("{'a': 1}", "the text is not JSON: Expecting property name"),
        ('{"nodeId": "a", "nodeId": "a"}', "an object has the key 'nodeId' twice"),
        ('{"nodeId": {"a": 1, "b": 2, "b": 3}}', "an object has the key 'b' twice"),
        ('{"nodeId": NaN}', "NaN is not JSON; write it as a string"),
        ('{"nodeId": -Infinity}', "-Infinity is not JSON; write it as a string"),
        ('{"nodeId": "\\ud800"}', r"NodeResult\.node_id: has an unpaired surrogate"),
        ('{"nodeId": "\n"}', "the text is not JSON: Invalid control character"),
        ("null", "NodeResult: must be an object, not None"),
        # Where Python's own parser can go deeper, it finds the end.
        ("[" * 100_000, "nested more than 100 deep|not JSON: Expecting value"),
        ('{"nodeId": 1' + "0" * 5000 + "}", "the text is not JSON: Exceeds the limit"),
    ],
)
def test_text_that_is_not_valid_has_one_kind_of_error(
    text: str | bytes, reason: str
) -> None:
    with pytest.raises(DecodeError, match=reason):
        NodeResult.from_json(text)


def test_a_top_level_value_may_be_null() -> None:
    assert Value.from_json("null").to_json() == "null"


def test_what_is_no_text_is_a_type_error() -> None:
    wrong: Any = {}
    with pytest.raises(TypeError, match="from_json takes str or bytes, not dict"):
        NodeResult.from_json(wrong)


def test_the_methods_are_documented() -> None:
    for method in (AudioBuffer.from_dict, AudioBuffer().from_json):
        assert (inspect.getdoc(method) or "").startswith("Make a message of ")
