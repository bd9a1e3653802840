"""Messages as dicts and JSON, compared with Google's `json_format`."""

from __future__ import annotations

import datetime as dt
import json
import math
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
