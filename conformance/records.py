"""Records of the protobuf wire format, written by hand, valid or not.

Tests and benchmarks build inputs from these that no encoder would produce.
"""

from __future__ import annotations

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(value: int, size: int = 0) -> bytes:
    """Encode an unsigned integer, in `size` bytes if more than it needs."""
    length = max(size, (max(value.bit_length(), 1) + 6) // 7)
    parts = [value >> 7 * index & 0x7F for index in range(length)]
    return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])


def tag(number: int, wire_type: int) -> bytes:
    """Encode what a record begins with."""
    return varint(number << 3 | wire_type)


def integer(number: int, value: int) -> bytes:
    """Make a record that holds a varint."""
    return tag(number, VARINT) + varint(value)


def delimited(number: int, body: bytes) -> bytes:
    """Make a record of a string, bytes, a message or packed numbers."""
    return tag(number, DELIMITED) + varint(len(body)) + body


def group(number: int, body: bytes = b"") -> bytes:
    """Make a group, which proto3 has none of: always unknown."""
    return tag(number, START_GROUP) + body + tag(number, END_GROUP)


def nested(number: int, depth: int, body: bytes = b"") -> bytes:
    """Put `depth` messages inside one another."""
    for _ in range(depth):
        body = delimited(number, body)
    return body


def nested_groups(number: int, depth: int) -> bytes:
    """Put `depth` groups inside one another."""
    return tag(number, START_GROUP) * depth + tag(number, END_GROUP) * depth
