"""Converts JSON's objects to messages.

A `Reader` makes a table for each class of message, the first time that it meets one,
and keeps it. The table has, for each key, the field and the function that converts its
value.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from betterproto.casing import camel_case, safe_snake_case

from remotemedia.protobuf import embedded, wire
from remotemedia.protobuf.json_names import field_names
from remotemedia.protobuf.json_values import (
    KEY_READERS,
    READERS,
    SKIPPED,
    enum_reader,
    is_null,
)
from remotemedia.protobuf.well_known import duration_from_text, timestamp_from_text
from remotemedia.protobuf.wire import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from remotemedia.protobuf.json_values import Read
    from remotemedia.protobuf.json_writer import JsonMessage

# Looking for what a key resembles takes long for a long one.
_LONGEST_KEY = 200


class _Field(NamedTuple):
    name: str
    read: Callable[..., Any]
    takes_depth: bool
    """Whether `read` also takes how many levels of messages may be nested."""
    is_nullable: bool
    """Whether null is a value. Otherwise it means that the field is not set."""
    others: tuple[str, ...]
    """The other members of the same oneof."""


_SPECIAL: dict[str, _Field] = {}
"""The table of a class that reads its JSON itself."""


class Reader:
    """Converts JSON's objects in one style.

    Args:
        ignore_unknown: Whether to ignore keys that are no field, and names that are no
            member of an enum. Otherwise they are errors.
        keep_values: Whether to convert only messages. The other values are those of
            Python already, as `Message.to_pydict` gives them.
    """

    def __init__(self, ignore_unknown: bool, keep_values: bool) -> None:
        self._ignore_unknown = ignore_unknown
        self._keep_values = keep_values
        self._tables: dict[type, dict[str, _Field]] = {}

    def message(self, cls: type[Any], value: object, depth: int) -> Any:
        """Convert an object, or what else JSON has for the class, to a message.

        Args:
            cls: The class of the message.
            value: The object.
            depth: How many levels of messages may be nested in it.

        Raises:
            DecodeError: It is not valid for the class.
        """
        message = embedded.new(cls)
        self.fill(cls, message._values, value, depth)
        return message

    def fill(
        self, cls: type[Any], values: wire.Values, source: object, depth: int
    ) -> None:
        """Convert an object to the fields of a message; `values` has none of them yet.

        Raises:
            DecodeError: It is not valid for the class.
        """
        table = self._tables.get(cls)
        if table is None:
            table = self._tables[cls] = self._table(cls)
        name = ""
        try:
            if depth < 0:
                raise DecodeError(wire.TOO_DEEP)
            if table is _SPECIAL:
                values.update(cls._fields_from_json(source, self, depth))
                return
            if not isinstance(source, Mapping):
                raise DecodeError(f"must be an object, not {reprlib.repr(source)}")
            for key, value in source.items():
                field = table.get(key)
                if field is None:
                    name = ""
                    field = self._other_spelling(key, table)
                    if field is None:
                        continue
                name, read, takes_depth, is_nullable, others = field
                if value is None and not is_nullable:
                    continue
                if name in values:
                    raise DecodeError(f"is given twice, the second time as {key!r}")
                for other in others:
                    if other in values:
                        raise DecodeError(f"cannot be set, as {other!r} is set too")
                found = read(value, depth - 1) if takes_depth else read(value)
                if found is not SKIPPED:
                    values[name] = found
        except DecodeError as error:
            raise error.inside(cls.__name__, name) from None

    def unknown(self, key: object, known: Iterable[str] = ()) -> None:
        """Ignore a key that is none of the known ones, or refuse it.

        Raises:
            DecodeError: Unknown keys are not to be ignored.
        """
        if self._ignore_unknown:
            return
        from difflib import get_close_matches  # only errors need it

        close = get_close_matches(str(key), known, 1)
        advice = f"; did you mean {close[0]!r}?" if close else ""
        raise DecodeError(f"has no field {reprlib.repr(key)}{advice}")

    def _other_spelling(self, key: object, table: dict[str, _Field]) -> _Field | None:
        """Find a key in another casing, as betterproto does."""
        if not isinstance(key, str) or len(key) > _LONGEST_KEY:
            self.unknown(key)
            return None
        field = table.get(safe_snake_case(key))
        if field is None:
            self.unknown(key, table)
        return field

    def _table(self, cls: type[JsonMessage]) -> dict[str, _Field]:
        if hasattr(cls, "_to_json_value") and not self._keep_values:
            return _SPECIAL
        meta = cls._betterproto
        names = field_names(cls)
        fields = {name: self._field(cls, name) for name in meta.sorted_field_names}
        # In the order of precedence, lowest first: one field may have the name in
        # Python that another has in the proto or in JSON.
        return {
            **{camel_case(name).rstrip("_"): fields[name] for name in names},
            **fields,
            **{found.proto: fields[name] for name, found in names.items()},
            **{found.json: fields[name] for name, found in names.items()},
        }

    def _field(self, cls: type[JsonMessage], name: str) -> _Field:
        meta = cls._betterproto
        field = meta.meta_by_field_name[name]
        others = tuple(
            other.name
            for other in meta.oneof_field_by_group.get(field.group or "", ())
            if other.name != name
        )
        where = f"{cls.__name__}.{name}"
        if field.map_types:
            key_kind, item_kind = field.map_types
            item_class = meta.cls_by_field[f"{name}.value"]
            item = self._item(item_kind, item_class, field.wraps, where)
            read = _map_reader(KEY_READERS[key_kind], *item)
            return _Field(name, read, True, False, others)
        item_class = meta.cls_by_field[name]
        read, is_message = self._item(field.proto_type, item_class, field.wraps, where)
        if meta.default_gen[name] is list:
            return _Field(name, _list_reader(read, is_message), True, False, others)
        is_nullable = not self._keep_values and (
            is_null(item_class)
            or getattr(item_class, "__proto_name__", "") == "google.protobuf.Value"
        )
        return _Field(name, read, is_message, is_nullable, others)

    def _item(
        self, kind: str, cls: type[Any], wraps: str | None, where: str
    ) -> tuple[Callable[..., Any], bool]:
        """Return the reader of one value of a field, and whether it takes the depth."""
        if kind == "message" and hasattr(cls, "_betterproto"):
            return self._message(cls), True
        kind = wraps or kind
        if self._keep_values:
            return (_bytes_taker(where) if kind == "bytes" else _kept), False
        if kind == "message":
            is_time = issubclass(cls, datetime)
            return timestamp_from_text if is_time else duration_from_text, False
        if kind == "enum":
            return enum_reader(cls, skip_unknown=self._ignore_unknown), False
        return READERS[kind], False

    def _message(self, cls: type[JsonMessage]) -> Callable[[Any, int], Any]:
        new, fill = embedded.new, self.fill

        def read(value: Any, depth: int) -> Any:
            message = new(cls)
            fill(cls, message._values, value, depth)
            return message

        return read


def _list_reader(read: Callable[..., Any], is_message: bool) -> Callable[..., Any]:
    def read_list(value: Any, depth: int) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise DecodeError(f"must be a list, not {reprlib.repr(value)}")
        items: list[Any] = []
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007 - an error names it
                found = read(item, depth) if is_message else read(item)
                if found is not SKIPPED:
                    items.append(found)
        except DecodeError as error:
            raise error.inside_item(index) from None
        return items

    return read_list


def _map_reader(
    read_key: Read, read: Callable[..., Any], is_message: bool
) -> Callable[..., Any]:
    def read_map(value: Any, depth: int) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise DecodeError(f"must be an object, not {reprlib.repr(value)}")
        entries: dict[Any, Any] = {}
        key: Any = None
        try:
            for key, item in value.items():
                found_key = read_key(key)
                if found_key in entries:
                    raise DecodeError("is the same key as one before it")
                found = read(item, depth) if is_message else read(item)
                if found is not SKIPPED:
                    entries[found_key] = found
        except DecodeError as error:
            raise error.inside_item(key) from None
        return entries

    return read_map


def _kept(value: Any) -> Any:
    return value


def _bytes_taker(where: str) -> Read:
    return lambda value: wire.as_bytes(value, where)


@cache
def reader(*, ignore_unknown: bool, keep_values: bool = False) -> Reader:
    """Return the reader of a style; the arguments are those of `Reader`."""
    return Reader(ignore_unknown, keep_values)
