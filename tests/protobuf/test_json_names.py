"""The names of fields in the proto and in JSON, which protoc defines."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.protobuf.json_names import Names, field_names, json_name
from tests.protobuf.sample import Sample


@pytest.mark.parametrize(
    ("proto", "json"),
    [
        ("sample_rate", "sampleRate"),
        ("FIELD_NAME", "FIELDNAME"),
        ("IPAddress", "IPAddress"),
        ("linkID", "linkID"),
        ("field0name", "field0name"),
        ("x_2y", "x2y"),
        ("_lead", "Lead"),
        ("trail__", "trail"),
        ("a__b", "aB"),
    ],
)
def test_underscores_are_left_out_and_capitals_stay(proto: str, json: str) -> None:
    assert json_name(proto) == json


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True))
def test_the_rule_is_protocs(name: str) -> None:
    file = descriptor_pb2.FileDescriptorProto(name="f.proto", syntax="proto3")
    file.message_type.add(name="M").field.add(name=name, number=1, type=5, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = pool.FindMessageTypeByName("M")
    assert json_name(name) == message.fields_by_number[1].json_name


def test_a_field_may_have_names_of_its_own() -> None:
    names = field_names(Sample)
    assert names["is_on"] == Names("is_on", "isOn")
    assert names["values_"] == Names("values", "values")
    assert names["other"] == Names("other", "Other")
    assert names["lead"] == Names("_lead", "Lead")
