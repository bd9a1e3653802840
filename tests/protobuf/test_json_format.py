"""Messages as dicts and JSON, compared with Google's `json_format`."""

# ruff: noqa: RUF009 - fields are described by calls, as in generated code

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
from betterproto.casing import snake_case
from google.protobuf import (
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.json_format import MessageToJson, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from remotemedia import protobuf
from remotemedia.protobuf import json_format, well_known
from remotemedia.protobuf.wkt import FieldMask, ListValue, Struct, Value
from remotemedia.v1 import (
    AudioBuffer,
    AudioFormat,
    Connection,
    ErrorResponse,
    ErrorType,
    ExecutionMetrics,
    NodeMetrics,
    NodeResult,
    StreamControl,
    StreamRequest,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_fields_that_are_set_are_converted_to_json_types() -> None:
    buffer = AudioBuffer(
        samples=b"\xff\xfe", format=AudioFormat.I16, num_samples=2**60, channels=1
    )
    assert buffer.to_dict() == {
        "samples": "//4=",
        "channels": 1,
        "format": "I16",
        "numSamples": str(2**60),
    }
    assert buffer.to_dict(snake_case)["num_samples"] == str(2**60)
    assert AudioBuffer().from_dict(buffer.to_dict()) == buffer
    assert AudioBuffer.from_dict(buffer.to_dict()) == buffer


def test_fields_that_are_not_set_are_included_on_request() -> None:
    assert NodeResult().to_dict(include_default_values=True) == {
        "nodeId": "",
        "status": "UNSPECIFIED",
        "outputMetadata": "",
    }
    assert StreamRequest().to_dict(include_default_values=True) == {}


def test_only_the_member_of_a_oneof_that_is_set_is_included() -> None:
    request = StreamRequest(control=StreamControl())
    assert request.to_dict() == {"control": {}}
    assert StreamRequest.from_dict({"control": {}}) == request


def test_an_enum_number_without_a_name_is_a_number() -> None:
    error = ErrorResponse(error_type=ErrorType.try_value(-7))
    assert error.to_dict() == {"errorType": -7}
    assert ErrorResponse.from_dict({"errorType": -7}) == error


def test_messages_in_maps_are_converted() -> None:
    metrics = ExecutionMetrics(node_metrics={"n": NodeMetrics(memory_bytes=5)})
    assert metrics.to_dict() == {"nodeMetrics": {"n": {"memoryBytes": "5"}}}
    assert ExecutionMetrics().from_json(metrics.to_json()) == metrics


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 1.5])
def test_every_float_survives(value: float) -> None:
    metrics = ExecutionMetrics(wall_time_ms=value)
    again = ExecutionMetrics().from_json(metrics.to_json())
    assert bytes(again) == bytes(metrics)
    json.loads(metrics.to_json(), parse_constant=pytest.fail)


def test_keys_may_have_three_casings_and_unknown_ones_are_ignored() -> None:
    for key in ("nodeId", "node_id", "NodeId"):
        assert NodeResult.from_dict({key: "n", "other": 1}) == NodeResult(node_id="n")
    assert Connection.from_dict({"from": "a", "to": None}) == Connection(from_="a")


def test_pydict_keeps_python_values() -> None:
    buffer = AudioBuffer(samples=b"a", num_samples=1)
    assert buffer.to_pydict() == {"samples": b"a", "numSamples": 1}
    assert AudioBuffer().from_pydict(buffer.to_pydict()) == buffer
    assert StreamRequest(control=StreamControl()).to_pydict() == {"control": {}}


@given(st.dictionaries(st.text(), JSON))
def test_a_struct_is_an_object(value: dict[str, Any]) -> None:
    struct = Struct.from_dict(value)
    assert struct.to_dict() == value
    google = struct_pb2.Struct.FromString(bytes(struct))
    assert google == ParseDict(value, struct_pb2.Struct())
    assert Struct.FromString(google.SerializeToString()) == struct


@given(JSON)
def test_a_value_is_anything(value: Any) -> None:
    found = Value.from_dict(value)
    assert found.to_dict() == value
    assert Value().from_json(found.to_json()) == found
    items: Any = [value, value]
    many = ListValue.from_dict(items)
    assert many.to_dict() == [value, value]


def test_a_field_mask_is_its_paths() -> None:
    mask = FieldMask(paths=["node_id", "audio_chunk.buffer"])
    assert mask.to_json() == '"nodeId,audioChunk.buffer"'
    google = field_mask_pb2.FieldMask(paths=mask.paths)
    assert mask.to_json() == MessageToJson(google)
    assert FieldMask().from_json(mask.to_json()) == mask
    assert FieldMask().from_json('""') == FieldMask()


@given(
    st.integers(-62135596800, 253402300799),
    st.sampled_from([0, 1, 5_000_000, 120_000, 999_999_999]),
)
def test_timestamps_have_googles_format(seconds: int, nanos: int) -> None:
    when = well_known.timestamp(seconds, nanos)
    google = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    assert json_format.timestamp_text(when) == google.ToJsonString()
    assert json_format.timestamp_from_text(google.ToJsonString()) == when


def test_a_timestamp_may_have_another_zone() -> None:
    assert json_format.timestamp_from_text(
        "2024-05-06T09:00:00.5+02:00"
    ) == dt.datetime(2024, 5, 6, 7, 0, 0, 500_000, dt.timezone.utc)


@given(st.integers(-315_576_000_000, 315_576_000_000), st.integers(0, 999_999_999))
def test_durations_have_googles_format(seconds: int, nanos: int) -> None:
    nanos = -nanos if seconds < 0 else nanos
    span = well_known.duration(seconds, nanos)
    google = duration_pb2.Duration(seconds=seconds, nanos=nanos)
    assert json_format.duration_text(span) == google.ToJsonString()
    assert json_format.duration_from_text(google.ToJsonString()) == span


@pytest.mark.parametrize("text", ["", "5", "yesterday", "2024-05-06", "1.0000000001s"])
def test_other_strings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        json_format.timestamp_from_text(text)
    with pytest.raises(ValueError, match="is not a duration"):
        json_format.duration_from_text(text)


@dataclass(init=False, repr=False, eq=False, kw_only=True)
class Sample(protobuf.Message):
    """A message as the generator writes it, with fields that the contract lacks."""

    flags: dict[bool, int] = protobuf.field(1, "map", map_types=("bool", "int64"))
    by_number: dict[int, AudioFormat] = protobuf.field(
        2, "map", map_types=("int32", "enum")
    )
    formats: list[AudioFormat] = protobuf.field(3, "enum")
    numbers: list[int] = protobuf.field(4, "uint64")
    blobs: list[bytes] = protobuf.field(5, "bytes")
    ratio: float = protobuf.field(6, "float", 0.0)
    wrapped: int | None = protobuf.field(7, "message", None, wraps="int64")
    maybe: int | None = protobuf.field(8, "int32", None, optional=True)
    nodes: list[NodeMetrics] = protobuf.field(9, "message")
    node: NodeMetrics = protobuf.field(10, "message")
    at: dt.datetime = protobuf.field(11, "message", protobuf.EPOCH)
    took: dt.timedelta = protobuf.field(12, "message", dt.timedelta(0))
    text: str = protobuf.field(13, "string", group="choice")
    number: int = protobuf.field(14, "int32", group="choice")
    value: Value = protobuf.field(15, "message")
    values_: list[Value] = protobuf.field(16, "message")
    is_on: bool = protobuf.field(17, "bool", False)

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)


FULL = {
    "flags": {"true": "1", "false": "-2"},
    "byNumber": {"-5": "F32", "6": 9},
    "formats": ["I16", "UNSPECIFIED", 9],
    "numbers": ["1", "0"],
    "blobs": ["", "//4=", "YQ=="],
    "ratio": 0.5,
    "wrapped": "0",
    "maybe": 0,
    "nodes": [{}, {"memoryBytes": "1"}],
    "node": {},
    "at": "2024-05-06T07:08:09.010Z",
    "took": "-1.500s",
    "number": 0,
    "value": [None, 1.0, {"a": "b"}],
    "values": [None, True],
    "isOn": True,
}


def json_value(value: Any) -> Value:
    """Return a `Value`, whose JSON may be of any type."""
    found: Value = Value.from_dict(value)
    return found


def full() -> Sample:
    """Return the message whose JSON is `FULL`."""
    return Sample(
        flags={True: 1, False: -2},
        by_number={-5: AudioFormat.F32, 6: AudioFormat.try_value(9)},
        formats=[AudioFormat.I16, AudioFormat.UNSPECIFIED, AudioFormat.try_value(9)],
        numbers=[1, 0],
        blobs=[b"", b"\xff\xfe", b"a"],
        ratio=0.5,
        wrapped=0,
        maybe=0,
        nodes=[NodeMetrics(), NodeMetrics(memory_bytes=1)],
        node=NodeMetrics(),
        at=dt.datetime(2024, 5, 6, 7, 8, 9, 10_000, dt.timezone.utc),
        took=dt.timedelta(seconds=-1.5),
        number=0,
        value=json_value([None, 1.0, {"a": "b"}]),
        values_=[json_value(item) for item in (None, True)],
        is_on=True,
    )


def test_every_kind_of_field_is_converted_and_back() -> None:
    assert full().to_dict() == FULL
    assert Sample.from_dict(FULL) == full()
    assert Sample().from_json(full().to_json()) == full()


def test_pydict_keeps_the_values_and_converts_the_messages() -> None:
    found = full().to_pydict(snake_case)
    assert found["flags"] == {"true": 1, "false": -2}
    assert found["by_number"] == {"-5": AudioFormat.F32, "6": AudioFormat.try_value(9)}
    assert found["blobs"] == [b"", b"\xff\xfe", b"a"]
    assert found["nodes"] == [{}, {"memory_bytes": 1}]
    assert found["at"] == full().at
    assert found["took"] == full().took
    assert found["formats"] == full().formats


def test_defaults_are_included_without_messages_and_oneofs() -> None:
    assert Sample().to_dict(include_default_values=True) == {
        "flags": {},
        "byNumber": {},
        "formats": [],
        "numbers": [],
        "blobs": [],
        "ratio": 0.0,
        "wrapped": None,
        "maybe": None,
        "nodes": [],
        "values": [],
        "isOn": False,
    }
    nested = Sample(nodes=[NodeMetrics()]).to_dict(include_default_values=True)
    assert nested["nodes"][0]["memoryBytes"] == "0"
    nested = Sample(nodes=[NodeMetrics()]).to_pydict(include_default_values=True)
    assert nested["nodes"][0]["memoryBytes"] == 0
    assert Sample().to_dict() == {}


def test_null_unsets_every_field_that_is_not_a_json_value() -> None:
    nulls = dict.fromkeys(FULL)
    assert Sample.from_dict(nulls) == Sample(value=json_value(None))


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
        ({"is_on": False, "isOn": True}, Sample(is_on=True)),
    ],
)
def test_json_of_others_is_accepted(given: dict[str, Any], expected: Sample) -> None:
    found = Sample.from_dict(given)
    assert found == expected
    assert repr(found) == repr(expected)


def test_a_timestamp_rounds_to_the_shortest_of_four_fractions() -> None:
    for nanos, fraction in [
        *((0, ""), (5_000_000, ".005"), (120_000, ".000120"), (1, ".000000001")),
        *((100_000_000, ".100"), (999_999_999, ".999999999")),
    ]:
        when, span = well_known.timestamp(0, nanos), well_known.duration(-1, -nanos)
        assert json_format.timestamp_text(when) == f"1970-01-01T00:00:00{fraction}Z"
        assert json_format.duration_text(span) == f"-1{fraction}s"
        assert json_format.timestamp_from_text(f"1970-01-01t00:00:00{fraction}z") == (
            when
        )
        assert json_format.duration_from_text(f"-1{fraction}s") == span
    small = well_known.duration(0, -5_000_000)
    assert json_format.duration_text(small) == "-0.005s"
    assert json_format.duration_from_text("-0.005s") == small
    early = well_known.timestamp(-62135596800, 0)
    assert json_format.timestamp_text(early) == "0001-01-01T00:00:00Z"
