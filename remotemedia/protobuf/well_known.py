"""Well-known types as Python values: timestamps, durations and wrappers.

A field of the type `google.protobuf.Timestamp` holds a `datetime`, one of the type
`Duration` a `timedelta`, and one of a wrapper such as `Int32Value` the wrapped value
or `None`, as in betterproto. Timestamps and durations count nanoseconds and reach
beyond the years 1 to 9999, which Python's classes cannot express. Such a value becomes
an `ExactDatetime` or an `ExactTimedelta`, which carries the exact numbers, so that
decoding and encoding a message never changes it. In JSON they are text, and only of
those years and of about 10,000 years of seconds.

The mixins are base classes of the generated messages and convert them. Unknown fields
inside these messages have no place in a Python value and are dropped.
"""

from __future__ import annotations

import re
import reprlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from remotemedia.protobuf.json_values import READERS, scalar_writer
from remotemedia.protobuf.wire import DecodeError, EncodeError, EncodeTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from remotemedia.protobuf.json_values import Write

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""What a `Timestamp` field reads as if it is not set."""

_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)

# What JSON can express: the years 1 to 9999, and durations of the same length.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_MAX_SECONDS = 315_576_000_000
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3])(:[0-5][0-9]:[0-5][0-9])"
    r"(?:\.([0-9]{1,9}))?(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")


class ExactDatetime(datetime):
    """The nearest datetime to a timestamp that no datetime expresses exactly.

    Attributes:
        parts: The timestamp's seconds since the epoch and nanoseconds; `None` in a
            datetime that is the result of arithmetic, which rounds.
    """

    parts: tuple[int, int] | None = None

    @classmethod
    def of(cls, seconds: int, nanos: int) -> ExactDatetime:
        """Make the datetime of a timestamp's numbers."""
        try:
            near = EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
        except OverflowError:
            near = _FIRST if seconds < 0 else _LAST
        new = cls.combine(near.date(), near.timetz())
        new.parts = (seconds, nanos)
        return new

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        return same and self.parts == getattr(other, "parts", None)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.parts is None:
            return super().__reduce_ex__(protocol)
        return type(self).of, self.parts


class ExactTimedelta(timedelta):
    """The nearest timedelta to a duration that no timedelta expresses exactly.

    Attributes:
        parts: The duration's seconds and nanoseconds; `None` in a timedelta that is the
            result of arithmetic, which rounds.
    """

    parts: tuple[int, int] | None = None

    @classmethod
    def of(cls, seconds: int, nanos: int) -> ExactTimedelta:
        """Make the timedelta of a duration's numbers."""
        try:
            new = cls(seconds=seconds, microseconds=nanos // 1000)
        except OverflowError:
            edge = timedelta.min if seconds < 0 else timedelta.max
            new = cls(edge.days, edge.seconds, edge.microseconds)
        new.parts = (seconds, nanos)
        return new

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        return same and self.parts == getattr(other, "parts", None)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def __reduce__(self) -> Any:
        if self.parts is None:
            return super().__reduce__()
        return type(self).of, self.parts


def timestamp_parts(value: datetime) -> tuple[int, int]:
    """Return a timestamp's numbers: seconds since the epoch, and nanoseconds.

    Raises:
        EncodeError: The value is not a datetime, or has no time zone.
    """
    if not isinstance(value, datetime):
        raise EncodeTypeError(f"must be a datetime, not {type(value).__name__}")
    parts: tuple[int, int] | None = getattr(value, "parts", None)
    if parts:
        return parts
    if value.utcoffset() is None:
        raise EncodeError("must be a datetime with a time zone")
    seconds, microseconds = divmod((value - EPOCH) // _MICROSECOND, 1_000_000)
    return seconds, microseconds * 1000


def timestamp(seconds: int, nanos: int) -> datetime:
    """Return the datetime, in UTC, of a timestamp's numbers."""
    if 0 <= nanos < 1_000_000_000 and nanos % 1000 == 0:
        try:
            return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
        except OverflowError:
            pass
    return ExactDatetime.of(seconds, nanos)


def duration_parts(value: timedelta) -> tuple[int, int]:
    """Return a duration's numbers, seconds and nanoseconds, which have the same sign.

    Raises:
        EncodeError: The value is not a timedelta.
    """
    if not isinstance(value, timedelta):
        raise EncodeTypeError(f"must be a timedelta, not {type(value).__name__}")
    parts: tuple[int, int] | None = getattr(value, "parts", None)
    if parts:
        return parts
    seconds, microseconds = divmod(abs(value) // _MICROSECOND, 1_000_000)
    sign = -1 if value < timedelta(0) else 1
    return sign * seconds, sign * microseconds * 1000


def duration(seconds: int, nanos: int) -> timedelta:
    """Return the timedelta of a duration's numbers."""
    if abs(nanos) < 1_000_000_000 and nanos % 1000 == 0 and seconds * nanos >= 0:
        try:
            return timedelta(seconds=seconds, microseconds=nanos // 1000)
        except OverflowError:
            pass
    return ExactTimedelta.of(seconds, nanos)


def timestamp_text(value: datetime) -> str:
    """Format a datetime as in RFC 3339, in UTC.

    Raises:
        EncodeError: The value is no datetime with a time zone, or JSON cannot express
            it.
    """
    seconds, nanos = timestamp_parts(value)
    if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos < 1_000_000_000):
        raise EncodeError("must be in the years 1 to 9999")
    whole = EPOCH + timedelta(seconds=seconds)
    return f"{whole.isoformat()[:19]}{_fraction(nanos)}Z"


def timestamp_from_text(text: Any) -> datetime:
    """Parse a time of RFC 3339.

    Raises:
        DecodeError: The text is not one, or is not in the years 1 to 9999.
    """
    match = _TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if match:
        day, hour, time, fraction, zone = match.groups()
        zone = "+00:00" if zone == "Z" else zone
        try:
            whole = datetime.fromisoformat(f"{day}T{hour}{time}{zone}")
        except ValueError:  # there is no such day
            pass
        else:
            seconds, _ = timestamp_parts(whole)
            if _FIRST_SECOND <= seconds <= _LAST_SECOND:
                return timestamp(seconds, _nanos(fraction))
    raise DecodeError(
        "must be a time of RFC 3339, such as '2025-01-31T12:00:00Z', "
        f"not {reprlib.repr(text)}"
    )


def duration_text(value: timedelta) -> str:
    """Format a timedelta in seconds, as in `1.500s`.

    Raises:
        EncodeError: The value is no timedelta, or JSON cannot express it.
    """
    seconds, nanos = duration_parts(value)
    if abs(seconds) > _MAX_SECONDS or abs(nanos) >= 1_000_000_000:
        raise EncodeError(f"must be at most {_MAX_SECONDS} seconds")
    if seconds * nanos < 0:
        raise EncodeError("must have seconds and nanoseconds of the same sign")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def duration_from_text(text: Any) -> timedelta:
    """Parse a duration in seconds, as in `1.5s`.

    Raises:
        DecodeError: The text is not one, or is of more than 315,576,000,000 seconds.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not match or int(match[2]) > _MAX_SECONDS:
        raise DecodeError(
            f"must be a duration, such as '1.5s', not {reprlib.repr(text)}"
        )
    sign = -1 if match[1] else 1
    return duration(sign * int(match[2]), sign * _nanos(match[3]))


def text_writer(text: Callable[[Any], str], where: str) -> Write:
    """Return the writer of a field with one of the two functions that format text."""

    def write(value: Any) -> str:
        try:
            return text(value)
        except EncodeError as error:
            raise type(error)(f"{where}: {error}") from None

    return write


def _fraction(nanos: int) -> str:
    """Format nanoseconds as a fraction with 0, 3, 6 or 9 digits."""
    if not nanos:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def _nanos(fraction: str | None) -> int:
    return int((fraction or "").ljust(9, "0"))


class AnyJson:
    """Tells type checkers that a message may be any JSON, and not only an object."""

    if TYPE_CHECKING:

        def to_dict(self, *_: Any, **__: Any) -> Any:
            """Return the JSON of the message."""
            ...

        @classmethod
        def from_dict(cls, value: Any, *, ignore_unknown_fields: bool = False) -> Self:
            """Make a message of its JSON; on a message, set its fields."""
            ...


class TimestampMixin(AnyJson):
    """Converts `google.protobuf.Timestamp` to a `datetime` and back."""

    if TYPE_CHECKING:
        seconds: int
        nanos: int

        def __init__(self, *, seconds: int = ..., nanos: int = ...) -> None: ...

    @classmethod
    def from_python(cls, value: datetime) -> Self:
        """Make the message of a datetime."""
        seconds, nanos = timestamp_parts(value)
        return cls(seconds=seconds, nanos=nanos)

    def to_python(self) -> datetime:
        """Return the datetime that the message stands for."""
        return timestamp(self.seconds, self.nanos)

    def _to_json_value(self, _: Any) -> str:
        text: str = text_writer(timestamp_text, "Timestamp")(self.to_python())
        return text

    @classmethod
    def _fields_from_json(cls, value: Any, *_: Any) -> dict[str, Any]:
        seconds, nanos = timestamp_parts(timestamp_from_text(value))
        return {"seconds": seconds, "nanos": nanos}


class DurationMixin(AnyJson):
    """Converts `google.protobuf.Duration` to a `timedelta` and back."""

    if TYPE_CHECKING:
        seconds: int
        nanos: int

        def __init__(self, *, seconds: int = ..., nanos: int = ...) -> None: ...

    @classmethod
    def from_python(cls, value: timedelta) -> Self:
        """Make the message of a timedelta."""
        seconds, nanos = duration_parts(value)
        return cls(seconds=seconds, nanos=nanos)

    def to_python(self) -> timedelta:
        """Return the timedelta that the message stands for."""
        return duration(self.seconds, self.nanos)

    def _to_json_value(self, _: Any) -> str:
        text: str = text_writer(duration_text, "Duration")(self.to_python())
        return text

    @classmethod
    def _fields_from_json(cls, value: Any, *_: Any) -> dict[str, Any]:
        seconds, nanos = duration_parts(duration_from_text(value))
        return {"seconds": seconds, "nanos": nanos}


class WrapperMixin(AnyJson):
    """Converts wrappers such as `google.protobuf.Int32Value` to values and back."""

    if TYPE_CHECKING:
        value: Any

        def __init__(self, *, value: Any = ...) -> None: ...

    @classmethod
    def from_python(cls, value: Any) -> Self:
        """Make the message of a value."""
        return cls(value=value)

    def to_python(self) -> Any:
        """Return the value in the message."""
        return self.value

    def _to_json_value(self, _: Any) -> Any:
        name = type(self).__name__
        return scalar_writer(self._kind(), f"{name}.value")(self.value)

    @classmethod
    def _fields_from_json(cls, value: Any, *_: Any) -> dict[str, Any]:
        return {"value": READERS[cls._kind()](value)}

    @classmethod
    def _kind(cls) -> str:
        metadata: Any = cls
        kind: str = metadata._betterproto.meta_by_field_name["value"].proto_type
        return kind
