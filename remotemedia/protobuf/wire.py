"""The protobuf wire format: what the generated encoders and decoders stand on.

An encoder appends the parts of a message to a list and returns their size in bytes,
so that a payload is copied once at most, when the parts are joined. A decoder walks
over one `bytes` object with indices. It may read past the end of an embedded message,
into what follows, and finds out afterwards: only then does `pos` exceed `end`.

Names and limits are those of https://protobuf.dev/programming-guides/encoding.
Where that page leaves something open, the behaviour of Google's upb is followed: a
varint of more than ten bytes is an error, and bits past the 64th are dropped.
"""

from __future__ import annotations

import operator
import struct
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer, Self

    BytesLike: TypeAlias = Buffer
else:
    BytesLike = bytes | bytearray | memoryview

MAX_DEPTH = 100
"""How deep messages and groups may be nested in one that is decoded."""

_LARGE_BYTES = 64 * 1024
"""What is as large is sent by itself, and not copied into one with the rest."""

Parts: TypeAlias = "list[bytes | bytearray | memoryview]"
Values: TypeAlias = "dict[str, Any]"
"""The fields of a message that are set. Their types are the message's business."""


class DecodeError(ValueError):
    """The bytes are not an encoded message of the type they were taken for.

    Attributes:
        message: Name of the message that was decoded; empty if not known.
        path: The fields that lead to the place, outermost first.
        reason: What is wrong there.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.message: str = ""
        self.path: tuple[str, ...] = ()
        self.reason = reason

    def inside(self, message: str, field: str) -> DecodeError:
        """Say where the error is: `field` of `message`, or deeper in it."""
        self.message = message
        self.path = (field, *self.path)
        return self

    def __str__(self) -> str:
        place = ".".join((self.message, *self.path))
        return f"{place}: {self.reason}" if place else self.reason


class EncodeError(ValueError):
    """A field has a value that it cannot be sent with; the text names the field."""


class EncodeTypeError(EncodeError, TypeError):
    """A field has a value of a wrong type."""


FAULTS = (DecodeError, IndexError, UnicodeDecodeError, struct.error)
"""What a decoder may come upon in bad bytes."""

TRUNCATED = "the data ends in the middle of it"
TOO_DEEP = f"messages and groups are nested more than {MAX_DEPTH} deep"

ZERO_FLOAT = bytes(4)
ZERO_DOUBLE = bytes(8)


def fault(error: Exception) -> DecodeError:
    """Return one of `FAULTS` as the error that callers see."""
    if isinstance(error, DecodeError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("a string is not UTF-8")
    return DecodeError(TRUNCATED)


# --- encoding ------------------------------------------------------------------------

_SHORT = [bytes((value,)) for value in range(0x80)]


def varint(value: int) -> bytes:
    """Encode a number from 0 to 2**64 - 1."""
    if value < 0x80:
        return _SHORT[value]
    if value < 0x4000:
        return (0x80 | value & 0x7F | value >> 7 << 8).to_bytes(2, "little")
    if value < 0x20_0000:
        low = 0x8080 | value & 0x7F | (value & 0x3F80) << 1
        return (low | value >> 14 << 16).to_bytes(3, "little")
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _integer(value: object, low: int, high: int, where: str) -> int:
    """Check a number that is out of range or not an `int`; return it if it is right."""
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
    if type(value) is int and 0 <= value <= 0xFFFF_FFFF:
        return _SHORT[value] if value < 0x80 else varint(value)
    return varint(_integer(value, 0, 0xFFFF_FFFF, where))


def uint64(value: int, where: str) -> bytes:
    """Encode a uint64."""
    if type(value) is int and 0 <= value <= 0xFFFF_FFFF_FFFF_FFFF:
        return _SHORT[value] if value < 0x80 else varint(value)
    return varint(_integer(value, 0, 0xFFFF_FFFF_FFFF_FFFF, where))


def enum(value: int, where: str) -> bytes:
    """Encode a member of an enum, or its number."""
    if isinstance(value, int) and 0 <= value < 0x80 and value is not True:
        return _SHORT[value]
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
_DOUBLE = struct.Struct("<d").pack


def float_(value: float, where: str) -> bytes:
    """Encode a float, rounded to 32 bits; -0.0 differs from 0.0."""
    return _real(_FLOAT, value, where)


def double(value: float, where: str) -> bytes:
    """Encode a double; -0.0 differs from 0.0."""
    return _real(_DOUBLE, value, where)


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
    """Encode a string, as UTF-8 and without its length."""
    try:
        return value.encode()
    except AttributeError:
        raise EncodeTypeError(
            f"{where} must be a str, not {type(value).__name__}"
        ) from None
    except UnicodeEncodeError as error:
        raise EncodeError(f"{where} cannot be UTF-8: {error}") from None


def blob(value: BytesLike, where: str) -> bytes | memoryview:
    """Take a bytes-like value by its bytes, without a copy where that can be.

    Arrays must be contiguous, in C order. A copy is made of arrays whose items
    Python has no name for, such as big-endian and complex ones.
    """
    if type(value) is bytes:
        return value
    try:
        view = memoryview(value)
    except (TypeError, ValueError):
        view = None
    # Numpy's scalars have a buffer too, and are no more bytes than an int is; what is
    # in an array of objects is their addresses.
    if view is None or not view.ndim or "O" in view.format:
        raise EncodeTypeError(
            f"{where} must be bytes or a bytes-like value, not {type(value).__name__}"
        )
    if not view.c_contiguous:
        raise EncodeTypeError(
            f"{where} must be contiguous; numpy.ascontiguousarray does it"
        )
    if not view.nbytes:
        return b""
    try:
        return view.cast("B")
    except TypeError:
        return view.tobytes()


def items(value: object, where: str) -> list[Any]:
    """Check that a repeated field is a list, or a tuple."""
    if not isinstance(value, (list, tuple)):
        raise EncodeTypeError(f"{where} must be a list, not {type(value).__name__}")
    return value  # type: ignore[return-value]  # it is only read


def entries(value: object, where: str) -> Iterable[tuple[Any, Any]]:
    """Return the entries of a map field, checked to be a dict."""
    if not isinstance(value, dict):
        raise EncodeTypeError(f"{where} must be a dict, not {type(value).__name__}")
    return value.items()


class Message(Protocol):
    """A generated message, as the functions here see it."""

    _values: Values

    def _encode(self, out: Parts) -> int: ...

    def _decode(self, data: bytes, pos: int, end: int, depth: int) -> None: ...

    def _settle(self) -> None: ...


def message(
    out: Parts, tag: bytes, value: Message, cls: type[Message], where: str
) -> int:
    """Append an embedded message with its tag and length; return their size."""
    if not isinstance(value, cls):
        raise EncodeTypeError(
            f"{where} must be of type {cls.__name__}, not {type(value).__name__}"
        )
    index = len(out)
    out.append(tag)
    size = value._encode(out)
    out[index] = head = tag + varint(size)
    return len(head) + size


def joined(parts: Parts, size: int) -> list[bytes]:
    """Join parts of so many bytes, but for large ones, which stand by themselves."""
    if size < _LARGE_BYTES:
        return [b"".join(parts)]
    runs: list[bytes] = []
    small: Parts = []
    for part in parts:
        # What is not bytes can be changed while it waits to be sent.
        if type(part) is not bytes or len(part) < _LARGE_BYTES:
            small.append(part)
            continue
        runs.append(b"".join(small))
        runs.append(part)
        small = []
    runs.append(b"".join(small))
    return [run for run in runs if run]


class Convertible(Message, Protocol):
    """A well-known type that a field shows as a Python value."""

    @classmethod
    def from_python(cls, value: Any) -> Self:
        """Make the message of a value."""
        ...

    def to_python(self) -> Any:
        """Return the value of the message."""
        ...


def python_value(
    out: Parts, tag: bytes, value: object, cls: type[Convertible], where: str
) -> int:
    """Append a Python value as the message that it stands for."""
    try:
        return message(out, tag, cls.from_python(value), cls, where)
    except EncodeError as error:
        raise type(error)(f"{where}: {error}") from None


# --- decoding ------------------------------------------------------------------------


def read_varint(data: bytes, pos: int) -> tuple[int, int]:
    """Read a varint of up to ten bytes; return its low 64 bits and where it ends."""
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


def embedded(
    cls: type[Message], data: bytes, pos: int, stop: int, depth: int
) -> Message:
    """Read an embedded message."""
    value = object.__new__(cls)
    if pos < stop or depth < 1:
        value._decode(data, pos, stop, depth - 1)
    return value


# One field over and over, by the hundred thousand, is what hostile data is made of, and
# what a list is. So the two functions that follow go on while another of their field
# does: while the byte at `stop` is the same `tag`, which takes a tag of one byte.


def merge(
    into: Message, data: bytes, tag: int, pos: int, stop: int, end: int, depth: int
) -> int:
    """Read more of an embedded message, and yet more; return where that ends."""
    if "_read" in into._values:
        into._settle()
    while True:
        if pos < stop or depth < 1:
            into._decode(data, pos, stop, depth - 1)
        if stop >= end or data[stop] != tag or tag > 0x7F:
            return stop
        pos = stop + 2
        stop = data[stop + 1]
        if stop > 0x7F:
            stop, pos = read_uint32(data, pos - 1)
        stop += pos
        if stop > end:
            raise DecodeError(TRUNCATED)


def embedded_list(
    items: list[Message],
    cls: type[Message],
    data: bytes,
    tag: int,
    pos: int,
    stop: int,
    end: int,
    depth: int,
) -> int:
    """Read an element of a list of messages, and the next; return where they end."""
    new, append = object.__new__, items.append
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
            stop, pos = read_uint32(data, pos - 1)
        stop += pos
        if stop > end:
            raise DecodeError(TRUNCATED)


def embedded_value(
    cls: type[Convertible],
    data: bytes,
    pos: int,
    stop: int,
    depth: int,
    into: object = None,
) -> object:
    """Read a well-known type as the Python value that it stands for."""
    message = cls() if into is None else cls.from_python(into)
    message._decode(data, pos, stop, depth - 1)
    return message.to_python()
