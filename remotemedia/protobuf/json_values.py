"""Scalar values as JSON's types, and back: the rules of ProtoJSON for each proto type.

The rules are those of https://protobuf.dev/programming-guides/json. Numbers of 64 bits
are strings, because a double cannot hold all of them; bytes are base64; infinity and
NaN are strings. All numbers are read with and without quotes.

A reader takes a value of JSON and returns the field's value. A writer is made for one
field, whose name its errors carry, and takes and returns the opposite.
"""

from __future__ import annotations

import math
import re
import reprlib
import struct
from binascii import a2b_base64, b2a_base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from remotemedia.protobuf import wire
from remotemedia.protobuf.enum import members_by_name, names_by_number
from remotemedia.protobuf.wire import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.protobuf.enum import Enum

Read: TypeAlias = "Callable[[Any], Any]"
Write: TypeAlias = "Callable[[Any], Any]"

SKIPPED: Any = object()
"""What a lenient reader returns for the name of a member that an enum has not."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# No number of 64 bits has more digits, and Python refuses to convert thousands.
_MAX_DIGITS = 100
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_SINGLE = struct.Struct("<f")
_URL_SAFE = str.maketrans("-_", "+/")

_RANGES = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("int64", "sint64", "sfixed64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("uint32", "fixed32"), (0, 2**32 - 1)),
    **dict.fromkeys(("uint64", "fixed64"), (0, 2**64 - 1)),
}


# --- reading -------------------------------------------------------------------------


def _integer_reader(low: int, high: int) -> Read:
    def read(value: Any) -> int:
        number: int = value
        if type(value) is str and value.isdecimal() and value.isascii():
            # The numbers of 64 bits that a writer writes.
            number = int(value) if len(value) <= _MAX_DIGITS else high + 1
        elif type(value) is not int:
            number = _integer(value)
        if not low <= number <= high:
            raise DecodeError(
                f"must be from {low} to {high}, not {reprlib.repr(value)}"
            )
        return number

    return read


def _integer(value: Any) -> int:
    number = value
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        match = _NUMBER.fullmatch(value)
        if match:
            number = float(value) if match.lastindex else int(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise DecodeError(f"must be an integer, not {reprlib.repr(value)}")


def _read_double(value: Any) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    number = math.inf
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if not _NUMBER.fullmatch(value):
            raise DecodeError(f"must be a number, not {reprlib.repr(value)}")
        number = float(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    else:
        raise DecodeError(f"must be a number, not {reprlib.repr(value)}")
    if not math.isfinite(number):
        raise DecodeError(
            f"is out of range: {reprlib.repr(value)}; infinity is the string 'Infinity'"
        )
    return number


def _read_float(value: Any) -> float:
    number = _read_double(value)
    try:
        single: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    except OverflowError:
        raise DecodeError(f"is out of range: {number}") from None
    return single


def _read_bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise DecodeError(f"must be true or false, not {reprlib.repr(value)}")


def read_string(value: Any) -> str:
    """Read a string; half of a surrogate pair cannot be UTF-8, and is refused."""
    if not isinstance(value, str):
        raise DecodeError(f"must be a string, not {reprlib.repr(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DecodeError("has an unpaired surrogate") from None
    return value


def _read_bytes(value: Any) -> bytes:
    """Read base64, of the standard or the URL-safe alphabet, padded or not."""
    if isinstance(value, str):
        try:
            return _base64(value)
        except ValueError:
            pass
    raise DecodeError(f"must be base64, not {reprlib.repr(value)}")


def _base64(text: str) -> bytes:
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    digits = text.rstrip("=")
    data = a2b_base64(digits + "=" * (-len(digits) % 4))
    # Python's decoder leaves out characters that it does not know.
    if len(digits) % 4 == 1 or len(data) != len(digits) * 3 // 4:
        raise ValueError
    return data


READERS: dict[str, Read] = {
    **{kind: _integer_reader(*limits) for kind, limits in _RANGES.items()},
    "double": _read_double,
    "float": _read_float,
    "bool": _read_bool,
    "string": read_string,
    "bytes": _read_bytes,
}
"""The reader of each proto type but enums and messages."""


def enum_reader(cls: type[Enum], *, skip_unknown: bool) -> Read:
    """Return the reader of an enum, which takes names and numbers.

    Args:
        cls: The enum.
        skip_unknown: Whether to return `SKIPPED` for an unknown name, which is an error
            otherwise.
    """
    members = members_by_name(cls)
    read_number = READERS["int32"]
    is_null_value = is_null(cls)

    def read(value: Any) -> Enum:
        if value is None and is_null_value:
            return cls.try_value(0)
        if type(value) is not str:
            return cls.try_value(read_number(value))
        member = members.get(value)
        if member is not None:
            return member
        if skip_unknown:
            found: Enum = SKIPPED
            return found
        names = ", ".join(names_by_number(cls).values())
        raise DecodeError(
            f"must be one of {names}, or its number, not {reprlib.repr(value)}"
        )

    return read


def is_null(cls: type) -> bool:
    """Whether a type is `google.protobuf.NullValue`, the enum whose JSON is null."""
    return getattr(cls, "__proto_name__", "") == "google.protobuf.NullValue"


_KEYS = {"true": True, "false": False, True: True, False: False}


def _read_bool_key(key: Any) -> bool:
    if key not in _KEYS:
        raise DecodeError(f"must be 'true' or 'false', not {reprlib.repr(key)}")
    return _KEYS[key]


KEY_READERS = READERS | {"bool": _read_bool_key}
"""The readers of a map's keys, which are strings in JSON."""


# --- writing -------------------------------------------------------------------------


def _number_writer(kind: str, where: str) -> Write:
    low, high = _RANGES[kind]
    check: Callable[[Any, str], bytes] = getattr(wire, kind)

    def write(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            check(value, where)
            value = int(value)
        return value  # type: ignore[no-any-return]  # it is an int now

    return write


def _text_writer(kind: str, where: str) -> Write:
    low, high = _RANGES[kind]
    check: Callable[[Any, str], bytes] = getattr(wire, kind)

    def write(value: Any) -> str:
        if type(value) is not int or not low <= value <= high:
            check(value, where)
            value = int(value)
        return str(value)

    return write


def _double_writer(where: str) -> Write:
    def write(value: Any) -> float | str:
        if type(value) is float and math.isfinite(value):
            return value
        wire.double(value, where)
        return _float_or_name(float(value))

    return write


def _float_writer(where: str) -> Write:
    def write(value: Any) -> float | str:
        single: float = _SINGLE.unpack(wire.float_(value, where))[0]
        if not math.isfinite(single):
            return _float_or_name(single)
        # The shortest number that is the same in 32 bits: 0.1, not 0.10000000149.
        number = single
        for digits in range(6, 10):
            number = float(f"{single:.{digits}g}")
            if number == single or _SINGLE.unpack(_SINGLE.pack(number))[0] == single:
                break
        return number

    return write


def _float_or_name(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"


def _bool_writer(where: str) -> Write:
    def write(value: Any) -> bool:
        if type(value) is not bool:
            wire.bool_(value, where)
        return bool(value)

    return write


def _string_writer(where: str) -> Write:
    def write(value: Any) -> str:
        if type(value) is not str or not value.isascii():
            wire.string(value, where)
        return value  # type: ignore[no-any-return]  # it is a string now

    return write


def _bytes_writer(where: str) -> Write:
    def write(value: Any) -> str:
        if type(value) is not bytes:
            value = wire.as_bytes(value, where)
        return b2a_base64(value, newline=False).decode("ascii")

    return write


def scalar_writer(kind: str, where: str) -> Write:
    """Return the writer of a scalar field.

    Args:
        kind: The proto type.
        where: The field's name, for errors.
    """
    if kind in _RANGES:
        make = _text_writer if kind.endswith("64") else _number_writer
        return make(kind, where)
    return _WRITERS[kind](where)


_WRITERS = {
    "double": _double_writer,
    "float": _float_writer,
    "bool": _bool_writer,
    "string": _string_writer,
    "bytes": _bytes_writer,
}


def enum_writer(cls: type[Enum], where: str) -> Write:
    """Return the writer of an enum: the names in the proto, or numbers without one."""
    names = names_by_number(cls)
    is_null_value = is_null(cls)

    def write(value: Any) -> str | int | None:
        if is_null_value:
            return None
        if type(value) is not cls:
            wire.enum(value, where)
        return names.get(value) or int(value)

    return write


def write_key(key: Any) -> Any:
    """Write a map's key, which was written as a value of its type, as a string."""
    return str(key).lower() if isinstance(key, bool) else str(key)
