"""Messages to JSON's objects: which fields, under which keys."""

from __future__ import annotations

from typing import Any

import betterproto
import pytest
from betterproto.casing import pascal_case, snake_case

from remotemedia.protobuf import EncodeError
from remotemedia.protobuf.json_writer import writer
from remotemedia.protobuf.wkt import Value
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ErrorResponse,
    ErrorType,
    ExecutionMetrics,
    NodeMetrics,
    NodeResult,
    PipelineManifest,
    StreamControl,
    StreamRequest,
)
from tests.protobuf.sample import FULL, Sample, full


def test_fields_that_are_set_are_converted_to_json_types() -> None:
    buffer = AudioBuffer(
        samples=b"\xff\xfe", format=AudioFormat.I16, num_samples=2**60, channels=1
    )
    assert buffer.to_dict() == {
        "samples": "//4=",
        "channels": 1,
        "format": "AUDIO_FORMAT_I16",
        "numSamples": str(2**60),
    }


def test_every_kind_of_field_is_converted() -> None:
    assert full().to_dict() == FULL


def test_fields_have_the_order_of_their_numbers() -> None:
    assert list(full().to_dict())[:3] == ["flags", "byNumber", "formats"]


def test_fields_that_are_not_set_are_included_on_request() -> None:
    assert NodeResult().to_dict(include_default_values=True) == {
        "nodeId": "",
        "status": "NODE_STATUS_UNSPECIFIED",
        "outputMetadata": "",
    }
    assert StreamRequest().to_dict(include_default_values=True) == {}


def test_defaults_are_included_without_messages_and_oneofs() -> None:
    expected: dict[str, Any] = {
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
        "byWrapped": {},
        "Other": 0,
        "Lead": "",
        "x2y": "",
        "null": None,
    }
    assert Sample().to_dict(include_default_values=True) == expected
    # Each has its own.
    Sample().to_dict(include_default_values=True)["nodes"].append("x")
    assert Sample().to_dict(include_default_values=True) == expected
    nested = Sample(nodes=[NodeMetrics()]).to_dict(include_default_values=True)
    assert nested["nodes"][0]["memoryBytes"] == "0"
    nested = Sample(nodes=[NodeMetrics()]).to_pydict(include_default_values=True)
    assert nested["nodes"][0]["memoryBytes"] == 0
    assert Sample().to_dict() == {}


def test_a_value_with_presence_is_included_even_if_it_is_the_default() -> None:
    message = Sample(wrapped=0, maybe=0, number=0, node=NodeMetrics(), ratio=-0.0)
    found = message.to_dict()
    assert found == {
        "wrapped": "0",
        "maybe": 0,
        "number": 0,
        "node": {},
        "ratio": 0.0,
    }
    assert str(found["ratio"]) == "-0.0"


def test_only_the_member_of_a_oneof_that_is_set_is_included() -> None:
    assert StreamRequest(control=StreamControl()).to_dict() == {"control": {}}


def test_a_placeholder_that_was_filled_is_included() -> None:
    chunk = AudioChunk()
    assert chunk.buffer.channels == 0
    assert chunk.to_dict() == {}
    chunk.buffer.channels = 2
    assert chunk.to_dict() == {"buffer": {"channels": 2}}


def test_an_enum_number_without_a_name_is_a_number() -> None:
    error = ErrorResponse(error_type=ErrorType.try_value(-7))
    assert error.to_dict() == {"errorType": -7}


def test_messages_in_maps_are_converted() -> None:
    metrics = ExecutionMetrics(node_metrics={"n": NodeMetrics(memory_bytes=5)})
    assert metrics.to_dict() == {"nodeMetrics": {"n": {"memoryBytes": "5"}}}


def test_snake_case_gives_the_names_in_the_proto() -> None:
    assert betterproto.Casing.SNAKE is snake_case  # pyright: ignore[reportAttributeAccessIssue]  # a function, at run time
    names = full().to_dict(snake_case)
    assert names["is_on"] is True
    assert (names["_lead"], names["x_2y"], names["other"]) == ("l", "xy", 1)
    assert names["nodes"][1] == {"memory_bytes": "1"}
    assert Sample.from_dict(names) == full()


def test_any_function_may_make_the_keys() -> None:
    found = full().to_dict(pascal_case)
    assert found["IsOn"] is True
    assert found["Nodes"][1] == {"MemoryBytes": "1"}
    assert full().to_dict(str.upper)["ISON".replace("S", "S_")] is True


def test_a_casing_that_would_lose_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="the casing gives fields of Sample the same"):
        Sample().to_dict(lambda name: "x")


def test_a_style_is_made_once() -> None:
    assert writer(snake_case, False) is writer(snake_case, False)


def test_pydict_keeps_the_values_and_converts_the_messages() -> None:
    found = full().to_pydict(snake_case)
    assert found["flags"] == {True: 1, False: -2}
    assert found["by_number"] == {-5: AudioFormat.F32, 6: AudioFormat.try_value(9)}
    assert found["blobs"] == [b"", b"\xff\xfe", b"a"]
    assert found["nodes"] == [{}, {"memory_bytes": 1}]
    assert found["at"] == full().at
    assert found["took"] == full().took
    assert found["formats"] == full().formats
    assert found["wrapped"] == 0
    assert found["values"][1] == {"bool_value": True}
    assert AudioBuffer(samples=b"a").to_pydict() == {"samples": b"a"}
    assert "metadata" not in PipelineManifest().to_pydict(include_default_values=True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ratio": "x"}, r"Sample\.ratio must be a float, not str"),
        ({"numbers": [1, -1]}, r"Sample\.numbers must be from 0 to"),
        ({"numbers": 5}, r"Sample\.numbers must be a list, not int"),
        ({"flags": [1]}, r"Sample\.flags must be a dict, not list"),
        ({"flags": {"x": 1}}, r"Sample\.flags must be a bool, not str"),
        ({"by_number": {1: "x"}}, r"Sample\.by_number must be an int, not str"),
        ({"node": {}}, r"Sample\.node must be of type NodeMetrics, not dict"),
        ({"nodes": [Value()]}, r"Sample\.nodes must be of type NodeMetrics, not Value"),
        ({"node": NodeMetrics(memory_bytes=-1)}, r"NodeMetrics\.memory_bytes must be"),
        ({"at": "now"}, r"Sample\.at: must be a datetime, not str"),
        ({"took": 5}, r"Sample\.took: must be a timedelta, not int"),
        ({"wrapped": "x"}, r"Sample\.wrapped must be an int, not str"),
        ({"by_wrapped": {"a": -1}}, r"Sample\.by_wrapped must be from 0 to"),
    ],
)
def test_a_value_that_json_cannot_express_is_refused_by_name(
    fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(EncodeError, match=f"^{text}"):
        Sample(**fields).to_dict()
