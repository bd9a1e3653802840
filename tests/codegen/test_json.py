"""Generated messages know their names in JSON, and agree on them with Google's."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from conformance import oracle
from tests.codec.effort import examples
from tests.codec.strategies import messages
from tests.codegen.conftest import PROTOS

pytestmark = pytest.mark.usefixtures("generated")

GOOGLE = oracle.load(PROTOS, "spelling.proto")
DESCRIPTOR = GOOGLE.pool.FindMessageTypeByName("fixtures.spelling.Spelling")
KINDS = ("KIND_UNKNOWN", "KIND_NONE", "NOT_PREFIXED", "KIND_2D")


def spelling() -> Any:
    return importlib.import_module("fixtures.spelling").Spelling


def full() -> Any:
    """Return Google's message with every field set."""
    google: Any = GetMessageClass(DESCRIPTOR)()
    for field in DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING:
            setattr(google, field.name, f"of {field.name}")
    google.in_map["a"].value = 5
    google.kinds.extend(range(5))
    return google


def test_every_name_in_json_is_that_of_google() -> None:
    google = full()
    ours = spelling().FromString(google.SerializeToString())
    as_google = json_format.MessageToDict(google)
    assert ours.to_dict() == as_google
    assert len(as_google) == len(DESCRIPTOR.fields)
    assert as_google["kinds"] == [*KINDS, 4]
    assert spelling().from_dict(as_google) == ours
    assert spelling().from_json(ours.to_json()) == ours


def test_names_in_the_proto_are_read_and_written() -> None:
    google = full()
    as_google = json_format.MessageToDict(google, preserving_proto_field_name=True)
    ours = spelling().FromString(google.SerializeToString())
    assert spelling().from_dict(as_google) == ours


@examples(20)
@given(data=st.data())
def test_the_trip_through_json(data: st.DataObject) -> None:
    google = data.draw(messages(DESCRIPTOR))
    ours = spelling().FromString(google.SerializeToString())
    text = json_format.MessageToJson(google)
    assert json.loads(ours.to_json()) == json.loads(text)
    assert spelling().from_json(text) == ours


def test_enum_members_have_their_names_in_the_proto() -> None:
    kind = importlib.import_module("fixtures.spelling").Kind
    assert list(kind.__members__) == [
        *("UNKNOWN", "NONE", "NOT_PREFIXED", "_2D"),
    ]
    assert [kind.from_string(name) for name in KINDS] == list(kind)
    assert kind.__proto_name__ == "fixtures.spelling.Kind"
    message = spelling()(kinds=list(kind))
    assert message.to_dict() == {"kinds": list(KINDS)}
    names = importlib.import_module("fixtures.names")
    odd = {
        name: names.Odd.from_string(name)
        for name in ("mro", "name", "ODD_None", "NOT_ODD_ONE", "__private", "ODD_ALIAS")
    }
    assert [*map(int, odd.values())] == [1, 2, 5, 4, 7, 1]


def test_messages_are_registered_by_their_names_in_the_proto() -> None:
    names = importlib.import_module("fixtures.names")
    wkt = importlib.import_module("remotemedia.protobuf.wkt")
    inner = names.OuterInner(first=1)
    packed = wkt.Any.pack(inner)
    assert packed.type_name == "fixtures.names.Outer.Inner"
    assert packed.unpack() == inner
