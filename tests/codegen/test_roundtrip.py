"""Messages with unusual names and in unusual packages, compared with Google's.

The codec has tests of its own, over every kind of field; here it is about types whose
names or packages are unusual, and about the types that come with protobuf.
"""

from __future__ import annotations

import datetime as dt
import importlib
from functools import cache
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from conformance import oracle
from tests.codec.effort import examples
from tests.codec.roundtrip import Outcome, round_trip
from tests.codec.strategies import messages
from tests.codec.values import Pair
from tests.codegen.conftest import PROTOS

pytestmark = pytest.mark.usefixtures("generated")

FILES = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
GOOGLE = oracle.load(PROTOS, *FILES)

OURS = {
    "Loose": ("types_", "Loose"),
    "Looser": ("fixtures_", "Looser"),
    "fixtures.names.List": ("fixtures.names", "List"),
    "fixtures.names.Optional": ("fixtures.names", "Optional"),
    "fixtures.names.Message": ("fixtures.names", "Message"),
    "fixtures.names.Any": ("fixtures.names", "Any"),
    "fixtures.names.Enum": ("fixtures.names", "Enum"),
    "fixtures.names.None": ("fixtures.names", "None_"),
    "fixtures.names.Outer": ("fixtures.names", "Outer"),
    "fixtures.names.Outer.Inner": ("fixtures.names", "OuterInner"),
    "fixtures.names.OuterInner": ("fixtures.names", "OuterInner_"),
    "fixtures.names.lower_case": ("fixtures.names", "LowerCase"),
    "fixtures.names.Fields": ("fixtures.names", "Fields"),
    "fixtures.names.HoldsOdd": ("fixtures.names", "HoldsOdd"),
    "fixtures.names.HTTPBody": ("fixtures.names", "HttpBody"),
    "fixtures.names.Http": ("fixtures.names", "Http"),
    "fixtures.names.HttpBodyEntry": ("fixtures.names", "HttpBodyEntry"),
    "fixtures.names.HttpBody": ("fixtures.names", "HttpBody_"),
    "fixtures._codec.Coded": ("fixtures._codec_", "Coded"),
    "fixtures.import.Heard": ("fixtures.import_", "Heard"),
    "fixtures.shapes.Framed": ("fixtures.shapes", "Framed"),
    "fixtures.shapes.More": ("fixtures.shapes", "More"),
    "fixtures.kinds.Kinds": ("fixtures.kinds", "Kinds"),
    "fixtures.kinds.WellKnown": ("fixtures.kinds", "WellKnown"),
}


@cache
def pair(name: str) -> Pair:
    module, cls = OURS[name]
    descriptor = GOOGLE.pool.FindMessageTypeByName(name)
    return Pair(
        GetMessageClass(descriptor), getattr(importlib.import_module(module), cls)
    )


@pytest.mark.parametrize("name", OURS)
@examples(10)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    found = pair(name)
    message = data.draw(messages(found.descriptor))
    assert round_trip(found, message.SerializeToString()) is Outcome.EQUAL


def well_known(**fields: Any) -> Any:
    return pair("fixtures.kinds.WellKnown").ours(**fields)


UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        *[(0, 0), (1, 1), (-1, 999_999_999), (2**63 - 1, 0), (-(2**63), 5)],
        *[(253402300800, 0), (-62135596801, 0), (0, -1), (5, 2**31 - 1)],
    ],
)
@pytest.mark.parametrize("field", ["timestamp", "duration"])
def test_times_that_python_cannot_express_are_preserved(
    field: str, seconds: int, nanos: int
) -> None:
    google: Any = pair("fixtures.kinds.WellKnown").google()
    getattr(google, field).seconds = seconds
    getattr(google, field).nanos = nanos
    message = well_known().FromString(google.SerializeToString())
    kinds = (dt.datetime, dt.timedelta)
    assert isinstance(getattr(message, field), kinds)
    assert bytes(message) == google.SerializeToString()


def test_python_values_stand_for_well_known_types() -> None:
    message = well_known(
        timestamp=dt.datetime(2024, 5, 6, 7, 8, 9, 10, UTC),
        duration=dt.timedelta(seconds=-1, microseconds=-5),
        int32=0,
        boolean=True,
        blob=b"",
        timestamps=[dt.datetime(1969, 12, 31, 23, tzinfo=UTC)],
        strings=["", "a"],
        durations={"a": dt.timedelta(1)},
        doubles={"b": 0.5},
        after=7,
    )
    google: Any = pair("fixtures.kinds.WellKnown").google.FromString(bytes(message))
    assert google.timestamp.ToNanoseconds() == 1714979289_000010_000
    assert (google.duration.seconds, google.duration.nanos) == (-1, -5000)
    assert google.HasField("int32")
    assert google.int32.value == 0
    assert google.blob.value == b""
    assert google.timestamps[0].seconds == -3600
    assert [item.value for item in google.strings] == ["", "a"]
    assert google.durations["a"].seconds == 86400
    assert google.doubles["b"].value == 0.5
    assert google.WhichOneof("when") == "after"
    assert well_known().FromString(bytes(message)) == message


def test_what_is_not_set_is_not_sent() -> None:
    message = well_known()
    assert message.timestamp == dt.datetime(1970, 1, 1, tzinfo=UTC)
    assert message.duration == dt.timedelta(0)
    assert message.int32 is None
    assert message.struct.fields == {}
    assert bytes(message) == b""
    message.timestamp = dt.datetime(1970, 1, 1, tzinfo=UTC)
    assert bytes(message) == b"\x0a\x00"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"timestamp": dt.datetime(2024, 1, 1)}, "timestamp.* time zone"),
        ({"timestamp": "now"}, "timestamp.* must be a datetime, not str"),
        ({"duration": 5}, "duration.* must be a timedelta, not int"),
        ({"int32": 2**31}, r"int32.* must be from -2147483648 to 2147483647"),
        ({"strings": [5]}, "strings.* must be a str, not int"),
        ({"blob": "text"}, "blob.* must be bytes"),
    ],
)
def test_a_wrong_value_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"WellKnown.{named}"):
        bytes(well_known(**fields))


def test_parts_of_a_timestamp_are_merged() -> None:
    seconds, nanos = b"\x0a\x02\x08\x05", b"\x0a\x03\x10\xe8\x07"
    message = well_known().FromString(seconds + nanos)
    assert message.timestamp == dt.datetime(1970, 1, 1, 0, 0, 5, 1, UTC)
