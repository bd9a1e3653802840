"""What the templates need to know of a set of proto files.

Methods that take a module return Python source as it is written in that module: types
of other modules are imported there along the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from betterproto import encode_varint

from codegen import naming

WELL_KNOWN = "google.protobuf"
WELL_KNOWN_PACKAGE = "remotemedia.protobuf.wkt"
"""The Python package of the well-known types, which ship with the runtime."""

NATIVE = {
    f"{WELL_KNOWN}.Timestamp": "dt.datetime",
    f"{WELL_KNOWN}.Duration": "dt.timedelta",
}
WRAPPERS = {
    f"{WELL_KNOWN}.{kind}Value": kind.lower()
    for kind in (
        *("Bool", "Int32", "Int64", "UInt32", "UInt64"),
        *("Float", "Double", "String", "Bytes"),
    )
}
"""Messages that a field of their type shows as a Python value: what they wrap."""

PYTHON_TYPES = {
    "bool": "bool",
    "string": "str",
    "bytes": "bytes",
    "float": "float",
    "double": "float",
}
"""Scalars that are not int."""

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
"""Wire types of all that is not a varint."""

STRUCT_CODES = {
    "double": "d",
    "fixed64": "Q",
    "sfixed64": "q",
    "float": "f",
    "fixed32": "I",
    "sfixed32": "i",
}
"""Fixed numbers, as Python's `struct` calls them."""

FROM_VARINT = {
    "uint64": "value",
    "uint32": "value & 0xFFFF_FFFF",
    "int64": "value if value < 0x8000_0000_0000_0000 else wire.signed64(value)",
    "int32": "value if value < 0x8000_0000 else wire.signed32(value)",
    "sint64": "wire.zigzag64(value)",
    "sint32": "wire.zigzag32(value)",
    "bool": "value != 0",
}
"""What the varint `value` means to a scalar."""


@dataclass
class Module:
    """A proto file, and the Python module that is made of it."""

    file: str
    proto_package: str
    package: str
    name: str
    doc: str
    enums: list[Enum] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    imports: dict[str, Definition] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The module's dotted name."""
        return f"{self.package}.{self.name}" if self.package else self.name

    @property
    def names(self) -> list[str]:
        """Everything that the module defines for its users, sorted."""
        types = [found.name for found in (*self.enums, *self.messages)]
        services = [
            name for found in self.services for name in (found.stub, found.base)
        ]
        return sorted(types + services)

    def ref(self, definition: Definition) -> str:
        """Name a type as this module sees it, and import it if need be."""
        if definition.module is self:
            return definition.name
        name = definition.name
        # Two packages may have a type of the same name.
        while name in self.names or self.imports.get(name, definition) != definition:
            name += "_"
        self.imports[name] = definition
        return name


@dataclass(eq=False)
class Definition:
    """A message or an enum."""

    full_name: str
    name: str
    module: Module
    doc: str


@dataclass
class Member:
    """A member of an enum."""

    name: str
    number: int
    doc: str


@dataclass(eq=False)
class Enum(Definition):
    """An enum."""

    members: list[Member]

    @property
    def default(self) -> Member:
        """The member that an unset field has: in proto3 the first, and zero."""
        return self.members[0]


@dataclass(eq=False)
class Message(Definition):
    """A message, or the key and the value that a map has for an entry."""

    mixin: str | None
    fields: list[Field] = field(default_factory=list)
    oneofs: list[Oneof] = field(default_factory=list)
    is_map_entry: bool = False

    def builtin(self, name: str) -> str:
        """Name a builtin type in the class, where a field may hide it."""
        hidden = any(found.name == name for found in self.fields)
        return f"builtins.{name}" if hidden else name

    @property
    def has_lazy_fields(self) -> bool:
        """Whether reading a field can make a message."""
        return any(
            found.is_plain_message and not found.is_list and not found.oneof
            for found in self.fields
        )

    def fields_of(self, wire_type: int) -> list[Field]:
        """The fields whose single values have a wire type."""
        return [found for found in self.fields if found.wire_type == wire_type]

    @property
    def tags(self) -> list[str]:
        """The tags that its fields may come with."""
        tags = [found.tag_of(found.wire_type) for found in self.fields]
        # A repeated number may be packed or not, whatever the proto says.
        packed = [
            found.tag_of(2) for found in self.delimited_fields if found.wire_type != 2
        ]
        return tags + packed

    @property
    def delimited_fields(self) -> list[Field]:
        """The fields that may come with a length, as any packed number may."""
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
    """The type as the proto has it: `int32`, `message`, …"""
    is_list: bool
    is_packed: bool
    is_optional: bool
    oneof: Oneof | None
    type: Definition | None
    doc: str

    @property
    def entry(self) -> Message | None:
        """The key and the value, if the field is a map."""
        is_map = isinstance(self.type, Message) and self.type.is_map_entry
        return self.type if is_map else None  # type: ignore[return-value]  # checked

    @property
    def wraps(self) -> str | None:
        """The scalar that a wrapper message holds."""
        return WRAPPERS.get(self.type.full_name) if self.type else None

    @property
    def native(self) -> str | None:
        """The Python class that stands for the message."""
        return NATIVE.get(self.type.full_name) if self.type else None

    @property
    def has_presence(self) -> bool:
        """Whether being unset differs from having the default value."""
        if self.is_list or self.entry:
            return False
        return self.is_optional or self.oneof is not None or self.kind == "message"

    @property
    def is_plain_message(self) -> bool:
        """Whether a value is a message, and seen as one in Python."""
        return self.kind == "message" and not self.native and not self.wraps

    @property
    def wire_type(self) -> int:
        """The wire type of one value that is not packed."""
        return WIRE_TYPES.get(self.kind, 0)

    @property
    def fixed_code(self) -> str | None:
        """The letter that `struct` has for it, if it has a fixed width."""
        return STRUCT_CODES.get(self.kind)

    def tag_of(self, wire_type: int) -> str:
        """The tag as a number."""
        return f"0x{self.number << 3 | wire_type:02X}"

    @property
    def tag(self) -> str:
        """The tag that it is sent with, as a bytes literal."""
        tag = encode_varint(
            self.number << 3 | (2 if self.is_packed else self.wire_type)
        )
        return 'b"' + "".join(f"\\x{byte:02x}" for byte in tag) + '"'

    @property
    def encoder(self) -> str:
        """The function of `wire` that encodes one value."""
        # What Python has a type of the same name for has an underscore.
        names = {"bool": "bool_", "bytes": "blob", "float": "float_"}
        return names.get(self.kind, self.kind)

    def from_varint(self, module: Module) -> str:
        """The Python value that the varint `value` stands for, as an expression."""
        if self.kind == "enum" and self.type:
            return f"{module.ref(self.type)}._from_wire(value)"
        return FROM_VARINT[self.kind]

    @property
    def is_blob(self) -> bool:
        """Whether the constructor takes any bytes-like value."""
        return self.kind == "bytes" and not self.is_list

    @property
    def value(self) -> str:
        """The value that the constructor keeps of its argument."""
        if not self.is_blob:
            return self.name
        where = f"{self.owner.name}.{self.name}"
        return f'wire.blob({self.name}, "{where}")'

    def python_type(self, module: Module, owner: Message) -> str:
        """The type of one value, as it is written in the class of `owner`."""
        if self.native:
            return self.native
        if self.type and not self.wraps:
            return module.ref(self.type)
        return owner.builtin(PYTHON_TYPES.get(self.wraps or self.kind, "int"))

    def annotation(self, module: Module) -> str:
        """The type of the attribute."""
        owner = self.owner
        if self.entry:
            key, value = (part.python_type(module, owner) for part in self.entry.fields)
            return f"{owner.builtin('dict')}[{key}, {value}]"
        one = self.python_type(module, owner)
        if self.is_list:
            return f"{owner.builtin('list')}[{one}]"
        # A member of a oneof that is not set raises AttributeError, so it has no None.
        if self.is_optional or (self.wraps and not self.oneof):
            return f"{one} | None"
        return one

    def default(self, module: Module) -> str | None:
        """What an unset field reads as, unless that is made anew or an error."""
        if self.is_list or self.entry or self.oneof:
            return None
        if self.is_optional or self.wraps:
            return "None"
        if self.native:
            return f"native.{'EPOCH' if self.native.endswith('time') else 'NO_TIME'}"
        return None if self.kind == "message" else self.zero(module)

    def zero(self, module: Module) -> str:
        """The value that a scalar or an enum has where nothing is sent."""
        if isinstance(self.type, Enum):
            return f"{module.ref(self.type)}.{self.type.default.name}"
        zeros = {"str": '""', "bytes": 'b""', "bool": "False", "float": "0.0"}
        return zeros.get(PYTHON_TYPES.get(self.kind, "int"), "0")


@dataclass
class Service:
    """A service."""

    name: str
    stub: str
    base: str
    doc: str
    methods: list[Method]


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

    @property
    def parameter(self) -> str:
        """What the stub calls its first parameter."""
        suffix = "_iterator" if self.request_streams else ""
        return naming.parameter_name(self.request.name) + suffix

    @property
    def cardinality(self) -> str:
        """The shape of the call, as grpclib and the engine call it."""
        words = {False: "unary", True: "stream"}
        return f"{words[self.request_streams]}_{words[self.response_streams]}"
