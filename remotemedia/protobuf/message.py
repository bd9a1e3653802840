"""What every generated message and enum shares, on top of betterproto.

A message keeps the fields that are set in its ``__dict__``, where the generated
encoder and decoder work. A field that is not set reads as its default: from the class,
or made on first access if the default is a list, a dict or a message. A message that
was only made by reading it waits in ``_read`` and is not set until something in it is.
Unknown fields are in ``_unknown``, as they came.

Constructors check bytes-like values; what else is wrong with a value is found when it
is encoded. Of several members of a oneof given to a constructor the last in field
order is taken, as protobuf takes the last one set.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
from typing import TYPE_CHECKING, Any

import betterproto
from betterproto.casing import camel_case

from remotemedia.protobuf import json_format as protojson
from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

    from _typeshed import SupportsRead, SupportsWrite
    from typing_extensions import Self

_CHUNK_BYTES = 1 << 20


def field(
    number: int,
    proto_type: str,
    default: object = dataclasses.MISSING,
    *,
    map_types: tuple[str, str] | None = None,
    group: str | None = None,
    wraps: str | None = None,
    optional: bool = False,
) -> Any:
    """Describe a field of a message; without a `default`, one is made when read."""
    return dataclasses.field(
        default=default,
        metadata={
            "betterproto": betterproto.FieldMetadata(
                number, proto_type, map_types, group, wraps, optional
            )
        },
    )


if TYPE_CHECKING:

    class Enum(enum.IntEnum):
        """An enum of a proto; a number without a name is kept as a nameless member."""

        @classmethod
        def try_value(cls, value: int = 0) -> Self:
            """Return the member of that number, with or without a name."""
            ...

        @classmethod
        def from_string(cls, name: str) -> Self:
            """Return the member of that name.

            Raises:
                ValueError: There is none.
            """
            ...

        @classmethod
        def _from_wire(cls, value: int) -> Self: ...

else:

    class Enum(betterproto.Enum):
        """See above; at run time it is betterproto's, which pickles badly."""

        @classmethod
        def _from_wire(cls, value):
            """Return the member that a varint stands for."""
            try:
                return cls._value_map_[value]
            except KeyError:
                return cls.try_value(wire.signed32(value))

        def __reduce__(self):
            return type(self).try_value, (int(self),)


class _Metadata:
    """Makes betterproto's table of a class's fields, and gives the class its own.

    betterproto's property does so at each access, for which a message is too fast.
    """

    def __get__(
        self, instance: object, owner: type[Message]
    ) -> betterproto.ProtoClassMetadata:
        owner._betterproto = meta = betterproto.ProtoClassMetadata(owner)
        return meta


class Message(betterproto.Message):
    """Base class of the generated messages."""

    if TYPE_CHECKING:
        _values: dict[str, Any]
        _betterproto: ClassVar[betterproto.ProtoClassMetadata]  # pyright: ignore[reportIncompatibleVariableOverride]  # as its classproperty gives it

        def _encode(self, out: wire.Parts) -> int:
            """Append the encoded fields to `out`; return their size in bytes."""
            ...

        def _decode(self, data: bytes, pos: int, end: int, depth: int) -> None:
            """Merge the fields between two places in `data` into the message."""

    else:
        # The same as `__dict__`, which pyright takes for that of the class.
        _values = vars(betterproto.Message)["__dict__"]
        _betterproto = _Metadata()
        _serialized_on_wire = True

        # Stock betterproto looks at every access; here unset fields alone are
        # special, and they get to `__getattr__`.
        __getattribute__ = object.__getattribute__

        def __getattr__(self, name):
            meta = self._betterproto
            if name not in meta.default_gen:
                raise AttributeError(
                    f"{type(self).__name__!r} object has no attribute {name!r}",
                    name=name,
                    obj=self,
                )
            group = meta.oneof_group_by_field.get(name)
            if group is not None:
                current = self._group_current.get(group)
                raise AttributeError(
                    f"{group!r} is set to {current!r}, not {name!r}",
                    name=name,
                    obj=self,
                )
            if meta.default_gen[name] in (list, dict):
                value = self._values[name] = meta.default_gen[name]()
                return value
            read = self._values.setdefault("_read", {})
            if name not in read:
                read[name] = child = meta.default_gen[name]()
                child._values["_serialized_on_wire"] = False
            return read[name]

        def __setattr__(self, name, value):
            meta = self._betterproto
            values = self._values
            field = meta.meta_by_field_name.get(name)
            if field is None:
                object.__setattr__(self, name, value)
                return
            values["_serialized_on_wire"] = True
            for member in meta.oneof_field_by_group.get(field.group, ()):
                values.pop(member.name, None)
            values.get("_read", {}).pop(name, None)
            if value is None:
                values.pop(name, None)
            elif field.proto_type == "bytes" and not isinstance(value, list):
                values[name] = wire.blob(value, f"{type(self).__name__}.{name}")
            else:
                values[name] = value

        @property
        def _group_current(self):
            values = self._values
            groups = self._betterproto.oneof_group_by_field
            return {groups[name]: name for name in groups if name in values}

        @property
        def _unknown_fields(self):
            return bytes(self._values.get("_unknown", b""))

    def __bytes__(self) -> bytes:
        """Encode the message.

        Raises:
            EncodeError: A field has a value that it cannot be sent with.
        """
        out: wire.Parts = []
        self._encode(out)
        return b"".join(out)

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Encode the message, as `bytes` does."""
        return self.__bytes__()

    def __len__(self) -> int:
        """Size of the encoded message, in bytes."""
        return self._encode([])

    def dump(self, stream: SupportsWrite[bytes], delimit: bool = False) -> None:
        """Write the encoded message to a stream, if `delimit` after its size."""
        data = bytes(self)
        stream.write(wire.varint(len(data)) + data if delimit else data)

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802 - protobuf's name
        """Decode a message.

        Raises:
            DecodeError: The bytes are not an encoded message of this type.
        """
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        message = object.__new__(cls)
        message._decode(data, 0, len(data), wire.MAX_DEPTH)
        return message

    def parse(self, data: bytes) -> Self:
        """Decode a message into this one: fields are merged as protobuf does it.

        Raises:
            DecodeError: The bytes are not an encoded message of this type. Fields
                before the bad place have been merged.
        """
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        self._settle()
        self._values["_serialized_on_wire"] = True
        self._decode(data, 0, len(data), wire.MAX_DEPTH)
        return self

    def load(self, stream: SupportsRead[bytes], size: int | None = None) -> Self:
        """Decode a message from a stream into this one.

        Args:
            stream: Where to read.
            size: Bytes to read; all there are if None, and as many as the varint
                says that is read first if `betterproto.SIZE_DELIMITED`.

        Raises:
            DecodeError: The stream ends before, or the bytes are not an encoded
                message of this type.
        """
        if size is None:
            return self.parse(stream.read())
        try:
            if size == betterproto.SIZE_DELIMITED:
                size = _read_size(stream)
            return self.parse(_read(stream, size))
        except wire.DecodeError as error:
            error.message = error.message or type(self).__name__
            raise

    def _located(self, error: Exception, tag: int) -> wire.DecodeError:
        """Return what a decoder came upon as the error that callers see."""
        number = tag >> 3
        name = self._betterproto.field_name_by_number.get(number, f"field {number}")
        return wire.fault(error).inside(type(self).__name__, name)

    def is_set(self, name: str) -> bool:
        """Whether a field has a value other than what an unset one reads as.

        A field with presence (``optional``, of a oneof, or a message) may be set to
        that very value.
        """
        self._settle()
        return self._has(name)

    def _has(self, name: str) -> bool:
        value = self._values.get(name)
        if value is None:
            return False
        meta = self._betterproto.meta_by_field_name[name]
        has_presence = meta.group or meta.optional or meta.proto_type == "message"
        if has_presence and not isinstance(value, list):
            return True
        if isinstance(value, float):
            # -0.0 is sent: it is not what is read where nothing is sent.
            return value != 0 or math.copysign(1, value) < 0
        return bool(value)

    def _settle(self) -> None:
        """Set the messages that were made by reading them, and then filled."""
        values = self._values
        read = values.get("_read", {})
        for name, child in list(read.items()):
            if child._serialized_on_wire or child or child._unknown_fields:
                # In this order another thread that encodes finds it in either place.
                values.setdefault(name, child)
                read.pop(name, None)

    def _set_fields(self) -> dict[str, Any]:
        self._settle()
        names = self._betterproto.sorted_field_names
        return {name: self._values[name] for name in names if self._has(name)}

    def __bool__(self) -> bool:
        """Whether any field is set."""
        self._settle()
        return any(map(self._has, self._betterproto.sorted_field_names))

    def __eq__(self, other: object) -> bool:
        """Compare the fields that are set, and the unknown ones.

        NaN is equal to NaN, so that a message equals its copy.
        """
        if not isinstance(other, Message) or type(self) is not type(other):
            return NotImplemented
        ours, theirs = self._set_fields(), other._set_fields()
        return (
            ours.keys() == theirs.keys()
            and all(_equal(ours[name], theirs[name]) for name in ours)
            and self._unknown_fields == other._unknown_fields
        )

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self._set_fields().items())
        return f"{type(self).__name__}({shown})"

    def to_dict(
        self,
        casing: betterproto.Casing | protojson.Casing = camel_case,
        include_default_values: bool = False,
    ) -> dict[str, Any]:
        """Return the fields that are set, in JSON's types.

        Args:
            casing: How to spell the keys.
            include_default_values: Whether to show fields that are not set, too;
                messages and members of a oneof are not shown in any case.
        """

        def convert(value: Any, kind: str, cls: type) -> Any:
            if isinstance(value, Message):
                return value.to_dict(casing, include_default_values)
            return protojson.to_json(value, kind, cls)

        return protojson.dump(self, casing, include_default_values, convert)

    @classmethod
    def _from_dict_init(cls, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
        return protojson.load(cls, mapping)

    def to_pydict(
        self,
        casing: betterproto.Casing | protojson.Casing = camel_case,
        include_default_values: bool = False,
    ) -> dict[str, Any]:
        """Return the fields that are set, in Python's types; otherwise as `to_dict`."""

        def convert(value: Any, kind: str, cls: type) -> Any:
            if isinstance(value, Message):
                return value.to_pydict(casing, include_default_values)
            return value

        return protojson.dump(self, casing, include_default_values, convert)

    def __copy__(self, _: Any = None) -> Self:
        return self._copied(lambda value: value)

    def __deepcopy__(self, memo: Any = None) -> Self:
        def copied(value: object) -> object:
            # A view of someone's memory cannot be copied as such.
            plain = bytes(value) if isinstance(value, memoryview) else value
            return copy.deepcopy(plain, memo)

        return self._copied(copied)

    def _copied(self, copied: Callable[[object], object]) -> Self:
        new = object.__new__(type(self))
        self._settle()
        for name, value in list(self._values.items()):
            if name == "_unknown":
                new._values[name] = value[:]
            elif name != "_read":
                new._values[name] = copied(value)
        return new


def _equal(one: object, other: object) -> bool:
    # NaN alone differs from itself.
    return one == other or (one != one and other != other)


def _read_size(stream: SupportsRead[bytes]) -> int:
    prefix = b""
    while len(prefix) < 10 and (not prefix or prefix[-1] > 0x7F):
        prefix += _read(stream, 1)
    # A varint of ten bytes is too long, and one without an end is not read past it.
    return wire.read_uint32(prefix, 0)[0]


def _read(stream: SupportsRead[bytes], size: int) -> bytes:
    """Read as much, and not all at once: `size` may be a lie."""
    parts = []
    while size > 0:
        part = stream.read(min(size, _CHUNK_BYTES))
        if not part:
            raise wire.DecodeError(f"the stream ends {size} bytes too early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
