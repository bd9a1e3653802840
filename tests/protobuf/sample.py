"""A message with fields that the contract lacks, and its JSON."""

# ruff: noqa: RUF009 - fields are described by calls, as in generated code

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from remotemedia import protobuf
from remotemedia.protobuf.wkt import NullValue, Value
from remotemedia.v1 import AudioFormat, NodeMetrics


@dataclass(init=False, repr=False, eq=False, kw_only=True)
class Sample(protobuf.Message):
    """A message as the generator writes it, with fields that the contract lacks."""

    __proto_name__ = "test.Sample"

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
    values_: list[Value] = protobuf.field(16, "message", proto_name="values")
    is_on: bool = protobuf.field(17, "bool", False)
    by_wrapped: dict[str, int] = protobuf.field(
        18, "map", map_types=("string", "message"), wraps="uint64"
    )
    other: int = protobuf.field(19, "int32", 0, json_name="Other")
    lead: str = protobuf.field(20, "string", "", proto_name="_lead")
    x_2_y: str = protobuf.field(21, "string", "", proto_name="x_2y")
    null: NullValue = protobuf.field(22, "enum", NullValue.NULL_VALUE, optional=True)

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)


FULL = {
    "flags": {"true": "1", "false": "-2"},
    "byNumber": {"-5": "AUDIO_FORMAT_F32", "6": 9},
    "formats": ["AUDIO_FORMAT_I16", "AUDIO_FORMAT_UNSPECIFIED", 9],
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
    "byWrapped": {"a": "0", "b": "5"},
    "Other": 1,
    "Lead": "l",
    "x2y": "xy",
    "null": None,
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
        by_wrapped={"a": 0, "b": 5},
        other=1,
        lead="l",
        x_2_y="xy",
        null=NullValue.NULL_VALUE,
    )
