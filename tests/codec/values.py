"""One message as two libraries hold it, and as a plain tree that both agree on.

A tree maps field numbers to values. It holds what the wire format can say: a
field with presence is there if it is set, any other field if it is not its
default. Floats are put as text, so that NaN equals NaN and -0.0 differs from 0.0.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import inspect
from typing import TYPE_CHECKING, Any, cast

import betterproto
from betterproto.compile.naming import pythonize_class_name
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from remotemedia import protobuf

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message as GoogleMessage

# The fields have no static types here, because their names come from descriptors.
Value = Any
Tree = dict[int, Value]

MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE
FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
MICROSECOND = dt.timedelta(microseconds=1)


def float_text(value: Any) -> tuple[str, str]:
    """Return what a tree holds for a float; no field's value is such a pair."""
    return ("float", repr(value))


ZERO = float_text(0.0)


@dataclasses.dataclass(frozen=True)
class Pair:
    """One message type in both libraries."""

    google: type[GoogleMessage]
    ours: type[betterproto.Message]

    @property
    def descriptor(self) -> Descriptor:
        """What protoc says of the message."""
        return cast("Descriptor", self.google.DESCRIPTOR)

    def __repr__(self) -> str:
        return str(self.descriptor.name)


def pair_of(descriptor: Descriptor, package: str = "") -> Pair:
    """Find our class: `package.Outer.Inner` is `OuterInner` in module `package`.

    The module has the name of the proto package if `package` does not give another.
    """
    proto_package = descriptor.file.package
    path = descriptor.full_name.removeprefix(f"{proto_package}.").replace(".", "_")
    module = importlib.import_module(package or proto_package)
    return Pair(
        GetMessageClass(descriptor), getattr(module, pythonize_class_name(path))
    )


def python_names(ours: type[betterproto.Message]) -> dict[int, str]:
    """Field names of our class by number: keywords and builtins are respelt."""
    metadata = cast("Any", ours)._betterproto.meta_by_field_name
    return {field.number: name for name, field in metadata.items()}


def is_map(field: FieldDescriptor) -> bool:
    """Tell a map from a repeated message, as which the wire has it."""
    return field.cpp_type == MESSAGE and message_of(field).GetOptions().map_entry


def map_value(field: FieldDescriptor) -> FieldDescriptor:
    """Return what protoc says of a map's values."""
    return message_of(field).fields_by_name["value"]


def message_of(field: FieldDescriptor) -> Descriptor:
    """Return what protoc says of the message that a field holds."""
    assert field.message_type is not None
    return field.message_type


# --- from a Google message ------------------------------------------------------


def google_tree(message: GoogleMessage) -> Tree:
    """Return the tree of a Google message."""
    return {
        field.number: google_field(value, field)
        for field, value in message.ListFields()
    }


def google_field(value: Value, field: FieldDescriptor) -> Value:
    if is_map(field):
        of_value = map_value(field)
        return {key: google_value(value[key], of_value) for key in value}
    if field.is_repeated:
        return [google_value(item, field) for item in value]
    return google_value(value, field)


def google_value(value: Value, field: FieldDescriptor) -> Value:
    if field.cpp_type == MESSAGE:
        return google_tree(value)
    return float_text(value) if field.cpp_type in FLOATS else value


# --- from one of ours -----------------------------------------------------------


def our_tree(message: betterproto.Message, descriptor: Descriptor) -> Tree:
    """Return the tree of one of our messages."""
    names = python_names(type(message))
    tree = {}
    for field in descriptor.fields:
        name = names[field.number]
        oneof = oneof_of(field)
        if oneof and betterproto.which_one_of(message, oneof)[0] != name:
            continue
        # Asked before the value is read, because reading must not set the field.
        is_set = message.is_set(name)
        value = getattr(message, name)
        if field.has_presence and (not is_set or value is None):
            continue
        plain = our_field(value, field)
        if field.has_presence or not is_default(plain):
            tree[field.number] = plain
    return tree


def oneof_of(field: FieldDescriptor) -> str | None:
    """Return the name of a field's oneof; `optional x` makes one called `_x`."""
    oneof = field.containing_oneof
    return oneof.name if oneof and oneof.name != f"_{field.name}" else None


def is_default(plain: Value) -> bool:
    """Tell whether a field without presence goes over the wire at all."""
    return plain == ZERO or not plain


def our_field(value: Value, field: FieldDescriptor) -> Value:
    if is_map(field):
        of_value = map_value(field)
        assert type(value) is dict
        return {key: our_value(item, of_value) for key, item in value.items()}
    if field.is_repeated:
        assert type(value) is list
        return [our_value(item, field) for item in value]
    return our_value(value, field)


def our_value(value: Value, field: FieldDescriptor) -> Value:
    if field.cpp_type == MESSAGE:
        descriptor = message_of(field)
        as_tree = SHOWN_AS_PYTHON.get(descriptor.full_name)
        if as_tree and not isinstance(value, betterproto.Message):
            return as_tree(value, descriptor)
        return our_tree(value, descriptor)
    if field.type == FieldDescriptor.TYPE_ENUM:
        assert isinstance(value, betterproto.Enum), f"{field.name} is {value!r}"
        return int(value)
    assert type(value) is PYTHON_TYPES.get(field.type, int), f"{field.name}: {value!r}"
    return float_text(value) if field.cpp_type in FLOATS else value


PYTHON_TYPES: dict[int, type] = {
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_FLOAT: float,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BYTES: bytes,
}


def timestamp_tree(value: dt.datetime, _: Descriptor) -> Tree:
    # A value that no datetime expresses exactly has the exact numbers in `parts`.
    if parts := getattr(value, "parts", None):
        return without_defaults(dict(enumerate(parts, 1)))
    seconds, rest = divmod((value - EPOCH) // MICROSECOND, 1_000_000)
    return without_defaults({1: seconds, 2: rest * 1000})


def duration_tree(value: dt.timedelta, _: Descriptor) -> Tree:
    if parts := getattr(value, "parts", None):
        return without_defaults(dict(enumerate(parts, 1)))
    # Seconds and nanoseconds of a Duration have the same sign.
    microseconds = abs(value // MICROSECOND)
    sign = -1 if value < dt.timedelta(0) else 1
    seconds, rest = divmod(microseconds, 1_000_000)
    return without_defaults({1: sign * seconds, 2: sign * rest * 1000})


def wrapper_tree(value: Value, descriptor: Descriptor) -> Tree:
    return without_defaults({1: our_field(value, descriptor.fields_by_number[1])})


def without_defaults(tree: Tree) -> Tree:
    return {number: value for number, value in tree.items() if not is_default(value)}


# The messages that a field shows as a Python value.
SHOWN_AS_PYTHON: dict[str, Callable[[Value, Descriptor], Tree]] = {
    "google.protobuf.Timestamp": timestamp_tree,
    "google.protobuf.Duration": duration_tree,
    **{
        f"google.protobuf.{kind}Value": wrapper_tree
        for kind in (
            *("Bool", "Int32", "Int64", "UInt32", "UInt64"),
            *("Float", "Double", "String", "Bytes"),
        )
    },
}


# --- from Google's to ours, by the constructor ------------------------------------


def construct(ours: type[betterproto.Message], message: GoogleMessage) -> Any:
    """Make our message with the same content as Google's, as a user would."""
    names = python_names(ours)
    hints = cast("Any", ours)._betterproto.cls_by_field
    # Left out, these would be computed, and an unset field is 0.
    arguments: dict[str, Value] = {
        name: 0
        for name, parameter in inspect.signature(ours).parameters.items()
        if parameter.default is protobuf.COMPUTED
    }
    for field, value in message.ListFields():
        name = names[field.number]
        if is_map(field):
            of_value = map_value(field)
            kind = hints.get(f"{name}.value")
            arguments[name] = {
                key: our_argument(value[key], of_value, kind) for key in value
            }
        elif field.is_repeated:
            arguments[name] = [our_argument(item, field, hints[name]) for item in value]
        else:
            arguments[name] = our_argument(value, field, hints[name])
    return ours(**arguments)


def our_argument(value: Value, field: FieldDescriptor, kind: Any) -> Value:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return kind.try_value(value)
    if field.cpp_type != MESSAGE:
        return value
    name = message_of(field).full_name
    if name == "google.protobuf.Timestamp":
        return EPOCH + dt.timedelta(
            seconds=value.seconds, microseconds=value.nanos // 1000
        )
    if name == "google.protobuf.Duration":
        return dt.timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
    if name in SHOWN_AS_PYTHON:
        return value.value
    return construct(kind, value)
