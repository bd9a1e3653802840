"""JSON, compared with Google's `json_format` over every kind of field, both ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance import oracle
from remotemedia.protobuf import DecodeError
from tests.codec.contract import every_message
from tests.codec.effort import examples
from tests.codec.generated import PROTOS
from tests.codec.json_trip import check_trip
from tests.codec.strategies import messages
from tests.codec.values import is_map, map_value

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from tests.codec.values import Pair

ALL_TYPES = oracle.load(PROTOS)


@every_message
@examples(10)
@given(data=st.data())
def test_messages_of_the_contract(pair: Pair, data: st.DataObject) -> None:
    pool = pair.descriptor.file.pool
    check_trip(pair, data.draw(messages(pair.descriptor)), pool)


@pytest.mark.parametrize(
    "name",
    ["Singular", "Optional", "Repeated", "Unpacked", "Maps", "Oneofs", "WellKnown"],
)
@examples(20)
@given(data=st.data())
def test_every_kind_of_field(
    all_types: dict[str, Pair], name: str, data: st.DataObject
) -> None:
    pair = all_types[f"all_types.{name}"]
    google = data.draw(messages(pair.descriptor))
    if name == "WellKnown":
        # Google's parser writes paths that would not be the same when they are read.
        assume(all(re.fullmatch("[a-z.]*", path) for path in google.field_mask.paths))
    check_trip(pair, google, ALL_TYPES.pool)


def test_messages_may_be_nested_to_a_limit(all_types: dict[str, Pair]) -> None:
    oneofs: Any = all_types["all_types.Oneofs"].ours

    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels):
            value = {"deeper": value}
        return value

    assert oneofs.from_dict(nested(100)).to_dict() == nested(100)
    with pytest.raises(
        DecodeError, match=r"^Oneofs(\.deeper){101}: messages and groups"
    ):
        oneofs.from_dict(nested(101))
    with pytest.raises(DecodeError, match="more than 100 deep"):
        oneofs.from_json('{"deeper":' * 900 + "{}" + "}" * 900)


# --- what is accepted ---------------------------------------------------------------

POOL: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, 1.0, -0.0, 1e10, 3.5e38, 1e300, 10**400),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
    *(-(2**31), -(2**31) - 1, -(2**63), -(2**63) - 1),
    *("", "0", "1", "-1", "01", "1.0", "1.5", "1e2", "0x1", "x", "true"),
    *("NaN", "Infinity", "-Infinity", "nan", "AAAA", "AA==", "AA", "A", "_-A="),
    *("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456789+01:30"),
    *("2020-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+00:01", "2020-01-01t00:00:00Z", "2020-01-01T24:00:00Z"),
    *("1.5s", "-1s", "315576000000s", "315576000001s", "1", "a,bC.d", "a_b"),
    *("\ud800", "é", "COLOR_RED", "COLOR_BLUE", [], {}, [None], {"a": None}),
    *({"1": 1}, {"true": 1}),
]
ENUM, BYTES = FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BYTES
FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


def only_google_accepts(value: Any, descriptor: Descriptor | None, kind: int) -> bool:
    """Whether Google's parser in Python accepts what protobuf's JSON has not."""
    if kind == ENUM:
        # Fractions, numbers out of range and in quotes, and bools.
        return not isinstance(value, (dict, list)) and value is not None
    if kind in FLOATS:
        return isinstance(value, bool)
    if kind == BYTES:
        # It leaves out all characters that are not base64.
        return isinstance(value, str)
    # What is empty is not always looked at.
    return descriptor is not None and value in ("", [])


def single(field: FieldDescriptor) -> tuple[Descriptor | None, int]:
    """Return the message type and the kind of one value of a field."""
    one = map_value(field) if is_map(field) else field
    message = one.message_type
    if (
        message
        and message.full_name.endswith("Value")
        and "value" in (message.fields_by_name)
    ):
        one = message.fields_by_name["value"]
        message = None
    return message, one.type


@pytest.mark.parametrize(
    "name", ["Singular", "Optional", "Repeated", "Maps", "Oneofs", "WellKnown"]
)
def test_both_accept_the_same(all_types: dict[str, Pair], name: str) -> None:
    pair = all_types[f"all_types.{name}"]
    ours: Any = pair.ours
    outcomes = set()
    for field in pair.descriptor.fields:
        message, kind = single(field)
        keys = ("1", "true", "x")
        for value in POOL:
            wrapped: list[Any] = [value]
            if is_map(field):
                wrapped += [{key: value} for key in keys]
            elif field.is_repeated:
                wrapped.append([value])
            for entry in wrapped:
                source = {field.json_name: entry}
                try:
                    google = json_format.ParseDict(source, pair.google())
                except Exception:  # noqa: BLE001 - it raises many kinds
                    google = None
                try:
                    found = pair.google.FromString(bytes(ours.from_dict(source)))
                except DecodeError:
                    found = None
                if google is not None and found is None:
                    assert only_google_accepts(value, message, kind), source
                else:
                    assert repr(found) == repr(google), source
                outcomes.add(found is None)
    assert outcomes == {True, False}
