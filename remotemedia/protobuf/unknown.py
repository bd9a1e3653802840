"""The fields that a message has no names for: they are kept as they came.

A sender newer than this package, or hostile, sends them. What they mean is not
asked, only where they end. That is found a field at a time; a long run of short
fields is hostile, and is stepped over with a regular expression.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

Tags: TypeAlias = "frozenset[int] | tuple[int, ...]"
"""Tags of the fields that a message has."""

_FEW = 8
"""Fields that are stepped over before the pattern is asked, which may know nothing."""

_SHORT = 8
"""Strings below this size are known to the pattern."""

_GROUPS = bytes(range(0x0B, 0x80, 8))
"""The tags of one byte that begin a group."""


def keep(
    values: wire.Values,
    data: bytes,
    start: int,
    end: int,
    depth: int,
    known: Tags,
) -> int:
    """Put an unknown field away as it is, and those behind it; return where they end.

    It starts at `start`, in a message that ends at `end`, and whose fields have the
    tags `known`. Groups may be nested `depth` more deep.
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
        if count == _FEW:
            count = 0
            if run := _run_of_fields(known).match(data, pos, end):
                pos = run.end()
    put_away(values, data, start, pos)
    return pos


def put_away(values: wire.Values, data: bytes, start: int, stop: int) -> None:
    """Keep the bytes between two places, to be sent again behind the known fields."""
    kept = values.get("_unknown")
    if kept is None:
        kept = values["_unknown"] = bytearray()
    kept += data[start:stop]


def _after_value(data: bytes, pos: int, kind: int) -> int:
    """Return where a value of a wire type ends, which may be behind the data."""
    if kind == 0:
        return pos + 1 if data[pos] < 0x80 else wire.read_varint(data, pos)[1]
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
        raise wire.DecodeError("a group ends that did not begin")
    raise wire.DecodeError(f"there is no wire type {kind}")


def _after_groups(data: bytes, pos: int, end: int, depth: int) -> int:
    """Return where the group at `pos` ends, and those that follow it.

    Inside of groups numbers have no meaning, and upb does not look at them.
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
                raise wire.DecodeError("a group ends that did not begin")
            if not ends and (pos >= end or data[pos] not in _GROUPS):
                return pos
        elif kind == 0 and data[pos] < 0x80:
            pos += 1
        else:
            pos = _after_value(data, pos, kind)


@cache
def _run_of_fields(known: Tags) -> re.Pattern[bytes]:
    """Make a pattern of up to 1000 unknown fields, with short strings and no groups.

    Where it does not match, a field may be long, known or wrong. There is one way to
    read a field: nothing makes it go back and try another. It takes 2 ms to make.
    """
    short = [rb"\x%02x.{%d}" % (size, size) for size in range(_SHORT)]
    padded = [rb"%b.{%d}" % (_padded(size), size) for size in range(_SHORT)]
    values = {
        0: rb"[\x80-\xff]{0,9}[\x00-\x7f]",
        1: rb".{8}",
        2: rb"(?:%b)" % b"|".join(short + padded),
        5: rb".{4}",
    }
    # What begins with a set or a literal is soon found not to match: it goes first.
    fields = [_short_tags(kind, known) + value for kind, value in values.items()]
    fields += [_long_tags(kind, known) + value for kind, value in values.items()]
    return re.compile(rb"(?:%b){1,1000}" % b"|".join(fields), re.DOTALL)


def _short_tags(kind: int, known: Tags) -> bytes:
    """Write the tags of a wire type that take one byte, less those that are known."""
    return _set(tag for tag in range(8 | kind, 0x80, 8) if tag not in known)


def _long_tags(kind: int, known: Tags) -> bytes:
    """Write the tags of two to five bytes and 32 bits, less those that are known."""
    same_kind = [tag for tag in known if tag & 7 == kind]
    # A tag that is less than 8 has the number 0, which no field has.
    padded = map(_padded, (kind, *same_kind))
    as_sent = (_literal(wire.varint(tag)) for tag in same_kind if tag > 0x7F)
    first = _set(range(0x80 | kind, 0x100, 8))
    rest = rb"[\x80-\xff]{0,2}[\x00-\x7f]|[\x80-\xff]{3}[\x00-\x0f]"
    return rb"(?!%b)%b(?:%b)" % (b"|".join((*padded, *as_sent)), first, rest)


def _padded(value: int) -> bytes:
    """Write a varint that ends with zeros, which it need not."""
    *head, last = wire.varint(value)
    return _literal((*head, last | 0x80)) + rb"\x80{0,3}\x00"


def _literal(values: Iterable[int]) -> bytes:
    return b"".join(rb"\x%02x" % value for value in values)


def _set(values: Iterable[int]) -> bytes:
    members = _literal(values)
    return rb"[%b]" % members if members else rb"(?!)"
