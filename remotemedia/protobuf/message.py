"""The base class of generated messages, on top of `betterproto.Message`.

A message keeps the fields that are set in its `__dict__`, and the generated codec reads
and writes them there. A field that is not set reads as its default value. Scalar
defaults are class attributes. A list, a dict or a message is made on first access, in
`__getattr__`.

Reading an unset field whose type is a message must not set the field, although the
caller may go on to fill the message that was returned. Such a message is therefore a
*placeholder*: it is kept under `_placeholders` in the `__dict__`, and becomes the
field's value once something in it is set. Unknown fields are kept as bytes under
`_unknown`.

A constructor checks bytes-like values. Any other invalid value is found when the
message is encoded. If a constructor receives several members of a oneof, the one that
is last in the proto is set, as if they had been assigned in that order.

`dataclasses.replace` passes the constructor the member of a oneof that is set, and the
changes. To switch a oneof, assign the new member, or pass `None` for the old one, too.
`dataclasses.asdict` leaves out members of a oneof and messages that are not set.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, Any, cast

import betterproto

from remotemedia.protobuf import counting, registry, wire
from remotemedia.protobuf.json_format import JsonMethods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar, TypeVar

    from _typeshed import SupportsRead, SupportsWrite
    from typing_extensions import Self

    MessageT = TypeVar("MessageT", bound="Message")

_CHUNK_BYTES = 1 << 20

# Limits of what `repr` shows of a message, in characters, and of a value in it.
_REPR_LENGTH = 200
_VALUE_LENGTH = 60
# Longer bytes show as their number.
_SHOWN_BYTES = 32

COMPUTED: int = cast("int", ...)
"""The default of a constructor's argument that a mixin computes if it is left out.

The mixin's method `_computed_<field>` returns the value, from the fields before it.
"""


def field(
    number: int,
    proto_type: str,
    default: object = dataclasses.MISSING,
    *,
    map_types: tuple[str, str] | None = None,
    group: str | None = None,
    wraps: str | None = None,
    optional: bool = False,
    proto_name: str | None = None,
    json_name: str | None = None,
) -> Any:
    """Describe a field of a message to betterproto.

    Args:
        number: The field's number in the proto.
        proto_type: The field's type: `"uint32"`, `"message"`, `"map"`, and so on.
        default: What the field reads as if it is not set. Without it the default is
            made on access: a list, a dict or a message.
        map_types: The types of a map's keys and values.
        group: The name of the oneof that the field is a member of.
        wraps: The type of the value in a wrapper message, which may be a map's value.
        optional: Whether the proto declares the field as `optional`.
        proto_name: The field's name in the proto, if it is not that of the attribute.
        json_name: Its name in JSON, if it is not what protoc makes of its name in the
            proto.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "betterproto": betterproto.FieldMetadata(
                number, proto_type, map_types, group, wraps, optional
            ),
            "proto_name": proto_name,
            "json_name": json_name,
        },
    )


def attach_codec(
    cls: type[MessageT],
    encode: Callable[[MessageT, wire.Parts], int],
    decode: Callable[[MessageT, bytes, int, int, int], None],
) -> None:
    """Complete a message class: its encoder and its decoder become its methods.

    From then on it can be packed into a `google.protobuf.Any`.

    Args:
        cls: The class.
        encode: Becomes `Message._encode`.
        decode: Becomes `Message._decode`.
    """
    cls._encode = encode  # type: ignore[assignment, method-assign]  # takes this class
    cls._decode = decode  # type: ignore[assignment, method-assign]  # takes this class
    fields = _DataclassFields(vars(cls)["__dataclass_fields__"])
    cls.__dataclass_fields__ = fields  # type: ignore[attr-defined]  # a dict when read
    registry.register(cls.__proto_name__, cls)


class _DataclassFields:
    """Tells the functions of `dataclasses` which fields a class or a message has.

    They read every field of an instance. Reading an unset member of a oneof is an
    error, and reading an unset message gives a placeholder, which `replace` would set.
    So an instance has all fields but those.
    """

    def __init__(self, fields: dict[str, dataclasses.Field[Any]]) -> None:
        self._fields = fields

    def __get__(
        self, instance: Message | None, owner: type[Message]
    ) -> dict[str, dataclasses.Field[Any]]:
        if instance is None:
            return self._fields
        instance._adopt_placeholders()
        meta, values = owner._betterproto, instance._values
        return {
            name: field
            for name, field in self._fields.items()
            if name in values
            or not (
                meta.meta_by_field_name[name].group
                or hasattr(meta.default_gen[name], "_encode")
            )
        }


class _ClassMetadata(betterproto.ProtoClassMetadata):
    def __init__(self, cls: type[Message]) -> None:
        super().__init__(cls)
        # Without it `inspect`, and so `help`, looks for the class that defines this,
        # and betterproto's base class raises a TypeError when it is asked.
        self.__objclass__ = cls


class _Metadata:
    """Makes betterproto's table of a class's fields, and stores it on the class.

    betterproto rebuilds this on every access; we cache it on the class.
    """

    def __get__(
        self, instance: object, owner: type[Message]
    ) -> betterproto.ProtoClassMetadata:
        owner._betterproto = meta = _ClassMetadata(owner)
        return meta


class Message(JsonMethods, betterproto.Message):  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]  # the class has these methods, too
    """Base class of the generated messages.

    Attributes:
        __proto_name__: The message's full name in the proto.
    """

    __proto_name__ = ""

    if TYPE_CHECKING:
        _deprecated_fields: ClassVar[tuple[str, ...]]
        _values: dict[str, Any]
        _betterproto: ClassVar[betterproto.ProtoClassMetadata]  # pyright: ignore[reportIncompatibleVariableOverride]  # as its classproperty gives it

        def _encode(self, out: wire.Parts) -> int:
            """Append the encoded fields to `out`; return their size in bytes."""
            ...

        def _decode(self, data: bytes, pos: int, end: int, depth: int) -> None:
            """Merge the encoded fields from `pos` to `end` of `data` into the message.

            At most `depth` levels of messages may be nested in it.
            """

    else:
        # The instance's `__dict__`. Type checkers would take that name for the class's.
        _values = vars(betterproto.Message)["__dict__"]
        _betterproto = _Metadata()
        _serialized_on_wire = True
        _deprecated_fields = ()

        # betterproto intercepts every access to an attribute. Here only the fields that
        # are not set need code, and Python calls `__getattr__` for those alone.
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
            placeholders = self._values.setdefault("_placeholders", {})
            if name not in placeholders:
                placeholders[name] = child = meta.default_gen[name]()
                child._values["_serialized_on_wire"] = False
            return placeholders[name]

        def __setattr__(self, name, value):
            if name not in self._betterproto.meta_by_field_name:
                # betterproto sets the first of these.
                if name != "_serialized_on_wire" and not name.startswith("__"):
                    raise AttributeError(_no_field(type(self), name))
                object.__setattr__(self, name, value)
                return
            if name in self._deprecated_fields:
                _warn_deprecated_field(self, name, 3)
            self._assign(name, value)

        def _assign(self, name, value):
            meta = self._betterproto
            values = self._values
            field = meta.meta_by_field_name[name]
            values["_serialized_on_wire"] = True
            for member in meta.oneof_field_by_group.get(field.group, ()):
                values.pop(member.name, None)
            values.get("_placeholders", {}).pop(name, None)
            if value is None:
                values.pop(name, None)
            elif field.proto_type == "bytes" and not isinstance(value, list):
                values[name] = wire.as_bytes(value, f"{type(self).__name__}.{name}")
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

    def _warn_deprecated_fields(self) -> None:
        """Warn if a constructor was given a deprecated field; decoding never warns."""
        for name in self._deprecated_fields:
            if self._has(name):
                _warn_deprecated_field(self, name, 4)

    def __bytes__(self) -> bytes:
        """Encode the message.

        Raises:
            EncodeError: A field has a value that cannot be encoded.
        """
        out: wire.Parts = []
        self._encode(out)
        return b"".join(out)

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Encode the message; the same as `bytes(message)`."""
        return self.__bytes__()

    def __len__(self) -> int:
        """Return the size of the encoded message, in bytes."""
        return self._encode([])

    def dump(self, stream: SupportsWrite[bytes], delimit: bool = False) -> None:
        """Write the encoded message to a stream.

        Args:
            stream: Where to write.
            delimit: Whether to write the message's size before it, as a varint.
        """
        data = bytes(self)
        stream.write(wire.varint(len(data)) + data if delimit else data)

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802 - protobuf's name
        """Decode a message.

        Raises:
            DecodeError: The bytes are not a valid message of this type.
        """
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        message = object.__new__(cls)
        message._decode(data, 0, len(data), wire.MAX_DEPTH)
        return message

    @classmethod
    def _from_peer(cls, data: bytes) -> Self:
        """Decode what came over a network, unless it has too many fields.

        Raises:
            DecodeError: The bytes are not a valid message of this type, or decoding
                them would take too much time and memory.
        """
        if len(data) > counting.COUNTED_BYTES:
            counting.check_fields(cls, data)
        message = object.__new__(cls)
        message._decode(data, 0, len(data), wire.MAX_DEPTH)
        return message

    def parse(self, data: bytes) -> Self:
        """Decode a message and merge it into this one.

        Scalars are replaced, lists are extended, and embedded messages are merged.

        Raises:
            DecodeError: The bytes are not a valid message of this type. The fields
                before the invalid one have been merged.
        """
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        self._adopt_placeholders()
        self._values["_serialized_on_wire"] = True
        self._decode(data, 0, len(data), wire.MAX_DEPTH)
        return self

    def load(self, stream: SupportsRead[bytes], size: int | None = None) -> Self:
        """Decode a message from a stream and merge it into this one.

        Args:
            stream: Where to read.
            size: How many bytes to read. `None` reads to the stream's end;
                `betterproto.SIZE_DELIMITED` reads the size first, as a varint.

        Raises:
            DecodeError: The stream ends too early, or the bytes are not a valid message
                of this type.
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
        """Convert a decoder's error to one that names this message and the field."""
        number = tag >> 3
        name = self._betterproto.field_name_by_number.get(number, f"field {number}")
        return wire.decode_error(error).inside(type(self).__name__, name)

    def which_oneof(self, group: str) -> str:
        """Return the name of the member of a oneof that is set.

        It is empty if no member is set. `betterproto.which_one_of` gives the same name
        with the member's value, and takes longer.

        Raises:
            KeyError: The message has no oneof of that name.
        """
        values = self._values
        for member in self._betterproto.oneof_field_by_group[group]:
            if member.name in values:
                return member.name
        return ""

    def is_set(self, name: str) -> bool:
        """Whether a field is set.

        A field with presence (`optional`, member of a oneof, or of a message type) is
        set once it has a value. Any other field is set if its value is not the default.
        """
        self._adopt_placeholders()
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
            # The default is 0.0, and -0.0 differs from it, although they are equal.
            return value != 0 or math.copysign(1, value) < 0
        return bool(value)

    def _adopt_placeholders(self) -> None:
        """Set the fields whose placeholders have been filled."""
        values = self._values
        placeholders = values.get("_placeholders", {})
        for name, child in list(placeholders.items()):
            if child._serialized_on_wire or child or child._unknown_fields:
                # A thread that encodes meanwhile finds the message in either place.
                values.setdefault(name, child)
                placeholders.pop(name, None)

    def _set_fields(self) -> dict[str, Any]:
        self._adopt_placeholders()
        names = self._betterproto.sorted_field_names
        return {name: self._values[name] for name in names if self._has(name)}

    def __bool__(self) -> bool:
        """Whether any field is set."""
        self._adopt_placeholders()
        return any(map(self._has, self._betterproto.sorted_field_names))

    def __eq__(self, other: object) -> bool:
        """Compare the types, the fields that are set, and the unknown fields.

        NaN equals NaN here, so that a message equals its copy.
        """
        if not isinstance(other, Message) or type(self) is not type(other):
            return NotImplemented
        ours, theirs = self._set_fields(), other._set_fields()
        return (
            ours.keys() == theirs.keys()
            and all(_equal(ours[name], theirs[name]) for name in ours)
            and self._unknown_fields == other._unknown_fields
        )

    __hash__ = None  # type: ignore[assignment]  # messages are mutable

    def __repr__(self) -> str:
        """Show the fields that are set, in a few hundred characters at most."""
        return _shown(self, _REPR_LENGTH)

    def __copy__(self, _: Any = None) -> Self:
        return self._copied(lambda value: value)

    def __deepcopy__(self, memo: Any = None) -> Self:
        def copied(value: object) -> object:
            # `deepcopy` does not support a memoryview, which a bytes field may hold.
            plain = bytes(value) if isinstance(value, memoryview) else value
            return copy.deepcopy(plain, memo)

        return self._copied(copied)

    def _copied(self, copied: Callable[[object], object]) -> Self:
        new = object.__new__(type(self))
        self._adopt_placeholders()
        for name, value in list(self._values.items()):
            if name == "_unknown":
                new._values[name] = value[:]
            elif name != "_placeholders":
                new._values[name] = copied(value)
        return new


def _warn_deprecated_field(message: Message, name: str, stacklevel: int) -> None:
    text = f"{type(message).__name__}.{name} is deprecated"
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel)


def _no_field(cls: type[Message], name: str) -> str:
    import difflib  # only errors need it

    names = cls._betterproto.sorted_field_names
    close = difflib.get_close_matches(name, names, 1)
    advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
    return f"{cls.__name__!r} object has no field {name!r}; {advice}"


def _shown(value: object, room: int) -> str:
    """Show a value in about as many characters as there is room for."""
    if isinstance(value, Message):
        fields = ((f"{k}=", v) for k, v in value._set_fields().items())
        return f"{type(value).__name__}({_items_shown(fields, room)})"
    if isinstance(value, dict):
        pairs = ((f"{_shown(k, room)}: ", v) for k, v in value.items())
        return f"{{{_items_shown(pairs, room)}}}"
    if isinstance(value, list):
        return f"[{_items_shown((('', item) for item in value), room)}]"
    if isinstance(value, memoryview):
        return f"<{value.nbytes} bytes>"
    if isinstance(value, (bytes, bytearray)) and len(value) > _SHOWN_BYTES:
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > _VALUE_LENGTH:
        return f"{value[:_VALUE_LENGTH]!r}..."
    text = repr(value)
    # A field may hold anything until the message is encoded.
    return text if len(text) <= 4 * _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}..."


def _items_shown(items: Iterable[tuple[str, object]], room: int) -> str:
    shown = []
    for prefix, value in items:
        # Each level takes some, or lists in lists would be shown to any depth.
        room -= len(prefix) + 2
        if room <= 0:
            shown.append("...")
            break
        text = _shown(value, room)
        shown.append(prefix + text)
        room -= len(text)
    return ", ".join(shown)


def _equal(one: object, other: object) -> bool:
    # Only NaN differs from itself.
    return one == other or (one != one and other != other)


def _read_size(stream: SupportsRead[bytes]) -> int:
    prefix = b""
    while len(prefix) < 10 and (not prefix or prefix[-1] > 0x7F):
        prefix += _read(stream, 1)
    # A size has at most five bytes; `read_uint32` refuses a longer varint.
    return wire.read_uint32(prefix, 0)[0]


def _read(stream: SupportsRead[bytes], size: int) -> bytes:
    """Read a number of bytes, in chunks: an invalid size must not allocate memory."""
    parts = []
    while size > 0:
        part = stream.read(min(size, _CHUNK_BYTES))
        if not part:
            raise wire.DecodeError(f"the stream ends {size} bytes too early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
