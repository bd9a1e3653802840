"""Records of the protobuf wire format, written by hand, valid or not.

Tests and benchmarks build inputs from these that no encoder would produce.
"""

from __future__ import annotations

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(value: int, size: int = 0) -> bytes:
    """Encode an unsigned integer as a varint, padded to `size` bytes."""
    length = max(size, (max(value.bit_length(), 1) + 6) // 7)
    parts = [value >> 7 * index & 0x7F for index in range(length)]
    return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])


def tag(number: int, wire_type: int) -> bytes:
    """Encode the tag of a field."""
    return varint(number << 3 | wire_type)


def integer(number: int, value: int) -> bytes:
    """Encode a field with a varint."""
    return tag(number, VARINT) + varint(value)


def delimited(number: int, body: bytes) -> bytes:
    """Encode a field with a length: a string, bytes, a message or packed numbers."""
    return tag(number, DELIMITED) + varint(len(body)) + body


def group(number: int, body: bytes = b"") -> bytes:
    """Encode a group. proto3 has no groups, so it is always an unknown field."""
    return tag(number, START_GROUP) + body + tag(number, END_GROUP)


def nested(number: int, depth: int, body: bytes = b"") -> bytes:
    """Encode a message that is nested `depth` levels deep."""
    for _ in range(depth):
        body = delimited(number, body)
    return body


def nested_groups(number: int, depth: int) -> bytes:
    """Encode groups that are nested `depth` levels deep."""
    return tag(number, START_GROUP) * depth + tag(number, END_GROUP) * depth
