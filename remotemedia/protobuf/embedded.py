"""Messages inside messages: what encoders and decoders of fields with messages share.

An embedded message is written as its tag, its length and its fields. The generated
code writes and reads the common case itself. The functions here do the rest: fields
that repeat, and well-known types that a field shows as a Python value.

A decoder counts `depth` down, the number of levels that may still be nested, so that
hostile data cannot exhaust Python's stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

new: Callable[[type], Any] = object.__new__
"""Makes a message without calling its constructor."""


class Codec(Protocol):
    """A message class, as far as encoding and decoding need it."""

    _values: wire.Values

    def _encode(self, out: wire.Parts) -> int: ...

    def _decode(self, data: bytes, pos: int, end: int, depth: int) -> None: ...

    def _adopt_placeholders(self) -> None: ...


class Convertible(Codec, Protocol):
    """A well-known type that a field shows as a Python value."""

    @classmethod
    def from_python(cls, value: Any) -> Self:
        """Make the message of a value."""
        ...

    def to_python(self) -> Any:
        """Return the value of the message."""
        ...


def wrong_type(value: object, cls: type, where: str) -> wire.EncodeTypeError:
    """Return the error for a field whose value is not a message of its type."""
    return wire.EncodeTypeError(
        f"{where} must be of type {cls.__name__}, not {type(value).__name__}"
    )


def encode_python_value(
    out: wire.Parts, tag: bytes, value: object, cls: type[Convertible], where: str
) -> int:
    """Append a Python value as the well-known message that it stands for.

    Returns:
        The size of tag, length and message, in bytes.
    """
    index = len(out)
    out.append(tag)
    try:
        size = cls.from_python(value)._encode(out)
    except wire.EncodeError as error:
        raise type(error)(f"{where}: {error}") from None
    out[index] = head = tag + wire.varint(size)
    return len(head) + size


def decode_python_value(
    cls: type[Convertible],
    data: bytes,
    pos: int,
    stop: int,
    depth: int,
    present: object = None,
) -> object:
    """Decode a well-known message; return the Python value that it stands for.

    Args:
        cls: The message class.
        data: Where the message lies.
        pos: Where it starts.
        stop: Where it ends.
        depth: How many levels may be nested, this message included.
        present: The field's value so far, with which the message is merged.
    """
    message = cls() if present is None else cls.from_python(present)
    message._decode(data, pos, stop, depth - 1)
    return message.to_python()


# Data made by an attacker repeats one field hundreds of thousands of times, and so does
# a long list. The functions below therefore go on for as long as the next field has
# the same tag, and return to the decoder's own loop only then. They recognise tags of
# one byte; a field with a longer tag is read through the decoder's loop each time.


def merge(
    message: Codec, data: bytes, tag: int, pos: int, stop: int, end: int, depth: int
) -> int:
    """Decode a field again whose message is present already: the two are merged.

    Args:
        message: The message that is present.
        data: What is decoded.
        tag: The field's tag.
        pos: Where the field's value starts.
        stop: Where it ends.
        end: Where the message that contains the field ends.
        depth: How many levels may be nested, this message included.

    Returns:
        Where the last consecutive value of the field ends.
    """
    if "_placeholders" in message._values:
        message._adopt_placeholders()
    while True:
        if pos < stop or depth < 1:
            message._decode(data, pos, stop, depth - 1)
        if stop >= end or data[stop] != tag or tag > 0x7F:
            return stop
        pos = stop + 2
        stop = data[stop + 1]
        if stop > 0x7F:
            stop, pos = wire.read_uint32(data, pos - 1)
        stop += pos
        if stop > end:
            raise wire.DecodeError(wire.TRUNCATED)


def decode_list(
    items: list[Any],
    cls: type[Codec],
    data: bytes,
    tag: int,
    pos: int,
    stop: int,
    end: int,
    depth: int,
) -> int:
    """Decode an element of a repeated field, and those that follow it directly.

    The arguments are those of `merge`, but for `items`, to which messages of the type
    `cls` are appended.

    Returns:
        Where the last consecutive element ends.
    """
    append = items.append
    while True:
        item = new(cls)
        if pos < stop or depth < 1:
            item._decode(data, pos, stop, depth - 1)
        append(item)
        if stop >= end or data[stop] != tag or tag > 0x7F:
            return stop
        pos = stop + 2
        stop = data[stop + 1]
        if stop > 0x7F:
            stop, pos = wire.read_uint32(data, pos - 1)
        stop += pos
        if stop > end:
            raise wire.DecodeError(wire.TRUNCATED)
