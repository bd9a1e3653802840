"""Messages as dicts of JSON's types, and back: the ProtoJSON format.

The rules are those of https://protobuf.dev/programming-guides/json, with two
exceptions that betterproto's users know: enum members have their Python names, and
`google.protobuf.Any` is a message like any other. betterproto's own conversion is not
used: it fails on enum numbers without a name, writes members of a oneof that are not
set, and does not convert the values of maps.

`Message.to_dict` and its relatives are thin layers over `dump` and `load`.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode, urlsafe_b64decode
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import betterproto
from betterproto.casing import camel_case, safe_snake_case, snake_case

from remotemedia.protobuf import well_known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

Casing: TypeAlias = "Callable[[str], str]"
"""Converts a field name to a key. `betterproto.Casing` has two such functions."""

# JSON has numbers of 64 bits as text, because a double cannot hold all of them.
_64_BIT = frozenset(betterproto.INT_64_TYPES)
_FLOATS = frozenset({"float", "double"})
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)
_DURATION = re.compile(r"(-?)(\d+)(?:\.(\d{1,9}))?s")


class JsonMessage(Protocol):
    """A message, as far as this module needs it."""

    _betterproto: ClassVar[betterproto.ProtoClassMetadata]

    def is_set(self, name: str) -> bool:
        """Whether a field is set."""
        ...


def dump(
    message: JsonMessage,
    casing: betterproto.Casing | Casing,
    include_defaults: bool,
    convert: Callable[[Any, str, type], Any],
) -> dict[str, Any]:
    """Return the fields that are set, with their values converted.

    Args:
        message: The message.
        casing: Converts field names to keys.
        include_defaults: Whether to include fields that are not set, except messages
            and members of a oneof.
        convert: Converts a value, given the value, its proto type and its class.
    """
    meta = message._betterproto
    result: dict[str, Any] = {}
    for name in meta.sorted_field_names:
        field = meta.meta_by_field_name[name]
        if not message.is_set(name):
            is_message = field.proto_type == "message" and not field.wraps
            is_singular = meta.default_gen[name] is not list
            if not include_defaults or field.group or (is_message and is_singular):
                continue
        value = getattr(message, name)
        converted: Any = None
        if value is None:
            pass
        elif field.map_types:
            item_class = meta.cls_by_field[f"{name}.value"]
            item_type = field.map_types[1]
            converted = {
                _dump_key(item_key): convert(item, item_type, item_class)
                for item_key, item in value.items()
            }
        else:
            kind, cls = field.wraps or field.proto_type, meta.cls_by_field[name]
            if meta.default_gen[name] is list:
                converted = [convert(item, kind, cls) for item in value]
            else:
                converted = convert(value, kind, cls)
        key: str = casing(name)  # type: ignore[operator]  # members are functions
        result[key.rstrip("_")] = converted
    return result


def _dump_key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def to_json(value: Any, kind: str, cls: type) -> Any:
    """Convert a value that is not a message to JSON's types."""
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if kind == "enum" and issubclass(cls, betterproto.Enum):
        return cls.try_value(value).name or int(value)
    if kind in _64_BIT:
        return str(value)
    if kind == "bytes":
        return b64encode(value).decode()
    if kind in _FLOATS and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    return value


def load(cls: type[JsonMessage], mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a JSON object to the fields of a message; ignore unknown keys."""
    meta = cls._betterproto
    names = {camel_case(name).rstrip("_"): name for name in meta.default_gen}
    result: dict[str, Any] = {}
    value: Any
    for key, value in mapping.items():
        name = names.get(key, key if key in meta.default_gen else safe_snake_case(key))
        field = meta.meta_by_field_name.get(name)
        if field is None:
            continue
        kind, value_class = field.wraps or field.proto_type, meta.cls_by_field[name]
        is_list = meta.default_gen[name] is list
        # null means that the field is not set, but for a `Value` it is a value.
        may_be_null = kind == "message" and issubclass(value_class, ValueMixin)
        if value is None and (is_list or not may_be_null):
            continue
        if field.map_types:
            key_type, item_type = field.map_types
            item_class = meta.cls_by_field[f"{name}.value"]
            items: Any = value
            result[name] = {
                _load_key(item_key, key_type): from_json(item, item_type, item_class)
                for item_key, item in items.items()
            }
        elif is_list:
            items = value
            result[name] = [from_json(item, kind, value_class) for item in items]
        else:
            result[name] = from_json(value, kind, value_class)
    return result


def _load_key(key: Any, kind: str) -> Any:
    if kind == "bool":
        return key in (True, "true")
    return key if kind == "string" else int(key)


def from_json(value: Any, kind: str, cls: type) -> Any:
    """Convert a value from JSON's types to that of a proto type."""
    if kind == "message":
        if issubclass(cls, datetime):
            return timestamp_from_text(value)
        if issubclass(cls, timedelta):
            return duration_from_text(value)
        # A map with wrappers as values has the wrapped Python type here.
        return cls.from_dict(value) if issubclass(cls, betterproto.Message) else value
    if kind == "enum" and issubclass(cls, betterproto.Enum):
        return (
            cls.from_string(value) if isinstance(value, str) else cls.try_value(value)
        )
    if kind in _FLOATS:
        return _NOT_FINITE[value] if value in _NOT_FINITE else float(value)
    if kind == "bytes":
        text = value.replace("+", "-").replace("/", "_")
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if kind in ("string", "bool"):
        return value
    return int(value)


def timestamp_text(value: datetime) -> str:
    """Format a datetime as in RFC 3339, in UTC."""
    seconds, nanos = well_known.timestamp_parts(value)
    whole = well_known.EPOCH + timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{_fraction(nanos)}Z"


def timestamp_from_text(text: str) -> datetime:
    """Parse a time of RFC 3339.

    Raises:
        ValueError: The text is not one.
    """
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time of RFC 3339")
    day, time, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    whole = datetime.fromisoformat(f"{day}T{time}{zone}")
    seconds, _ = well_known.timestamp_parts(whole)
    return well_known.timestamp(seconds, _nanos(fraction))


def duration_text(value: timedelta) -> str:
    """Format a timedelta in seconds, as in `1.500s`."""
    seconds, nanos = well_known.duration_parts(value)
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def duration_from_text(text: str) -> timedelta:
    """Parse a duration in seconds, as in `1.5s`.

    Raises:
        ValueError: The text is not one.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration, such as '1.5s'")
    sign = -1 if match[1] else 1
    return well_known.duration(sign * int(match[2]), sign * _nanos(match[3]))


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


class StructMixin:
    """Converts `google.protobuf.Struct`, which is an object in JSON."""

    if TYPE_CHECKING:
        fields: Any

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return the object."""
        return {key: value.to_dict() for key, value in self.fields.items()}

    @classmethod
    def _from_dict_init(cls, mapping: Any) -> Any:
        of: Any = cls
        value_class = of._betterproto.cls_by_field["fields.value"]
        return {
            "fields": {
                key: value_class.from_dict(item) for key, item in mapping.items()
            }
        }


class ListValueMixin:
    """Converts `google.protobuf.ListValue`, which is an array in JSON."""

    if TYPE_CHECKING:
        values: Any

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return the array."""
        return [value.to_dict() for value in self.values]

    @classmethod
    def _from_dict_init(cls, mapping: Any) -> Any:
        of: Any = cls
        value_class = of._betterproto.cls_by_field["values"]
        return {"values": [value_class.from_dict(item) for item in mapping]}


class ValueMixin:
    """Converts `google.protobuf.Value`, which is any JSON value."""

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return the value; `None` for null."""
        message: Any = self
        kind = betterproto.which_one_of(message, "kind")[0]
        value: Any = getattr(message, kind, None)
        if kind in ("struct_value", "list_value"):
            return value.to_dict()
        return None if kind == "null_value" else value

    @classmethod
    def _from_dict_init(cls, mapping: Any) -> Any:
        value = mapping
        of: Any = cls
        classes = of._betterproto.cls_by_field
        if value is None:
            return {"null_value": classes["null_value"].try_value(0)}
        if isinstance(value, dict):
            return {"struct_value": classes["struct_value"].from_dict(value)}
        if isinstance(value, (list, tuple)):
            return {"list_value": classes["list_value"].from_dict(value)}
        if isinstance(value, bool):
            return {"bool_value": value}
        if isinstance(value, str):
            return {"string_value": value}
        return {"number_value": float(value)}


class FieldMaskMixin:
    """Converts `google.protobuf.FieldMask`, in JSON a string of camel-case paths."""

    if TYPE_CHECKING:
        paths: list[str]

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return the paths as one string."""
        return ",".join(
            ".".join(camel_case(part) for part in path.split("."))
            for path in self.paths
        )

    @classmethod
    def _from_dict_init(cls, mapping: Any) -> Any:
        paths = mapping.split(",") if mapping else []
        return {
            "paths": [
                ".".join(snake_case(part) for part in path.split(".")) for path in paths
            ]
        }
