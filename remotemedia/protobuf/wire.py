"""The protobuf wire format: how scalar values become bytes, and bytes become values.

The format is that of https://protobuf.dev/programming-guides/encoding. Where that
page leaves something open, this module does what Google's C implementation (upb)
does: a varint of more than ten bytes is an error, and bits beyond the 64th are
dropped.

An encoder function takes a value and `where`, the field's name for error texts. It
returns the encoded value without tag and without length. A reader function takes the
data and a position. It returns the value and the position after it. Readers do not
check that they stay inside the message that they read: the generated decoders compare
positions afterwards, once per message. Reading past the end of the data raises one of
`FAULTS`, and `decode_error` turns each of those into a `DecodeError`.

This module knows single values. Messages inside messages are in `embedded`.
"""

from __future__ import annotations

import operator
import reprlib
import struct
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

    BytesLike: TypeAlias = Buffer
else:
    BytesLike = bytes | bytearray | memoryview

MAX_DEPTH = 100
"""How many levels of messages and groups a decoded message may contain."""

_LARGE_BYTES = 64 * 1024
"""From this size on, `joined` does not copy a part, but passes it on by itself."""

Parts: TypeAlias = "list[bytes | bytearray | memoryview]"
"""An encoded message in pieces. Joining them copies a large payload at most once."""

Values: TypeAlias = "dict[str, Any]"
"""The fields of a message that are set, by name."""


class DecodeError(ValueError):
    """The bytes, or the JSON, are not a valid encoding of the message type.

    Attributes:
        message: Name of the outermost message; empty if not known.
        path: What leads to the invalid value, outermost first: names of fields, and in
            JSON also the places in lists and maps, as in `("nodes", "[3]", "params")`.
        reason: What is wrong with the value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.message: str = ""
        self.path: tuple[str, ...] = ()
        self.reason = reason

    def inside(self, message: str, field: str) -> DecodeError:
        """Add to the error that it lies in a field of a message; return the error.

        Without a field, it lies in the message itself.
        """
        self.message = message
        self.path = (field, *self.path) if field else self.path
        return self

    def inside_item(self, key: object) -> DecodeError:
        """Add to the error that it lies in an item of a list or a map; return it."""
        self.path = (f"[{reprlib.repr(key)}]", *self.path)
        return self

    def __str__(self) -> str:
        place = ".".join((self.message, *self.path)).replace(".[", "[")
        return f"{place}: {self.reason}" if place else self.reason


class EncodeError(ValueError):
    """A field has a value that cannot be encoded; the text names the field."""


class EncodeTypeError(EncodeError, TypeError):
    """A field has a value of the wrong type."""


FAULTS = (DecodeError, IndexError, UnicodeDecodeError, struct.error)
"""The exceptions that invalid bytes can cause in a decoder."""

TRUNCATED = "the data ends in the middle of it"
TOO_DEEP = f"messages and groups are nested more than {MAX_DEPTH} deep"

ZERO_FLOAT = bytes(4)
ZERO_DOUBLE = bytes(8)


def decode_error(error: Exception) -> DecodeError:
    """Convert one of `FAULTS` to the exception that callers see."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("a string is not UTF-8")
    return DecodeError(TRUNCATED)


# --- encoding ------------------------------------------------------------------------

LAST_BYTE = [bytes((value,)) for value in range(0x80)]
"""The last byte of a varint, by its seven bits. A number below 128 is one such byte."""

FIRST_BYTE = [bytes((value | 0x80,)) for value in range(0x80)]
"""Any other byte of a varint, by its seven bits."""


def varint(value: int) -> bytes:
    """Encode a number from 0 to 2**64 - 1."""
    if value < 0x80:
        return LAST_BYTE[value]
    if value < 0x4000:
        return FIRST_BYTE[value & 0x7F] + LAST_BYTE[value >> 7]
    if value < 0x20_0000:
        middle = FIRST_BYTE[value >> 7 & 0x7F]
        return FIRST_BYTE[value & 0x7F] + middle + LAST_BYTE[value >> 14]
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _integer(value: object, low: int, high: int, where: str) -> int:
    """Convert a value to an `int` within a range, or say what is wrong with it."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # raises TypeError
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise EncodeTypeError(
            f"{where} must be an int, not {type(value).__name__}"
        ) from None
    if not low <= number <= high:
        raise EncodeError(f"{where} must be from {low} to {high}, not {number}")
    return number


def uint32(value: int, where: str) -> bytes:
    """Encode a uint32."""
    if type(value) is not int or not 0 <= value <= 0xFFFF_FFFF:
        value = _integer(value, 0, 0xFFFF_FFFF, where)
    return varint(value)


def uint64(value: int, where: str) -> bytes:
    """Encode a uint64."""
    if type(value) is not int or not 0 <= value <= 0xFFFF_FFFF_FFFF_FFFF:
        value = _integer(value, 0, 0xFFFF_FFFF_FFFF_FFFF, where)
    return varint(value)


def enum(value: int, where: str) -> bytes:
    """Encode a member of an enum, or its number."""
    if isinstance(value, int) and 0 <= value < 0x80 and value is not True:
        return LAST_BYTE[value]
    return int32(value, where)


def int32(value: int, where: str) -> bytes:
    """Encode an int32; a negative one takes ten bytes."""
    if type(value) is not int or not -0x8000_0000 <= value <= 0x7FFF_FFFF:
        value = _integer(value, -0x8000_0000, 0x7FFF_FFFF, where)
    return varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def int64(value: int, where: str) -> bytes:
    """Encode an int64; a negative one takes ten bytes."""
    low, high = -0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF
    if type(value) is not int or not low <= value <= high:
        value = _integer(value, low, high, where)
    return varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def bool_(value: int, where: str) -> bytes:
    """Encode a bool."""
    if not isinstance(value, int):
        raise EncodeTypeError(f"{where} must be a bool, not {type(value).__name__}")
    return b"\x01" if value else b"\x00"


def _ranged(
    low: int, high: int, encode: Callable[[int], bytes]
) -> Callable[[int, str], bytes]:
    def encoder(value: int, where: str) -> bytes:
        return encode(_integer(value, low, high, where))

    return encoder


_Encoder: TypeAlias = "Callable[[int, str], bytes]"
_INT32 = (-0x8000_0000, 0x7FFF_FFFF)
_INT64 = (-0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)

sint32: _Encoder = _ranged(*_INT32, lambda value: varint(value << 1 ^ value >> 31))
sint64: _Encoder = _ranged(*_INT64, lambda value: varint(value << 1 ^ value >> 63))
fixed32: _Encoder = _ranged(0, 0xFFFF_FFFF, struct.Struct("<I").pack)
fixed64: _Encoder = _ranged(0, 0xFFFF_FFFF_FFFF_FFFF, struct.Struct("<Q").pack)
sfixed32: _Encoder = _ranged(*_INT32, struct.Struct("<i").pack)
sfixed64: _Encoder = _ranged(*_INT64, struct.Struct("<q").pack)

_FLOAT = struct.Struct("<f").pack
pack_double: Callable[[float], bytes] = struct.Struct("<d").pack
"""Encode a value that is a `float` for certain."""


def float_(value: float, where: str) -> bytes:
    """Encode a float, rounded to 32 bits; -0.0 differs from 0.0."""
    return _real(_FLOAT, value, where)


def double(value: float, where: str) -> bytes:
    """Encode a double; -0.0 differs from 0.0."""
    return _real(pack_double, value, where)


def _real(pack: Callable[[float], bytes], value: float, where: str) -> bytes:
    try:
        return pack(value)
    except struct.error:
        raise EncodeTypeError(
            f"{where} must be a float, not {type(value).__name__}"
        ) from None
    except OverflowError:
        raise EncodeError(f"{where} is out of range: {value}") from None


def string(value: str, where: str) -> bytes:
    """Encode a string as UTF-8."""
    try:
        return value.encode()
    except AttributeError:
        raise EncodeTypeError(
            f"{where} must be a str, not {type(value).__name__}"
        ) from None
    except UnicodeEncodeError as error:
        raise EncodeError(f"{where} cannot be UTF-8: {error}") from None


def as_bytes(value: BytesLike, where: str) -> bytes | memoryview:
    """Return a bytes-like value as `bytes`, or as a view of its bytes.

    An array must be contiguous and in C order. It is copied only if `memoryview` does
    not support the type of its items, as with big-endian and complex numbers.

    Args:
        value: What was given for a `bytes` field.
        where: The field's name.

    Raises:
        EncodeTypeError: The value is not bytes-like, or is not contiguous.
    """
    if type(value) is bytes:
        return value
    try:
        view = memoryview(value)
    except (TypeError, ValueError):
        view = None
    # A numpy scalar exposes a buffer, but it is a number. An array of objects exposes
    # their addresses.
    if view is None or not view.ndim or "O" in view.format:
        raise EncodeTypeError(
            f"{where} must be bytes or a bytes-like value, not {type(value).__name__}"
        )
    if not view.c_contiguous:
        raise EncodeTypeError(
            f"{where} must be contiguous; use numpy.ascontiguousarray"
        )
    if not view.nbytes:
        return b""
    try:
        return view.cast("B")
    except TypeError:
        return view.tobytes()


def items(value: object, where: str) -> list[Any]:
    """Return the value of a repeated field, which must be a list or a tuple."""
    if not isinstance(value, (list, tuple)):
        raise EncodeTypeError(f"{where} must be a list, not {type(value).__name__}")
    return value  # type: ignore[return-value]  # it is only read


def entries(value: object, where: str) -> Iterable[tuple[Any, Any]]:
    """Return the entries of a map field, whose value must be a dict."""
    if not isinstance(value, dict):
        raise EncodeTypeError(f"{where} must be a dict, not {type(value).__name__}")
    return value.items()


def joined(parts: Parts, size: int) -> list[bytes]:
    """Join the parts of a message, except for large ones, which are not copied.

    Args:
        parts: The encoded message.
        size: The sum of the parts' sizes, in bytes.

    Returns:
        Non-empty runs of bytes to send one after the other.
    """
    if size < _LARGE_BYTES:
        return [b"".join(parts)]
    runs: list[bytes] = []
    small: Parts = []
    for part in parts:
        # Only bytes are immutable. Anything else could change before it is sent.
        if type(part) is not bytes or len(part) < _LARGE_BYTES:
            small.append(part)
            continue
        runs.append(b"".join(small))
        runs.append(part)
        small = []
    runs.append(b"".join(small))
    return [run for run in runs if run]


# --- decoding ------------------------------------------------------------------------


def read_varint(data: bytes, pos: int) -> tuple[int, int]:
    """Read a varint of up to ten bytes; return its low 64 bits and the end position."""
    value = data[pos]
    if value < 0x80:
        return value, pos + 1
    byte = data[pos + 1]
    if byte < 0x80:
        return value & 0x7F | byte << 7, pos + 2
    value = value & 0x7F | (byte & 0x7F) << 7
    byte = data[pos + 2]
    if byte < 0x80:
        return value | byte << 14, pos + 3
    pos += 2
    for shift in range(14, 70, 7):
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, pos
    raise DecodeError("a varint has more than ten bytes")


def read_uint32(data: bytes, pos: int) -> tuple[int, int]:
    """Read a tag or a length: a varint of up to five bytes and 32 bits."""
    low = data[pos]
    if low > 0x7F and (high := data[pos + 1]) < 0x80:
        return low & 0x7F | high << 7, pos + 2
    value, stop = read_varint(data, pos)
    if value > 0xFFFF_FFFF or stop > pos + 5:
        raise DecodeError("a tag or a length has more than 32 bits")
    return value, stop


def signed32(value: int) -> int:
    """Read the low 32 bits of a varint as a signed number."""
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


def signed64(value: int) -> int:
    """Read a varint as a signed number."""
    return (value ^ 0x8000_0000_0000_0000) - 0x8000_0000_0000_0000


def zigzag32(value: int) -> int:
    """Read the low 32 bits of a varint as a zigzag number."""
    return (value & 0xFFFF_FFFF) >> 1 ^ -(value & 1)


def zigzag64(value: int) -> int:
    """Read a varint as a zigzag number."""
    return value >> 1 ^ -(value & 1)


_Reader: TypeAlias = "Callable[[bytes, int], tuple[Any, ...]]"

read_fixed32: _Reader = struct.Struct("<I").unpack_from
read_fixed64: _Reader = struct.Struct("<Q").unpack_from
read_sfixed32: _Reader = struct.Struct("<i").unpack_from
read_sfixed64: _Reader = struct.Struct("<q").unpack_from
read_float: _Reader = struct.Struct("<f").unpack_from
read_double: _Reader = struct.Struct("<d").unpack_from


def packed_varints(data: bytes, pos: int, stop: int) -> Iterable[int]:
    """Read all varints between two places."""
    chunk = data[pos:stop]
    if chunk.isascii():
        return chunk
    values = []
    pos, stop = 0, len(chunk)
    while pos < stop:
        value = chunk[pos]
        pos += 1
        if value > 0x7F:
            value, pos = read_varint(chunk, pos - 1)
        values.append(value)
    return values


def packed_fixed(code: str, data: bytes, pos: int, stop: int) -> tuple[Any, ...]:
    """Read all numbers of a `struct` format between two places."""
    count, rest = divmod(stop - pos, struct.calcsize(f"<{code}"))
    if rest:
        raise DecodeError(TRUNCATED)
    return struct.unpack_from(f"<{count}{code}", data, pos)
