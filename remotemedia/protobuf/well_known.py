"""Well-known types as Python values: timestamps, durations and wrappers.

A field of the type `google.protobuf.Timestamp` holds a `datetime`, one of the type
`Duration` a `timedelta`, and one of a wrapper such as `Int32Value` the wrapped value
or `None`, as in betterproto. Timestamps and durations count nanoseconds and reach
beyond the years 1 to 9999, which Python's classes cannot express. Such a value becomes
an `ExactDatetime` or an `ExactTimedelta`, which carries the exact numbers, so that
decoding and encoding a message never changes it.

The mixins are base classes of the generated messages and convert them. Unknown fields
inside these messages have no place in a Python value and are dropped.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from remotemedia.protobuf.wire import EncodeError, EncodeTypeError

if TYPE_CHECKING:
    from typing_extensions import Self

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""What a `Timestamp` field reads as if it is not set."""

_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)


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


class TimestampMixin:
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


class DurationMixin:
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


class WrapperMixin:
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
