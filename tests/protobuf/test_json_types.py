"""Well-known messages with JSON of their own, compared with Google's `json_format`."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import any_pb2, field_mask_pb2, struct_pb2, timestamp_pb2
from google.protobuf.json_format import MessageToDict, MessageToJson, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.protobuf import DecodeError, EncodeError, wkt
from remotemedia.protobuf.wkt import FieldMask, ListValue, Struct, Timestamp, Value
from remotemedia.v1 import AudioBuffer, AudioFormat, ErrorResponse

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


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


@pytest.mark.parametrize(
    ("cls", "value", "text"),
    [
        (Struct, [], r"Struct: must be an object, not \[\]"),
        (ListValue, {}, r"ListValue: must be a list, not \{\}"),
        (Struct, {"a": [1, "\ud800"]}, r"Struct\['a'\]\[1\]: has an unpaired surrog"),
        (Struct, {"\ud800": 1}, r"Struct\['\\ud800'\]: has an unpaired surrogate"),
        (Value, math.nan, "Value: must be a value of JSON, not nan"),
        (Value, 10**400, "Value: must be a value of JSON, not 1000"),
        (Value, object(), "Value: must be a value of JSON, not <object"),
    ],
)
def test_what_is_no_json_is_refused(cls: Any, value: Any, text: str) -> None:
    with pytest.raises(DecodeError, match=f"^{text}"):
        cls.from_dict(value)


def test_a_value_that_is_not_set_is_null() -> None:
    assert Value().to_dict() is None
    assert Value().to_json() == "null"
    # One without a kind is a value all the same.
    nothing: Any = [None]
    assert ListValue(values=[Value()]).to_dict() == nothing


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_a_number_that_json_has_not_is_refused(number: float) -> None:
    with pytest.raises(EncodeError, match=r"Value\.number_value is .*; JSON has none"):
        Value(number_value=number).to_dict()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Struct(fields={"a": 5}), r"Struct\.fields must be of type Value, not int"),  # type: ignore[dict-item]  # on purpose
        (Struct(fields=[]), r"Struct\.fields must be a dict, not list"),  # type: ignore[arg-type]  # on purpose
        (ListValue(values=[None]), r"ListValue\.values must be of type Value, not N"),  # type: ignore[list-item]  # on purpose
        (Value(struct_value={}), r"Value\.struct_value must be of type Struct, not d"),  # type: ignore[arg-type]  # on purpose
        (Value(number_value="x"), r"Value\.number_value must be a float, not str"),  # type: ignore[arg-type]  # on purpose
        (FieldMask(paths=[5]), r"FieldMask\.paths must be a str, not int"),  # type: ignore[list-item]  # on purpose
    ],
)
def test_a_value_of_another_type_is_refused_by_name(message: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        message.to_dict()


def test_structs_may_be_nested_to_a_limit() -> None:
    deep: Any = None
    for _ in range(50):
        deep = [deep]
    assert Value.from_dict(deep).to_dict() == deep
    with pytest.raises(DecodeError, match="nested more than 100 deep"):
        Value.from_dict([deep])


def test_a_field_mask_is_its_paths() -> None:
    mask = FieldMask(paths=["node_id", "audio_chunk.buffer"])
    assert mask.to_json() == '"nodeId,audioChunk.buffer"'
    google = field_mask_pb2.FieldMask(paths=mask.paths)
    assert mask.to_json() == MessageToJson(google)
    assert FieldMask().from_json(mask.to_json()) == mask
    assert FieldMask().from_json('""') == FieldMask()


@pytest.mark.parametrize("path", ["Node", "a_2", "a__b", "a_", "a,b"])
def test_a_path_that_would_not_come_back_is_refused(path: str) -> None:
    with pytest.raises(EncodeError, match=r"FieldMask\.paths has '.*'; JSON cannot"):
        FieldMask(paths=[path]).to_dict()


@pytest.mark.parametrize("value", ["node_id", 5, None])
def test_a_mask_in_snake_case_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError):
        FieldMask.from_dict(value)


# --- Any ---------------------------------------------------------------------------

BUFFER = AudioBuffer(samples=b"ab", format=AudioFormat.I16, num_samples=0)
BUFFER_URL = "type.googleapis.com/remotemedia.v1.AudioBuffer"


def test_a_message_is_packed_and_unpacked() -> None:
    packed = wkt.Any.pack(BUFFER)
    assert packed.type_url == BUFFER_URL
    assert packed.type_name == "remotemedia.v1.AudioBuffer"
    assert packed.unpack() == packed.unpack(AudioBuffer) == BUFFER
    assert wkt.Any.pack(BUFFER, "example.org/types/").unpack() == BUFFER
    google = any_pb2.Any(type_url=packed.type_url, value=packed.value)
    assert bytes(packed) == google.SerializeToString()
    assert wkt.Any().type_name == ""


def test_unpacking_another_type_says_what_there_is() -> None:
    with pytest.raises(
        DecodeError, match=rf"Any has '{BUFFER_URL}' in it, not remotem"
    ):
        wkt.Any.pack(BUFFER).unpack(ErrorResponse)
    with pytest.raises(LookupError, match=r"'no\.Such' is known; import the package"):
        wkt.Any(type_url="a/no.Such").unpack()


def test_the_json_of_an_any_is_that_of_the_message_in_it() -> None:
    packed = wkt.Any.pack(BUFFER)
    expected = {"@type": BUFFER_URL, "samples": "YWI=", "format": "AUDIO_FORMAT_I16"}
    assert packed.to_dict() == expected
    assert next(iter(packed.to_dict())) == "@type"
    assert wkt.Any.from_dict(expected) == packed
    assert wkt.Any().to_dict() == {}
    assert wkt.Any.from_dict({}) == wkt.Any()


def test_a_type_with_json_of_its_own_has_it_under_a_key() -> None:
    packed = wkt.Any.pack(Timestamp(seconds=1))
    url = "type.googleapis.com/google.protobuf.Timestamp"
    expected = {"@type": url, "value": "1970-01-01T00:00:01Z"}
    assert packed.to_dict() == expected
    assert wkt.Any.from_dict(expected) == packed
    google = any_pb2.Any()
    google.Pack(timestamp_pb2.Timestamp(seconds=1))
    assert bytes(packed) == google.SerializeToString()
    assert MessageToDict(google) == expected
    twice = wkt.Any.pack(packed)
    assert twice.to_dict()["value"] == expected
    assert wkt.Any.from_dict(twice.to_dict()) == twice


def test_what_earlier_versions_wrote_is_read() -> None:
    packed = wkt.Any.pack(BUFFER)
    old = {"typeUrl": BUFFER_URL, "value": "CgJhYiAC"}
    assert wkt.Any.from_dict(old) == packed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "must be an object, not 5"),
        ({"samples": "YWI="}, "must have the key '@type' with a type, not None"),
        ({"@type": "remotemedia.v1.AudioBuffer"}, "must have the key '@type' with"),
        ({"@type": "a/no.Such"}, r"no message 'no\.Such' is known; import"),
        ({"@type": "a/google.protobuf.Value"}, "must have the key 'value'"),
        ({"@type": "a/google.protobuf.Value", "value": 1, "b": 2}, "has no field 'b'"),
        ({"@type": BUFFER_URL, "channels": -1}, "channels: must be from 0"),
    ],
)
def test_an_invalid_any_is_refused(value: Any, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        wkt.Any.from_dict(value)


def test_a_key_beside_the_value_may_be_ignored() -> None:
    value = {"@type": "a/google.protobuf.Value", "value": 1, "b": 2}
    packed = wkt.Any.from_dict(value, ignore_unknown_fields=True)
    assert packed.unpack() == Value(number_value=1.0)


def test_an_any_that_cannot_be_unpacked_has_no_json() -> None:
    for broken in (
        wkt.Any(type_url="a/no.Such"),
        wkt.Any(type_url=BUFFER_URL, value=b"\xff"),
        wkt.Any(value=b"a"),
    ):
        with pytest.raises(EncodeError, match=r"Any\.value: "):
            broken.to_dict()
        # Only JSON needs the type.
        assert broken.to_pydict()
