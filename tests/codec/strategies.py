"""Hypothesis strategies: random messages of Google's classes, and invalid bytes.

Edge cases are drawn often: the ends of every range, -0.0, NaN and infinities, enum
numbers without a name, characters of four bytes, submessages that are set but empty,
and map entries with an empty key and value.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from tests.codec.values import MESSAGE, is_map, map_value, message_of, oneof_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message as GoogleMessage

F = FieldDescriptor


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    """Draw integers of a range, often its ends and those where a varint gets longer."""
    edges = {0, 1, -1, 127, 128, 16383, 16384, 2**31, 2**32, low, low + 1, high}
    inside = sorted(edge for edge in edges if low <= edge <= high)
    return st.sampled_from(inside) | st.integers(low, high)


INT32 = integers(-(2**31), 2**31 - 1)
INT64 = integers(-(2**63), 2**63 - 1)
UINT32 = integers(0, 2**32 - 1)
UINT64 = integers(0, 2**64 - 1)
TEXT = st.sampled_from(["", "a", "é", "漢", "🎧\x00", "x" * 200]) | st.text(max_size=8)
EDGE_FLOATS = st.sampled_from(
    [0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf")]
)

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    F.TYPE_INT32: INT32,
    F.TYPE_SINT32: INT32,
    F.TYPE_SFIXED32: INT32,
    F.TYPE_INT64: INT64,
    F.TYPE_SINT64: INT64,
    F.TYPE_SFIXED64: INT64,
    F.TYPE_UINT32: UINT32,
    F.TYPE_FIXED32: UINT32,
    F.TYPE_UINT64: UINT64,
    F.TYPE_FIXED64: UINT64,
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_ENUM: st.integers(0, 8) | INT32,
    F.TYPE_STRING: TEXT,
    F.TYPE_BYTES: st.sampled_from([b"", b"\x00", b"\x80" * 150])
    | st.binary(max_size=8),
    F.TYPE_DOUBLE: EDGE_FLOATS | st.floats(),
    F.TYPE_FLOAT: EDGE_FLOATS | st.floats(width=32),
}

# The ranges of Python's datetime and timedelta, in microseconds.
SPANS = {
    "google.protobuf.Timestamp": st.builds(
        lambda seconds, micros: {"seconds": seconds, "nanos": micros * 1000},
        integers(-62135596800, 253402300799),
        integers(0, 999_999),
    ),
    "google.protobuf.Duration": st.builds(
        lambda seconds, micros: {
            "seconds": seconds,
            "nanos": micros * (-1000 if seconds < 0 else 1000),
        },
        integers(-10_000_000_000, 10_000_000_000),
        integers(0, 999_999),
    ),
}


@cache
def messages(descriptor: Descriptor, depth: int = 3) -> st.SearchStrategy[Any]:
    """Draw instances of Google's class that are nested at most `depth` levels deep."""
    google = GetMessageClass(descriptor)
    if descriptor.full_name in SPANS:
        return SPANS[descriptor.full_name].map(lambda parts: google(**parts))
    fields = [
        field for field in descriptor.fields if depth > 0 or not holds_messages(field)
    ]
    if not fields:
        return st.just(google())

    @st.composite
    def message(draw: st.DrawFn) -> GoogleMessage:
        chosen = draw(st.lists(st.sampled_from(fields), max_size=6, unique=True))
        # Of several members of a oneof, the last one is set.
        one_each = {(oneof_of(field) or field.name): field for field in chosen}
        return google(
            **{
                field.name: draw(field_values(field, depth))
                for field in one_each.values()
            }
        )

    return message()


def holds_messages(field: FieldDescriptor) -> bool:
    """Whether the values of a field are messages, map values included."""
    if is_map(field):
        return holds_messages(map_value(field))
    return field.cpp_type == MESSAGE


@cache
def field_values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Draw values that Google's constructor accepts for a field."""
    if is_map(field):
        key, value = message_of(field).fields
        return st.dictionaries(
            field_values(key, depth), field_values(value, depth), max_size=3
        )
    if field.cpp_type == MESSAGE:
        one = messages(message_of(field), depth - 1)
    else:
        one = SCALARS[field.type]
    return st.lists(one, max_size=3) if field.is_repeated else one


# --- bytes ------------------------------------------------------------------------

VARINTS = st.binary(max_size=11).map(
    # A varint of any length, which the last byte may end or not.
    lambda raw: bytes(byte | 0x80 for byte in raw[:-1]) + raw[-1:]
)
TAGS = st.integers(0, 255).map(lambda tag: bytes([tag])) | VARINTS
SHORT = st.binary(max_size=6)
RECORDS = st.one_of(
    # A tag of any wire type, valid or not, and random bytes after it.
    st.builds(bytes.__add__, TAGS, SHORT),
    st.builds(bytes.__add__, TAGS, VARINTS),
    # A valid length-delimited field, which may be unknown.
    st.builds(
        lambda number, body: bytes([number << 3 | 2, len(body)]) + body,
        st.integers(1, 15),
        SHORT,
    ),
    # A group that is empty or contains a field.
    st.builds(
        lambda number, body: bytes([number << 3 | 3]) + body + bytes([number << 3 | 4]),
        st.integers(1, 15),
        st.sampled_from([b"", b"\x08\x01", b"\x12\x01a", b"\x1b\x1c"]),
    ),
)


@st.composite
def mutated(draw: st.DrawFn, descriptor: Descriptor, depth: int = 3) -> bytes:
    """Draw the bytes of a message, changed in a few places or joined with others."""
    message = draw(messages(descriptor, depth))
    data = bytearray(message.SerializeToString())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "join"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 4))]
            case "insert":
                data[at:at] = draw(RECORDS)
            case "repeat":
                data += data[at:]
            case "join":
                data += draw(messages(descriptor, depth)).SerializeToString()
            case _:
                pass
    return bytes(data)
