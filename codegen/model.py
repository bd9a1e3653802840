"""The model: what the templates need to know of a set of proto files.

Methods that take a `source` return Python code as it is written in that module. If the
code names a type of another module, they also note that the module must import it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from betterproto import encode_varint

from . import naming
from .mixins import COMPUTED

if TYPE_CHECKING:
    pass

WELL_KNOWN = "google.protobuf"
WELL_KNOWN_PACKAGE = "remotemedia.protobuf.wkt"
"""The Python package of the well-known types, which ship with the runtime."""

PYTHON_CLASSES = {
    f"{WELL_KNOWN}.Timestamp": "dt.datetime",
    f"{WELL_KNOWN}.Duration": "dt.timedelta",
}
"""Messages that a field shows as an object of a Python class."""

DEFAULTS = {"dt.datetime": "protobuf.EPOCH", "dt.timedelta": "dt.timedelta(0)"}
"""What a field with such an object reads as if it is not set."""

WRAPPERS = {
    f"{WELL_KNOWN}.{kind}Value": kind.lower()
    for kind in (
        *("Bool", "Int32", "Int64", "UInt32", "UInt64"),
        *("Float", "Double", "String", "Bytes"),
    )
}
"""Wrapper messages, which a field shows as the wrapped value, and its proto type."""

PYTHON_TYPES = {
    "bool": "bool",
    "string": "str",
    "bytes": "bytes",
    "float": "float",
    "double": "float",
}
"""The Python types of scalars; those that are not here are `int`."""

WIRE_TYPES = {
    "double": 1,
    "fixed64": 1,
    "sfixed64": 1,
    "string": 2,
    "bytes": 2,
    "message": 2,
    "float": 5,
    "fixed32": 5,
    "sfixed32": 5,
}
"""The wire types of all types that are not sent as a varint, which is 0."""

STRUCT_CODES = {
    "double": "d",
    "fixed64": "Q",
    "sfixed64": "q",
    "float": "f",
    "fixed32": "I",
    "sfixed32": "i",
}
"""The `struct` format characters of numbers with a fixed width."""

FROM_VARINT = {
    "uint64": "value",
    "uint32": "value & 0xFFFF_FFFF",
    "int64": "value if value < 0x8000_0000_0000_0000 else wire.signed64(value)",
    "int32": "value if value < 0x8000_0000 else wire.signed32(value)",
    "sint64": "wire.zigzag64(value)",
    "sint32": "wire.zigzag32(value)",
    "bool": "value != 0",
}
"""Expressions that convert the varint `value` to a scalar."""


@dataclass(eq=False)
class Source:
    """A Python module to generate, and the types that it imports."""

    package: str
    name: str
    uses_relative_imports: bool
    imports: dict[str, Definition] = field(default_factory=dict, init=False)
    """The imported types, by the name that they have in this module."""

    reserved: ClassVar[frozenset[str]] = frozenset()
    """Names like those of types that the module uses for something else."""

    @property
    def path(self) -> str:
        """The module's dotted name."""
        return f"{self.package}.{self.name}"

    @cached_property
    def names(self) -> list[str]:
        """The names that the module defines for its users, sorted."""
        return []

    def ref(self, definition: Definition) -> str:
        """Return the name of a type in this module, and import the type if needed."""
        if definition.module is self:
            return definition.name
        name = definition.name
        taken = {*self.names, *self.reserved}
        # Two packages may define types of the same name.
        while name in taken or self.imports.get(name, definition) != definition:
            name += "_"
        self.imports[name] = definition
        return name

    def import_path(self, module: Module) -> str:
        """Return how this module names another in an import statement."""
        if module.is_external or not self.uses_relative_imports:
            return module.path
        return relative_path(self.package, module.path)


def relative_path(package: str, module: str) -> str:
    """Return the path of a module relative to a package: `..audio.common`."""
    here, there = package.split("."), module.split(".")
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    return "." * (len(here) - shared + 1) + ".".join(there[shared:])


@dataclass(eq=False)
class Module(Source):
    """The Python module of a proto file: its enums, messages and services."""

    file: str
    proto_package: str
    is_external: bool
    """Whether it is imported, and generated elsewhere."""
    rank: int
    """The position of the file among all files, after those that it imports."""
    doc: str = ""
    is_deprecated: bool = False
    enums: list[Enum] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)

    @cached_property
    def names(self) -> list[str]:
        """The names that the module defines for its users, sorted."""
        types = [found.name for found in (*self.enums, *self.messages)]
        services = [
            name for found in self.services for name in (found.stub, found.base)
        ]
        return sorted(types + services)


class Codec(Source):
    """The Python module that encodes and decodes the messages of one package."""

    reserved = frozenset({"MembersByVarint"})

    def __init__(self, modules: list[Module]) -> None:
        package, is_relative = modules[0].package, modules[0].uses_relative_imports
        super().__init__(package, naming.CODEC, is_relative)
        self.messages = [found for module in modules for found in module.messages]
        self.enums: dict[Enum, str] = {}
        """The tables of enum members, by varint, that decoders need."""
        self._scope = naming.Scope()
        self._functions: dict[Message, str] = {}

    def function(self, message: Message) -> str:
        """Return what the functions of a message are called: `audio_buffer`."""
        if message not in self._functions:
            wanted = naming.function_name(message.name)
            self._functions[message] = self._scope.name(wanted)
        return self._functions[message]

    def tags(self, message: Message) -> str:
        """Return what the set of a message's tags is called: `_AUDIO_BUFFER_TAGS`."""
        return f"_{self.function(message).upper()}_TAGS"

    def table(self, enum: Enum) -> str:
        """Return what the table of an enum's members is called: `_AUDIO_FORMAT`."""
        if enum not in self.enums:
            wanted = f"_{naming.function_name(self.ref(enum)).upper()}"
            # A name that ends so belongs to a message.
            self.enums[enum] = self._scope.name(
                f"{wanted}_" if wanted.endswith("_TAGS") else wanted
            )
        return self.enums[enum]


@dataclass(eq=False)
class Definition:
    """A message or an enum."""

    full_name: str
    name: str
    module: Module
    path: tuple[int, ...]
    """Its position in the file's descriptor."""
    is_deprecated: bool
    doc: str = field(default="", init=False)
    line: int = field(default=0, init=False)
    """The line of the proto file on which it begins, or 0 if that is not known."""


@dataclass
class Member:
    """A member of an enum."""

    name: str
    number: int
    proto_name: str
    path: tuple[int, ...]
    is_deprecated: bool
    doc: str = ""


@dataclass(eq=False)
class Enum(Definition):
    """An enum."""

    members: list[Member] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """What the members' names in the proto begin with, and in Python do not."""
        prefix = naming.member_prefix(self.name)
        is_used = any(found.proto_name.startswith(prefix) for found in self.members)
        return prefix if is_used else ""

    @property
    def other_names(self) -> dict[str, str]:
        """The names in the proto that are not the prefix and the name in Python."""
        return {
            found.name: found.proto_name
            for found in self.members
            if found.proto_name != self.prefix + found.name
        }

    @property
    def default(self) -> Member:
        """The member that an unset field reads as: the first, which is 0 in proto3."""
        return self.members[0]


@dataclass(eq=False)
class Message(Definition):
    """A message, or the entry of a map field: a message with a key and a value."""

    mixin: str | None
    fields: list[Field] = field(default_factory=list)
    oneofs: list[Oneof] = field(default_factory=list)
    is_map_entry: bool = False
    is_carried: bool = False
    """Whether it is not proto3: its fields are not known, and are kept as they are."""

    @property
    def deprecated_fields(self) -> list[Field]:
        """The fields that should not be set any more."""
        return [found for found in self.fields if found.is_deprecated]

    def builtin(self, name: str) -> str:
        """Return how the class body names a builtin type, which a field may hide."""
        hidden = any(found.name == name for found in self.fields)
        return f"builtins.{name}" if hidden else name

    @property
    def has_lazy_fields(self) -> bool:
        """Whether reading a field can make a placeholder."""
        return any(
            found.is_plain_message and not found.is_list and not found.oneof
            for found in self.fields
        )

    def fields_of(self, wire_type: int) -> list[Field]:
        """The fields whose values have a wire type, unless they are packed."""
        return [found for found in self.fields if found.wire_type == wire_type]

    @property
    def tags(self) -> list[str]:
        """The tags that a decoder accepts for the fields."""
        tags = [found.tag_of(found.wire_type) for found in self.fields]
        # Decoders must accept repeated numbers both packed and not packed.
        packed = [
            found.tag_of(2) for found in self.delimited_fields if found.wire_type != 2
        ]
        return tags + packed

    @property
    def delimited_fields(self) -> list[Field]:
        """The fields that may be sent with a length, as packed numbers are."""
        return [found for found in self.fields if found.wire_type == 2 or found.is_list]


@dataclass
class Oneof:
    """A oneof of a message."""

    name: str
    doc: str
    members: list[Field] = field(default_factory=list)


@dataclass(eq=False)
class Field:
    """A field of a message."""

    owner: Message
    name: str
    number: int
    kind: str
    """The type in the proto: `int32`, `message`, and so on."""
    is_list: bool
    is_packed: bool
    is_optional: bool
    oneof: Oneof | None
    type: Definition | None
    doc: str
    proto_name: str
    json_name: str
    is_deprecated: bool

    @property
    def entry(self) -> Message | None:
        """The entry, if the field is a map."""
        is_map = isinstance(self.type, Message) and self.type.is_map_entry
        return self.type if is_map else None  # type: ignore[return-value]  # checked

    @property
    def wraps(self) -> str | None:
        """The type of the value in a wrapper message."""
        return WRAPPERS.get(self.type.full_name) if self.type else None

    @property
    def python_class(self) -> str | None:
        """The Python class that the field shows the message as."""
        return PYTHON_CLASSES.get(self.type.full_name) if self.type else None

    @property
    def has_presence(self) -> bool:
        """Whether a field that is not set differs from one with the default value."""
        if self.is_list or self.entry:
            return False
        return self.is_optional or self.oneof is not None or self.kind == "message"

    @property
    def is_plain_message(self) -> bool:
        """Whether the field shows its value as a message."""
        return self.kind == "message" and not self.python_class and not self.wraps

    @property
    def wire_type(self) -> int:
        """The wire type of a value that is not packed."""
        return WIRE_TYPES.get(self.kind, 0)

    @property
    def fixed_code(self) -> str | None:
        """The `struct` format character, if the values have a fixed width."""
        return STRUCT_CODES.get(self.kind)

    def tag_of(self, wire_type: int) -> str:
        """The tag as a number."""
        return f"0x{self.number << 3 | wire_type:02X}"

    @property
    def _encoded_tag(self) -> bytes:
        wire_type = 2 if self.is_packed else self.wire_type
        return encode_varint(self.number << 3 | wire_type)

    @property
    def tag(self) -> str:
        """The encoded tag that an encoder writes, as a bytes literal."""
        return 'b"' + "".join(f"\\x{byte:02x}" for byte in self._encoded_tag) + '"'

    @property
    def tag_bytes(self) -> int:
        """The size of the encoded tag, in bytes."""
        return len(self._encoded_tag)

    @property
    def has_short_numbers(self) -> bool:
        """Whether a small number is its own varint, which takes one or two bytes."""
        return self.kind in ("uint32", "uint64", "int32", "int64", "enum")

    @property
    def encoder(self) -> str:
        """The function of `wire` that encodes one value."""
        return f"{self.kind}_" if self.kind in ("bool", "float") else self.kind

    def from_varint(self, codec: Codec) -> str:
        """Return the expression that converts the varint `value` to a field's value."""
        if isinstance(self.type, Enum):
            return f"{codec.table(self.type)}[value]"
        return FROM_VARINT[self.kind]

    @property
    def is_bytes_like(self) -> bool:
        """Whether the constructor takes any bytes-like value."""
        return self.kind == "bytes" and not self.is_list

    @property
    def is_computed(self) -> bool:
        """Whether the mixin computes the value if the constructor does not get it."""
        owner = self.owner
        return (owner.module.package, owner.name, self.name) in COMPUTED

    @property
    def value(self) -> str:
        """The value that the constructor stores."""
        if self.is_computed:
            computed = f"self._computed_{self.name}()"
            return f"{computed} if {self.name} is protobuf.COMPUTED else {self.name}"
        if not self.is_bytes_like:
            return self.name
        where = f"{self.owner.name}.{self.name}"
        return f'protobuf.as_bytes({self.name}, "{where}")'

    def python_type(self, source: Source, owner: Message) -> str:
        """Return the type of one value, as the class of `owner` writes it."""
        if self.python_class:
            return self.python_class
        if self.type and not self.wraps:
            return source.ref(self.type)
        return owner.builtin(PYTHON_TYPES.get(self.wraps or self.kind, "int"))

    def annotation(self, source: Source) -> str:
        """Return the type of the attribute."""
        owner = self.owner
        if self.entry:
            key, value = (part.python_type(source, owner) for part in self.entry.fields)
            return f"{owner.builtin('dict')}[{key}, {value}]"
        one = self.python_type(source, owner)
        if self.is_list:
            return f"{owner.builtin('list')}[{one}]"
        # Reading a member of a oneof that is not set raises AttributeError.
        if self.is_optional or (self.wraps and not self.oneof):
            return f"{one} | None"
        return one

    def default(self, source: Source) -> str | None:
        """Return what an unset field reads as, unless that is made on access."""
        if self.is_list or self.entry or self.oneof:
            return None
        if self.is_optional or self.wraps:
            return "None"
        if self.python_class:
            return DEFAULTS[self.python_class]
        return None if self.kind == "message" else self.zero(source)

    def zero(self, source: Source) -> str:
        """Return the default value of a scalar or an enum."""
        if isinstance(self.type, Enum):
            return f"{source.ref(self.type)}.{self.type.default.name}"
        zeros = {"str": '""', "bytes": 'b""', "bool": "False", "float": "0.0"}
        return zeros.get(PYTHON_TYPES.get(self.kind, "int"), "0")


@dataclass
class Service:
    """A service."""

    full_name: str
    stub: str
    base: str
    path: tuple[int, ...]
    is_deprecated: bool
    doc: str = ""
    line: int = 0
    methods: list[Method] = field(default_factory=list)

    def builtin(self, name: str) -> str:
        """Return how the class body names a builtin type, which a method may hide."""
        hidden = any(found.name == name for found in self.methods)
        return f"builtins.{name}" if hidden else name


@dataclass
class Method:
    """A method of a service."""

    name: str
    route: str
    request: Message
    response: Message
    request_streams: bool
    response_streams: bool
    doc: str
    is_deprecated: bool

    @property
    def parameter(self) -> str:
        """The name of the first parameter of the stub's method."""
        suffix = "_iterator" if self.request_streams else ""
        return naming.parameter_name(self.request.name) + suffix

    @property
    def cardinality(self) -> str:
        """The cardinality of the call, by the name that grpclib gives it."""
        words = {False: "unary", True: "stream"}
        return f"{words[self.request_streams]}_{words[self.response_streams]}"
