"""Messages as dicts of JSON's types, as protobuf lays it down, and back.

Stock betterproto fails on enum numbers without a name, shows members of a oneof that
are not set, and passes over the values of maps. The rules are those of
https://protobuf.dev/programming-guides/json, but for what betterproto's users know
it by: enum members go by their Python names, and `Any` is a message like any other.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode, urlsafe_b64decode
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import betterproto
from betterproto.casing import camel_case, safe_snake_case, snake_case

from remotemedia.protobuf import well_known as native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remotemedia.protobuf.message import Message

Casing: TypeAlias = "Callable[[str], str]"
"""How to spell the keys of a dict; `betterproto.Casing` has two ways."""

# Numbers that JSON has as text, because a double does not hold all of them.
_LONG = frozenset(betterproto.INT_64_TYPES)
_REAL = frozenset({"float", "double"})
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)
_DURATION = re.compile(r"(-?)(\d+)(?:\.(\d{1,9}))?s")


def dump(
    message: Message,
    casing: betterproto.Casing | Casing,
    include_defaults: bool,
    convert: Callable[[Any, str, type], Any],
) -> dict[str, Any]:
    """Return the fields that are set, with their values converted.

    With `include_defaults` the others too, but for messages and members of a oneof.
    """
    meta = message._betterproto
    found: dict[str, Any] = {}
    for name in meta.sorted_field_names:
        field = meta.meta_by_field_name[name]
        if not message.is_set(name):
            is_message = field.proto_type == "message" and not field.wraps
            is_one = meta.default_gen[name] is not list
            if not include_defaults or field.group or (is_message and is_one):
                continue
        value = getattr(message, name)
        converted: Any = None
        if value is None:
            pass
        elif field.map_types:
            item_class = meta.cls_by_field[f"{name}.value"]
            item_type = field.map_types[1]
            converted = {
                _dump_key(key): convert(item, item_type, item_class)
                for key, item in value.items()
            }
        else:
            kind, cls = field.wraps or field.proto_type, meta.cls_by_field[name]
            if meta.default_gen[name] is list:
                converted = [convert(item, kind, cls) for item in value]
            else:
                converted = convert(value, kind, cls)
        spelt: str = casing(name)  # type: ignore[operator]  # members are functions
        found[spelt.rstrip("_")] = converted
    return found


def _dump_key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def to_json(value: Any, kind: str, cls: type) -> Any:
    """Return a value that is not a message in the form that JSON has it."""
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if kind == "enum" and issubclass(cls, betterproto.Enum):
        return cls.try_value(value).name or int(value)
    if kind in _LONG:
        return str(value)
    if kind == "bytes":
        return b64encode(value).decode()
    if kind in _REAL and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    return value


def load(cls: type[Message], mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message's fields from JSON; keys without a field are ignored."""
    meta = cls._betterproto
    names = {camel_case(name).rstrip("_"): name for name in meta.default_gen}
    found: dict[str, Any] = {}
    value: Any
    for key, value in mapping.items():
        name = names.get(key, key if key in meta.default_gen else safe_snake_case(key))
        field = meta.meta_by_field_name.get(name)
        if field is None:
            continue
        kind, of = field.wraps or field.proto_type, meta.cls_by_field[name]
        if value is None and not (kind == "message" and issubclass(of, ValueMixin)):
            continue
        if field.map_types:
            key_type, item_type = field.map_types
            item_class = meta.cls_by_field[f"{name}.value"]
            items: Any = value
            found[name] = {
                _load_key(item_key, key_type): from_json(item, item_type, item_class)
                for item_key, item in items.items()
            }
        elif meta.default_gen[name] is list:
            items = value
            found[name] = [from_json(item, kind, of) for item in items]
        else:
            found[name] = from_json(value, kind, of)
    return found


def _load_key(key: Any, kind: str) -> Any:
    if kind == "bool":
        return key in (True, "true")
    return key if kind == "string" else int(key)


def from_json(value: Any, kind: str, cls: type) -> Any:
    """Return the value that JSON has for a value of a proto type."""
    if kind == "message":
        if issubclass(cls, datetime):
            return timestamp_from_text(value)
        if issubclass(cls, timedelta):
            return duration_from_text(value)
        # A map's values may be wrappers.
        return cls.from_dict(value) if issubclass(cls, betterproto.Message) else value
    if kind == "enum" and issubclass(cls, betterproto.Enum):
        return (
            cls.from_string(value) if isinstance(value, str) else cls.try_value(value)
        )
    if kind in _REAL:
        return _NOT_FINITE[value] if value in _NOT_FINITE else float(value)
    if kind == "bytes":
        text = value.replace("+", "-").replace("/", "_")
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if kind in ("string", "bool"):
        return value
    return int(value)


def timestamp_text(value: datetime) -> str:
    """Write a datetime as RFC 3339 has it, in UTC."""
    seconds, nanos = native.timestamp_parts(value)
    whole = native.EPOCH + timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{_fraction(nanos)}Z"


def timestamp_from_text(text: str) -> datetime:
    """Read what RFC 3339 allows.

    Raises:
        ValueError: The text is something else.
    """
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time as of RFC 3339")
    day, time, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    whole = datetime.fromisoformat(f"{day}T{time}{zone}")
    seconds, _ = native.timestamp_parts(whole)
    return native.timestamp(seconds, _nanos(fraction))


def duration_text(value: timedelta) -> str:
    """Write a timedelta in seconds: `1.5s`."""
    seconds, nanos = native.duration_parts(value)
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def duration_from_text(text: str) -> timedelta:
    """Read seconds.

    Raises:
        ValueError: The text is something else.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration, such as '1.5s'")
    sign = -1 if match[1] else 1
    return native.duration(sign * int(match[2]), sign * _nanos(match[3]))


def _fraction(nanos: int) -> str:
    """Write nanoseconds with 0, 3, 6 or 9 digits."""
    if not nanos:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def _nanos(fraction: str | None) -> int:
    return int((fraction or "").ljust(9, "0"))


class StructMixin:
    """`google.protobuf.Struct` is an object in JSON."""

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
    """`google.protobuf.ListValue` is an array in JSON."""

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
    """`google.protobuf.Value` is anything in JSON."""

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return what the value is; `None` for null."""
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
    """`google.protobuf.FieldMask` is its paths in camel case, with commas, in JSON."""

    if TYPE_CHECKING:
        paths: list[str]

    def to_dict(self, *_: Any, **__: Any) -> Any:
        """Return the paths as one text."""
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
