"""Unknown fields: they are preserved as bytes, and encoded again behind the known ones.

A sender with a newer contract may send fields that this version does not know. Their
values are not decoded: it is enough to find where each field ends. Hostile data may
hold very many short unknown fields. After the first few fields, therefore, a regular
expression skips runs of them at the speed of C.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

Tags: TypeAlias = "frozenset[int] | tuple[int, ...]"
"""The tags of a message's known fields."""

_FIELDS_PER_MATCH = 8
"""How many fields are skipped one at a time before the regular expression is tried."""

_PATTERN_STRING_BYTES = 8
"""The regular expression skips only strings that are shorter than this."""

_GROUP_STARTS = bytes(range(0x0B, 0x80, 8))
"""The tags of one byte that start a group."""


def preserve(
    values: wire.Values,
    data: bytes,
    start: int,
    end: int,
    depth: int,
    known: Tags,
) -> int:
    """Store an unknown field and the unknown fields that follow it directly.

    Args:
        values: The fields of the message, in which the bytes are stored.
        data: What is decoded.
        start: Where the field's tag starts.
        end: Where the message ends.
        depth: How many levels groups may be nested.
        known: The tags that end the run of unknown fields.

    Returns:
        Where the last of these fields ends.

    Raises:
        DecodeError: A field is invalid.
    """
    pos = start
    count = 0
    while pos < end:
        here = pos
        tag = data[pos]
        pos += 1
        if tag > 0x7F:
            tag, pos = wire.read_uint32(data, here)
        if tag in known:
            pos = here
            break
        if tag < 8:
            raise wire.DecodeError("a field has the number 0")
        kind = tag & 7
        if kind == 0 and data[pos] < 0x80:
            pos += 1
        elif kind == 3:
            pos = _after_groups(data, here, end, depth)
        else:
            pos = _after_value(data, pos, kind)
        if pos > end:
            raise wire.DecodeError(wire.TRUNCATED)
        count += 1
        if count == _FIELDS_PER_MATCH:
            count = 0
            if run := _run_of_fields(known).match(data, pos, end):
                pos = run.end()
    append(values, data, start, pos)
    return pos


def append(values: wire.Values, data: bytes, start: int, stop: int) -> None:
    """Add the bytes between two positions to the message's unknown fields."""
    preserved = values.get("_unknown")
    if preserved is None:
        preserved = values["_unknown"] = bytearray()
    preserved += data[start:stop]


def _after_value(data: bytes, pos: int, kind: int) -> int:
    """Return where a value of a wire type ends. That may be beyond the data."""
    if kind == 0:
        return wire.read_varint(data, pos)[1]
    if kind == 2:
        size = data[pos]
        pos += 1
        if size > 0x7F:
            size, pos = wire.read_uint32(data, pos - 1)
        return pos + size
    if kind == 5:
        return pos + 4
    if kind == 1:
        return pos + 8
    if kind == 4:
        raise wire.DecodeError("a group ends that was not started")
    raise wire.DecodeError(f"there is no wire type {kind}")


def _after_groups(data: bytes, pos: int, end: int, depth: int) -> int:
    """Return where the group at `pos` ends, or the last of consecutive groups.

    Field numbers inside groups are not checked, because upb does not check them.
    """
    ends: list[int] = []
    while True:
        tag = data[pos]
        pos += 1
        if tag > 0x7F:
            tag, pos = wire.read_uint32(data, pos - 1)
        kind = tag & 7
        if kind == 3:
            ends.append(tag + 1)
            if len(ends) > depth:
                raise wire.DecodeError(wire.TOO_DEEP)
        elif kind == 4:
            if tag != ends.pop():
                raise wire.DecodeError("a group ends that was not started")
            if not ends and (pos >= end or data[pos] not in _GROUP_STARTS):
                return pos
        elif kind == 0 and data[pos] < 0x80:
            pos += 1
        else:
            pos = _after_value(data, pos, kind)


@cache
def _run_of_fields(known: Tags) -> re.Pattern[bytes]:
    """Compile a pattern for up to 1000 unknown fields that are short and not groups.

    The pattern stops matching at a field that is long, known or invalid. It can match
    any field in one way only, so it never backtracks. Compiling takes about 2 ms, which
    is why the result is cached and most messages never need it.
    """
    sizes = range(_PATTERN_STRING_BYTES)
    short = [rb"\x%02x.{%d}" % (size, size) for size in sizes]
    padded = [rb"%b.{%d}" % (_padded(size), size) for size in sizes]
    values = {
        0: rb"[\x80-\xff]{0,9}[\x00-\x7f]",
        1: rb".{8}",
        2: rb"(?:%b)" % b"|".join(short + padded),
        5: rb".{4}",
    }
    # Alternatives that start with a set or a literal fail fastest, so they come first.
    fields = [_short_tags(kind, known) + value for kind, value in values.items()]
    fields += [_long_tags(kind, known) + value for kind, value in values.items()]
    return re.compile(rb"(?:%b){1,1000}" % b"|".join(fields), re.DOTALL)


def _short_tags(kind: int, known: Tags) -> bytes:
    """Return a pattern for the unknown tags of a wire type with one byte."""
    return _set(tag for tag in range(8 | kind, 0x80, 8) if tag not in known)


def _long_tags(kind: int, known: Tags) -> bytes:
    """Return a pattern for the unknown tags of a wire type with two to five bytes."""
    same_kind = [tag for tag in known if tag & 7 == kind]
    # A tag below 8 has the field number 0, which is invalid however it is padded.
    padded = map(_padded, (kind, *same_kind))
    canonical = (_literal(wire.varint(tag)) for tag in same_kind if tag > 0x7F)
    first = _set(range(0x80 | kind, 0x100, 8))
    rest = rb"[\x80-\xff]{0,2}[\x00-\x7f]|[\x80-\xff]{3}[\x00-\x0f]"
    return rb"(?!%b)%b(?:%b)" % (b"|".join((*padded, *canonical)), first, rest)


def _padded(value: int) -> bytes:
    """Return a pattern for a varint with redundant zero bytes at its end."""
    *head, last = wire.varint(value)
    return _literal((*head, last | 0x80)) + rb"\x80{0,3}\x00"


def _literal(values: Iterable[int]) -> bytes:
    return b"".join(rb"\x%02x" % value for value in values)


def _set(values: Iterable[int]) -> bytes:
    members = _literal(values)
    return rb"[%b]" % members if members else rb"(?!)"
