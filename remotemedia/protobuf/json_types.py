"""Well-known messages whose JSON is not an object of their fields.

`Struct`, `ListValue` and `Value` are any JSON, `FieldMask` is a string, and the JSON of
`Any` is that of the message in it. The mixins here are base classes of those messages,
and each has the two functions by which JSON is written and read:

- `_to_json_value` takes the `JsonWriter`, for the messages inside;
- `_fields_from_json` takes the value, the `JsonReader`, and how many levels of messages
  may be nested. It returns the fields to set.

Timestamps, durations and wrappers have the same two in `well_known`.
"""

from __future__ import annotations

import math
import re
import reprlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from remotemedia.protobuf import registry, wire
from remotemedia.protobuf.json_values import READERS, read_string, scalar_writer
from remotemedia.protobuf.well_known import AnyJson
from remotemedia.protobuf.wire import DecodeError, EncodeError, EncodeTypeError

if TYPE_CHECKING:
    from typing_extensions import Self

    from remotemedia.protobuf.embedded import Codec

    MessageT = TypeVar("MessageT", bound=Codec)

URL_PREFIX = "type.googleapis.com/"
"""What precedes the type's name in an `Any`, unless one says otherwise."""


class JsonWriter(Protocol):
    """What writes the messages inside a message."""

    def message(self, message: Any) -> Any:
        """Convert a message to JSON's types."""
        ...


class JsonReader(Protocol):
    """What reads the messages inside a message."""

    def message(self, cls: type[Any], value: object, depth: int) -> Any:
        """Convert a value of JSON's types to a message."""
        ...

    def unknown(self, key: object) -> None:
        """Refuse or ignore a key that says nothing to the message."""
        ...


def _written(writer: JsonWriter, value: object, cls: type, where: str) -> Any:
    """Write the message of a field, if it is one of the right class."""
    if not isinstance(value, cls):
        name = cls.__name__.removesuffix("Mixin")
        raise EncodeTypeError(
            f"{where} must be of type {name}, not {type(value).__name__}"
        )
    return writer.message(value)


class StructMixin:
    """Converts `google.protobuf.Struct`, which is an object in JSON."""

    if TYPE_CHECKING:
        fields: Any

    def _to_json_value(self, writer: JsonWriter) -> dict[str, Any]:
        check = scalar_writer("string", "Struct.fields")
        return {
            check(key): _written(writer, value, ValueMixin, "Struct.fields")
            for key, value in wire.entries(self.fields, "Struct.fields")
        }

    @classmethod
    def _fields_from_json(
        cls, value: Any, reader: JsonReader, depth: int
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise DecodeError(f"must be an object, not {reprlib.repr(value)}")
        metadata: Any = cls
        value_class = metadata._betterproto.cls_by_field["fields.value"]
        fields = {}
        key: Any = None
        try:
            for key, item in value.items():
                fields[read_string(key)] = reader.message(value_class, item, depth - 1)
        except DecodeError as error:
            raise error.inside_item(key) from None
        return {"fields": fields}


class ListValueMixin(AnyJson):
    """Converts `google.protobuf.ListValue`, which is an array in JSON."""

    if TYPE_CHECKING:
        values: Any

    def _to_json_value(self, writer: JsonWriter) -> list[Any]:
        return [
            _written(writer, value, ValueMixin, "ListValue.values")
            for value in wire.items(self.values, "ListValue.values")
        ]

    @classmethod
    def _fields_from_json(
        cls, value: Any, reader: JsonReader, depth: int
    ) -> dict[str, Any]:
        if not isinstance(value, (list, tuple)):
            raise DecodeError(f"must be a list, not {reprlib.repr(value)}")
        metadata: Any = cls
        value_class = metadata._betterproto.cls_by_field["values"]
        values = []
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007 - an error names it
                values.append(reader.message(value_class, item, depth - 1))
        except DecodeError as error:
            raise error.inside_item(index) from None
        return {"values": values}


_VALUE_CLASSES = {"struct_value": StructMixin, "list_value": ListValueMixin}
_VALUE_WRITERS = {
    f"{name}_value": scalar_writer(kind, f"Value.{name}_value")
    for name, kind in (("number", "double"), ("string", "string"), ("bool", "bool"))
}


class ValueMixin(AnyJson):
    """Converts `google.protobuf.Value`, which is any JSON value; unset, it is null."""

    if TYPE_CHECKING:
        _values: dict[str, Any]

    def _to_json_value(self, writer: JsonWriter) -> Any:
        for kind, value in self._values.items():
            if kind in _VALUE_CLASSES:
                cls = _VALUE_CLASSES[kind]
                return _written(writer, value, cls, f"Value.{kind}")
            if kind in _VALUE_WRITERS:
                found = _VALUE_WRITERS[kind](value)
                if kind == "number_value" and isinstance(found, str):
                    raise EncodeError(f"Value.number_value is {found}; JSON has none")
                return found
        return None

    @classmethod
    def _fields_from_json(
        cls, value: Any, reader: JsonReader, depth: int
    ) -> dict[str, Any]:
        metadata: Any = cls
        classes = metadata._betterproto.cls_by_field
        if value is None:
            return {"null_value": classes["null_value"].try_value(0)}
        if isinstance(value, bool):
            return {"bool_value": value}
        if isinstance(value, str):
            return {"string_value": read_string(value)}
        if isinstance(value, dict):
            found = reader.message(classes["struct_value"], value, depth - 1)
            return {"struct_value": found}
        if isinstance(value, (list, tuple)):
            found = reader.message(classes["list_value"], value, depth - 1)
            return {"list_value": found}
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise DecodeError(f"must be a value of JSON, not {reprlib.repr(value)}")
        return {"number_value": number}


# A path in JSON and back must be the same: a letter follows each underscore.
_SNAKE_CASE = re.compile(r"(?:[^_A-Z,]|_[a-z])*")
_CAMEL_CASE = re.compile(r"[^_,]*")


class FieldMaskMixin(AnyJson):
    """Converts `google.protobuf.FieldMask`, in JSON a string of camel-case paths."""

    if TYPE_CHECKING:
        paths: list[str]

    def _to_json_value(self, _: JsonWriter) -> str:
        check = scalar_writer("string", "FieldMask.paths")
        for path in self.paths:
            if not _SNAKE_CASE.fullmatch(check(path)):
                raise EncodeError(f"FieldMask.paths has {path!r}; JSON cannot say it")
        return re.sub("_([a-z])", lambda m: m[1].upper(), ",".join(self.paths))

    @classmethod
    def _fields_from_json(cls, value: Any, *_: Any) -> dict[str, Any]:
        paths = read_string(value).split(",") if value != "" else []
        for path in paths:
            if not _CAMEL_CASE.fullmatch(path):
                raise DecodeError(f"must have paths in camel case, not {path!r}")
        return {
            "paths": [re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", p) for p in paths]
        }


class AnyMixin:
    """Packs a message of any type into `google.protobuf.Any`, and unpacks it.

    Its JSON is that of the message in it, and the key `@type` with the type.
    """

    if TYPE_CHECKING:
        type_url: str
        value: bytes

        def __init__(self, *, type_url: str = ..., value: bytes = ...) -> None: ...

    @classmethod
    def pack(cls, message: Codec, url_prefix: str = URL_PREFIX) -> Self:
        """Make an `Any` of a message.

        Args:
            message: The message, which is encoded at once.
            url_prefix: What precedes the type's full name; it ends with a slash.

        Raises:
            EncodeError: A field of the message has a value that cannot be encoded.
        """
        found: Any = message
        url = f"{url_prefix}{found.__proto_name__}"
        return cls(type_url=url, value=bytes(found))

    @property
    def type_name(self) -> str:
        """The full name of the type of the message in it; empty if there is none."""
        return self.type_url.rpartition("/")[2]

    @overload
    def unpack(self) -> Any: ...

    @overload
    def unpack(self, cls: type[MessageT]) -> MessageT: ...

    def unpack(self, cls: type[Any] | None = None) -> Any:
        """Decode the message in it.

        Args:
            cls: The message's class. Without it, the class is found by its name among
                those of the generated packages that were imported.

        Raises:
            LookupError: No such class was imported.
            DecodeError: It has a message of another class, or the bytes are not valid.
        """
        if cls is None:
            cls = registry.find(self.type_name)
        elif cls.__proto_name__ != self.type_name:
            raise DecodeError(
                f"Any has {self.type_url!r} in it, not {cls.__proto_name__}"
            )
        return cls.FromString(self.value)

    def _to_json_value(self, writer: JsonWriter) -> dict[str, Any]:
        if not self.type_url and not self.value:
            return {}
        try:
            message = self.unpack()
        except (LookupError, DecodeError) as error:
            raise EncodeError(f"Any.value: {error}") from None
        value = writer.message(message)
        if not hasattr(message, "_to_json_value"):
            return {"@type": self.type_url, **value}
        return {"@type": self.type_url, "value": value}

    @classmethod
    def _fields_from_json(
        cls, value: Any, reader: JsonReader, depth: int
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise DecodeError(f"must be an object, not {reprlib.repr(value)}")
        rest = dict(value)
        url = rest.pop("@type", None)
        if url is None and not rest:
            return {}
        if url is None and "typeUrl" in rest:
            # Earlier versions of this package wrote the fields.
            data = READERS["bytes"](rest.get("value", ""))
            return {"type_url": read_string(rest["typeUrl"]), "value": data}
        if not isinstance(url, str) or "/" not in url:
            raise DecodeError(
                f"must have the key '@type' with a type, not {reprlib.repr(url)}"
            )
        try:
            found = registry.find(url.rpartition("/")[2])
        except LookupError as error:
            raise DecodeError(str(error)) from None
        inner: Any = rest
        if hasattr(found, "_to_json_value"):
            if "value" not in rest:
                raise DecodeError("must have the key 'value'")
            inner = rest.pop("value")
            for key in rest:
                reader.unknown(key)
        message = reader.message(found, inner, depth - 1)
        return {"type_url": url, "value": bytes(message)}
