"""JSON's objects to messages: which keys, what values, and where an error lies."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import pytest

from remotemedia.protobuf import DecodeError, EncodeTypeError, json_reader
from remotemedia.v1 import (
    AudioBuffer,
    AudioFormat,
    Connection,
    ErrorResponse,
    ErrorType,
    ExecuteRequest,
    ExecutionMetrics,
    NodeResult,
    StreamControl,
    StreamInit,
    StreamRequest,
)
from tests.protobuf.sample import FULL, Sample, full, json_value


def test_every_kind_of_field_is_read() -> None:
    assert Sample.from_dict(FULL) == full()
    assert Sample.from_dict(MappingProxyType(FULL)) == full()
    assert Sample.from_dict({"nodes": ({},)}) == Sample.from_dict({"nodes": [{}]})


def test_keys_may_be_the_names_in_json_in_the_proto_or_in_any_casing() -> None:
    for key in ("nodeId", "node_id", "NodeId"):
        assert NodeResult.from_dict({key: "n"}) == NodeResult(node_id="n")
    assert Connection.from_dict({"from": "a", "to": None}) == Connection(from_="a")
    assert Connection.from_dict({"from_": "a"}) == Connection(from_="a")
    for key in ("Lead", "_lead", "lead"):
        assert Sample.from_dict({key: "l"}) == Sample(lead="l")
    for key in ("x2y", "x_2y", "x_2_y", "x2Y"):
        assert Sample.from_dict({key: "l"}) == Sample(x_2_y="l")
    assert Sample.from_dict({"IsOn": True, "is-on": None}) == Sample(is_on=True)


def test_an_unknown_key_is_refused_or_ignored() -> None:
    text = r"^AudioBuffer: has no field 'smpleRate'; did you mean 'sampleRate'\?$"
    with pytest.raises(DecodeError, match=text):
        AudioBuffer.from_dict({"channels": 1, "smpleRate": 8000})
    with pytest.raises(DecodeError, match=r"^Sample\.nodes\[1\]: has no field 'x'$"):
        Sample.from_dict({"nodes": [{}, {"x": 1}]})
    numbered: Any = {5: 1}
    with pytest.raises(DecodeError, match=r"^AudioBuffer: has no field 5$"):
        AudioBuffer.from_dict(numbered)
    found = Sample.from_dict(
        {"nodes": [{"x": 1}], "y": 1, "maybe": 1}, ignore_unknown_fields=True
    )
    assert found == Sample.from_dict({"nodes": [{}], "maybe": 1})


def test_a_long_key_is_not_compared_with_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_reader, "safe_snake_case", pytest.fail)
    with pytest.raises(DecodeError, match=r"^AudioBuffer: has no field 'xxxx[x.]*'$"):
        AudioBuffer.from_dict({"x" * 201: 1})


def test_names_that_an_enum_has_not_are_ignored_with_unknown_fields() -> None:
    given = {
        "formats": ["I16", "X", "F32"],
        "byNumber": {"1": "X", "2": "I16"},
        "maybe": 1,
    }
    with pytest.raises(DecodeError, match=r"^Sample\.formats\[1\]: must be one of AUD"):
        Sample.from_dict(given)
    found = Sample.from_dict(given, ignore_unknown_fields=True)
    assert found == Sample(
        formats=[AudioFormat.I16, AudioFormat.F32],
        by_number={2: AudioFormat.I16},
        maybe=1,
    )
    buffer = AudioBuffer.from_dict({"format": "X"}, ignore_unknown_fields=True)
    assert not buffer.is_set("format")


def test_null_unsets_every_field_that_is_not_a_json_value() -> None:
    nulls = dict.fromkeys(FULL)
    found = Sample.from_dict(nulls)
    assert found == Sample(value=json_value(None), null=found.null)
    assert found.null == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"blobs": ["__4", "//4", "_/4="]}, Sample(blobs=[b"\xff\xfe"] * 3)),
        ({"numbers": [1, "2", 3.0]}, Sample(numbers=[1, 2, 3])),
        ({"ratio": "-Infinity"}, Sample(ratio=-math.inf)),
        ({"ratio": "2.5"}, Sample(ratio=2.5)),
        ({"ratio": 2}, Sample(ratio=2.0)),
        ({"formats": [1, "I16"]}, Sample(formats=[AudioFormat.F32, AudioFormat.I16])),
        ({"flags": {"true": 1}}, Sample(flags={True: 1})),
        ({"flags": {True: 1, False: 2}}, Sample(flags={True: 1, False: 2})),
        ({"byWrapped": {"a": 5}}, Sample(by_wrapped={"a": 5})),
    ],
)
def test_json_of_others_is_accepted(given: dict[str, Any], expected: Sample) -> None:
    found = Sample.from_dict(given)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("cls", "value", "text"),
    [
        (AudioBuffer, None, "AudioBuffer: must be an object, not None"),
        (AudioBuffer, [], r"AudioBuffer: must be an object, not \[\]"),
        (AudioBuffer, {"channels": "x"}, "AudioBuffer.channels: must be an integer"),
        (
            ExecuteRequest,
            {"manifest": {"nodes": [{}, {}, {}, {"params": {}}]}},
            r"ExecuteRequest\.manifest\.nodes\[3\]\.params: must be a string, not \{\}",
        ),
        (
            ExecutionMetrics,
            {"nodeMetrics": {"vad": {"memoryBytes": -1}}},
            r"ExecutionMetrics\.node_metrics\['vad'\]\.memory_bytes: must be from 0",
        ),
        (Sample, {"flags": {"x": 1}}, r"Sample\.flags\['x'\]: must be 'true' or 'fal"),
        (Sample, {"flags": []}, r"Sample\.flags: must be an object, not \[\]"),
        (Sample, {"nodes": {}}, r"Sample\.nodes: must be a list, not \{\}"),
        (
            Sample,
            {"nodes": [{}, None]},
            r"Sample\.nodes\[1\]: must be an object, not N",
        ),
        (Sample, {"formats": [None]}, r"Sample\.formats\[0\]: must be an integer, not"),
        (Sample, {"byNumber": {"1": None}}, r"Sample\.by_number\['1'\]: must be an in"),
        (
            Sample,
            {"byNumber": {"1": 0, "01": 0}},
            r"Sample\.by_number\['01'\]: is the s",
        ),
        (
            Sample,
            {"isOn": True, "is_on": True},
            "Sample.is_on: is given twice, the sec",
        ),
        (Sample, {"text": "", "number": 0}, "Sample.number: cannot be set, as 'text'"),
        (Sample, {"at": "now"}, "Sample.at: must be a time of RFC 3339, such as"),
        (Sample, {"took": 5}, "Sample.took: must be a duration, such as '1.5s', not 5"),
        (
            Sample,
            {"value": [[math.inf]]},
            r"Sample\.value\[0\]\[0\]: must be a value of",
        ),
        (
            Sample,
            {"numbers": ["x" * 99]},
            r"Sample\.numbers\[0\].*'xxxxxxxxxxxx\.\.\.x",
        ),
    ],
)
def test_an_error_says_where_it_is(cls: Any, value: Any, text: str) -> None:
    with pytest.raises(DecodeError, match=f"^{text}") as caught:
        cls.from_dict(value)
    assert len(str(caught.value)) < 200


def test_null_does_not_choose_the_member_of_a_oneof() -> None:
    assert Sample.from_dict({"text": None, "number": 0}) == Sample(number=0)
    request = StreamRequest.from_dict({"init": None, "control": {}})
    assert request == StreamRequest(control=StreamControl())


def test_messages_may_be_nested_to_a_limit() -> None:
    # Each list and each value is a message.
    deep: Any = None
    for _ in range(49):
        deep = [deep]
    assert Sample.from_dict({"value": deep}).to_dict() == {"value": deep}
    with pytest.raises(
        DecodeError, match=r"^Sample\.value(\[0\]){50}: messages and gr"
    ):
        Sample.from_dict({"value": [[deep]]})


def test_what_a_message_has_is_replaced_or_kept() -> None:
    buffer = AudioBuffer(samples=b"a", channels=2)
    assert buffer.from_dict({"channels": 1, "sampleRate": 5}) is buffer
    assert buffer == AudioBuffer(
        samples=b"a", channels=1, sample_rate=5, num_samples=buffer.num_samples
    )
    request = StreamRequest(control=StreamControl())
    request.from_dict({"init": {}})
    assert request == StreamRequest(init=StreamInit())


def test_a_message_stays_as_it_is_if_the_dict_is_invalid() -> None:
    buffer = AudioBuffer(channels=2)
    with pytest.raises(DecodeError):
        buffer.from_dict({"channels": 1, "sampleRate": -5})
    assert buffer.channels == 2


def test_pydict_is_read_back() -> None:
    again = Sample().from_pydict(full().to_pydict())
    assert again == full()
    buffer = AudioBuffer(samples=b"a", num_samples=1)
    assert buffer.to_pydict() == {"samples": b"a", "numSamples": 1}
    assert AudioBuffer().from_pydict(buffer.to_pydict()) == buffer
    error = ErrorResponse(error_type=ErrorType.INTERNAL, message="x")
    assert ErrorResponse().from_pydict(error.to_pydict()) == error
    # Keys of maps may be as in JSON.
    assert Sample().from_pydict({"flags": {"true": 1}}) == Sample(flags={True: 1})


def test_pydict_takes_python_values() -> None:
    view = memoryview(b"ab")
    found = StreamRequest().from_pydict({"audioChunk": {"buffer": {"samples": view}}})
    assert bytes(found.audio_chunk.buffer.samples) == b"ab"
    with pytest.raises(EncodeTypeError, match=r"AudioBuffer\.samples must be bytes"):
        AudioBuffer().from_pydict({"samples": "ab"})
    with pytest.raises(DecodeError, match="has no field 'x'"):
        AudioBuffer().from_pydict({"x": "ab"})
    assert AudioBuffer().from_pydict({"x": 1}, ignore_unknown_fields=True) == (
        AudioBuffer()
    )
