"""Converts messages to JSON's objects.

A `Writer` makes a function for each class of message, the first time that it meets one,
and keeps it. That function does the work: it goes through a table with the fields'
keys and the functions that convert their values.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from betterproto.casing import camel_case, snake_case

from remotemedia.protobuf import embedded, wire
from remotemedia.protobuf.json_names import field_names
from remotemedia.protobuf.json_values import enum_writer, scalar_writer, write_key
from remotemedia.protobuf.well_known import duration_text, text_writer, timestamp_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import betterproto

    from remotemedia.protobuf.json_values import Write

Casing: TypeAlias = "Callable[[str], str]"
"""Converts a field's name to a key. `betterproto.Casing` has two such functions."""


class JsonMessage(Protocol):
    """A message, as far as JSON needs it."""

    _betterproto: betterproto.ProtoClassMetadata
    _values: wire.Values

    def _adopt_placeholders(self) -> None: ...


class _Field(NamedTuple):
    name: str
    key: str
    has_presence: bool
    default: Callable[[], Any] | None
    """Makes what is written if the field is not set; without it, nothing is."""
    write: Write


class Writer:
    """Converts messages in one style.

    Args:
        casing: Converts names of fields to keys.
        include_defaults: Whether to include fields that are not set, except messages
            and members of a oneof.
        keep_values: Whether to convert only messages, and leave other values as they
            are in Python.
    """

    def __init__(
        self, casing: Casing, include_defaults: bool, keep_values: bool
    ) -> None:
        self._casing = casing
        self._include_defaults = include_defaults
        self._keep_values = keep_values
        self._functions: dict[type, Write] = {}

    def message(self, message: Any) -> Any:
        """Convert a message.

        Raises:
            EncodeError: A field has a value that JSON cannot express.
        """
        return self._function(type(message))(message)

    def _function(self, cls: type[Any]) -> Write:
        function = self._functions.get(cls)
        if function is None:
            if hasattr(cls, "_to_json_value") and not self._keep_values:
                function = self._special
            else:
                function = self._ordinary(cls)
            self._functions[cls] = function
        return function

    def _special(self, message: Any) -> Any:
        return message._to_json_value(self)

    def _ordinary(self, cls: type[JsonMessage]) -> Write:
        fields = self._fields(cls)

        def write(message: JsonMessage) -> dict[str, Any]:
            values = message._values
            if "_placeholders" in values:
                message._adopt_placeholders()
            result = {}
            for name, key, has_presence, default, convert in fields:
                value = values.get(name)
                if value is None or not (value or has_presence or _is_set(value)):
                    if default is not None:
                        result[key] = default()
                else:
                    result[key] = convert(value)
            return result

        return write

    def _fields(self, cls: type[JsonMessage]) -> list[_Field]:
        meta = cls._betterproto
        keys = self._keys(cls)
        fields = []
        for name in meta.sorted_field_names:
            field = meta.meta_by_field_name[name]
            make = meta.default_gen[name]
            write = self._field(cls, name)
            is_message = field.proto_type == "message" and not field.wraps
            is_collection = make in (list, dict)
            has_presence = not is_collection and bool(
                field.group or field.optional or field.proto_type == "message"
            )
            default: Callable[[], Any] | None = None
            if not self._include_defaults or field.group:
                pass
            elif is_collection:
                default = make
            elif field.optional or field.wraps:
                default = _none
            elif not is_message:
                default = _constant(write(make()))
            fields.append(_Field(name, keys[name], has_presence, default, write))
        return fields

    def _keys(self, cls: type[JsonMessage]) -> dict[str, str]:
        names = field_names(cls)
        if self._casing is camel_case:
            return {name: found.json for name, found in names.items()}
        if self._casing is snake_case:
            return {name: found.proto for name, found in names.items()}
        keys = {
            name: self._casing(found.proto).rstrip("_") for name, found in names.items()
        }
        if len(set(keys.values())) < len(keys):
            raise ValueError(f"the casing gives fields of {cls.__name__} the same key")
        return keys

    def _field(self, cls: type[JsonMessage], name: str) -> Write:
        meta = cls._betterproto
        field = meta.meta_by_field_name[name]
        where = f"{cls.__name__}.{name}"
        kind = field.proto_type
        if field.map_types:
            key_kind, item_kind = field.map_types
            item_class = meta.cls_by_field[f"{name}.value"]
            write_item = self._item(item_kind, item_class, field.wraps, where)
            check_key = scalar_writer(key_kind, where)
            keep = self._keep_values

            def write_map(value: Any) -> dict[Any, Any]:
                result = {}
                for key, item in wire.entries(value, where):
                    check_key(key)
                    result[key if keep else write_key(key)] = write_item(item)
                return result

            return write_map
        write_item = self._item(kind, meta.cls_by_field[name], field.wraps, where)
        if meta.default_gen[name] is not list:
            return write_item

        def write_list(value: Any) -> list[Any]:
            return [write_item(item) for item in wire.items(value, where)]

        return write_list

    def _item(self, kind: str, cls: type[Any], wraps: str | None, where: str) -> Write:
        """Return the writer of one value of a field."""
        if kind == "message" and hasattr(cls, "_betterproto"):
            return self._message(cls, where)
        if self._keep_values:
            return _kept
        if kind == "message" and issubclass(cls, datetime):
            return text_writer(timestamp_text, where)
        if kind == "message" and issubclass(cls, timedelta):
            return text_writer(duration_text, where)
        if kind == "enum":
            return enum_writer(cls, where)
        return scalar_writer(wraps or kind, where)

    def _message(self, cls: type[JsonMessage], where: str) -> Write:
        functions = self._functions

        def write(value: Any) -> Any:
            if not isinstance(value, cls):
                raise embedded.wrong_type(value, cls, where)
            function = functions.get(cls) or self._function(cls)
            return function(value)

        return write


def _is_set(value: object) -> bool:
    # Of the values that are false, only -0.0 differs from the default.
    return type(value) is float and math.copysign(1, value) < 0


def _none() -> None:
    return None


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _kept(value: Any) -> Any:
    return value


@lru_cache(maxsize=16)
def writer(casing: Casing, include_defaults: bool, keep_values: bool = False) -> Writer:
    """Return the writer of a style; the arguments are those of `Writer`."""
    return Writer(casing, include_defaults, keep_values)
