"""How many fields a message may have in all, counted before it is decoded.

Two bytes are enough for a field, and decoding it takes a fraction of a microsecond and
up to a hundred bytes. So a limit of bytes alone bounds neither the time nor the memory
of decoding well: an attacker fills a message with ten million empty submessages, where
an honest message of that size holds a few long strings.

What a program decodes itself (``FromString``, ``parse``) is not counted: only what came
over a network may be an attack, and a program may have good reasons for large messages.

Only data that is long enough to have so many fields is counted. Nothing is decoded for
it, but messages inside messages are entered, since their bytes are fields as well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    import betterproto

MAX_FIELDS = 250_000
"""How many fields a message may have, with those of the messages in it. A packed list
of numbers is one field, and an entry of a map is three. Decoding as many takes about
0.1 s."""

COUNTED_BYTES = 2 * MAX_FIELDS
"""Data that is not longer has no more fields."""

_Messages: TypeAlias = "dict[int, Callable[[], _Messages]]"
"""The tags of the fields that are messages, and how to get the same of those."""


def check_fields(cls: type, data: bytes) -> None:
    """Check that data does not have too many fields.

    Args:
        cls: The class of the message in it.
        data: What is going to be decoded, of more than `COUNTED_BYTES`. Where it is
            invalid, only the fields before that place are counted: the decoder gets
            no further.

    Raises:
        DecodeError: There are more fields than `MAX_FIELDS`.
    """
    room = MAX_FIELDS
    pos, end, messages = 0, len(data), _messages_in(cls)
    # The messages around this one: where they go on.
    outer: list[tuple[int, int, _Messages]] = []
    while True:
        if pos >= end:
            if not outer:
                return
            pos, end, messages = outer.pop()
            continue
        room -= 1
        if room < 0:
            error = wire.DecodeError(f"it has more than {MAX_FIELDS} fields")
            error.message = cls.__name__
            raise error
        try:
            tag = data[pos]
            pos += 1
            if tag > 0x7F:
                tag, pos = wire.read_uint32(data, pos - 1)
            kind = tag & 7
            if kind == 2:
                size = data[pos]
                pos += 1
                if size > 0x7F:
                    size, pos = wire.read_uint32(data, pos - 1)
                if size and tag in messages and len(outer) <= wire.MAX_DEPTH:
                    outer.append((pos + size, end, messages))
                    end, messages = min(pos + size, end), messages[tag]()
                else:
                    pos += size
            elif kind == 0:
                pos = wire.read_varint(data, pos)[1]
            elif kind == 1 or kind == 5:
                pos += 8 if kind == 1 else 4
            elif kind > 5:
                pos = end
            # The fields between the start and the end of a group are counted as well.
        except (wire.DecodeError, IndexError):
            pos = end


@cache
def _messages_in(cls: Hashable) -> _Messages:
    # A well-known type that is shown as a Python value has messages of its own, but no
    # more than one level of them.
    meta: betterproto.ProtoClassMetadata | None = getattr(cls, "_betterproto", None)
    if meta is None:
        return {}
    classes: dict[str, Any] = meta.cls_by_field
    found: _Messages = {}
    for name, field in meta.meta_by_field_name.items():
        tag = field.number << 3 | 2
        if field.proto_type == "map":
            found[tag] = partial(_messages_in_entry, classes[f"{name}.value"])
        elif field.proto_type == "message":
            found[tag] = partial(_messages_in, classes[name])
    return found


@cache
def _messages_in_entry(value_class: Hashable) -> _Messages:
    is_message = hasattr(value_class, "_betterproto")
    return {0x12: partial(_messages_in, value_class)} if is_message else {}
