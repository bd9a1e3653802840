"""Builds the model from the descriptors that protoc gives.

The model is built from betterproto's descriptor classes, but without the models of
betterproto's own plugin. Those tell types apart by the case of their names, guess which
messages are maps and what the defaults of enums are, write changed names back into the
descriptors, and put a whole package into one module. Each of these would have to be
overridden. The names that callers see are betterproto's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from betterproto.lib.google.protobuf import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FieldDescriptorProtoLabel,
    FieldDescriptorProtoType,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from codegen import naming
from codegen.mixins import MIXINS
from codegen.model import (
    WELL_KNOWN,
    WELL_KNOWN_PACKAGE,
    WIRE_TYPES,
    Definition,
    Enum,
    Field,
    Member,
    Message,
    Method,
    Module,
    Oneof,
    Service,
)

if TYPE_CHECKING:
    from betterproto.lib.google.protobuf.compiler import CodeGeneratorRequest

    Path = tuple[int, ...]
    """A position in a file's descriptor, in field numbers and indices."""


class UnsupportedError(Exception):
    """A proto file uses a feature that the generator does not support."""


def build(request: CodeGeneratorRequest) -> list[Module]:
    """Build the modules of the files to generate.

    Raises:
        UnsupportedError: A file is not proto3, or uses a type of one that is not.
    """
    files = request.proto_file
    for file in files:
        if file.name in request.file_to_generate and file.syntax != "proto3":
            raise UnsupportedError(
                f"{file.name}: only proto3 is supported, "
                f"and this file is {file.syntax or 'proto2'}"
            )
    builder = _Builder([file for file in files if file.syntax == "proto3"])
    return [builder.modules[name] for name in sorted(request.file_to_generate)]


class _Builder:
    """Builds all types first, and then the fields and services that refer to them."""

    def __init__(self, files: list[FileDescriptorProto]) -> None:
        self.modules: dict[str, Module] = {}
        self._types: dict[str, Definition] = {}
        self._scopes: defaultdict[str, naming.Scope] = defaultdict(naming.Scope)
        self._messages: list[tuple[Message, DescriptorProto, Comments, Path]] = []
        self._add_modules(files)
        in_order = sorted(files, key=lambda file: file.name)
        comments = {file.name: Comments(file) for file in in_order}
        for file in in_order:
            self._add_types(file, comments[file.name])
        for message, descriptor, remarks, path in self._messages:
            self._add_fields(message, descriptor, remarks, path)
        for file in in_order:
            for index, service in enumerate(file.service):
                self._add_service(file, service, comments[file.name], (6, index))

    def _add_modules(self, files: list[FileDescriptorProto]) -> None:
        files_of = defaultdict(list)
        for file in files:
            files_of[python_package(file.package)].append(file)
        for package, found in files_of.items():
            prefix = f"{package}." if package else ""
            subpackages = {
                other.removeprefix(prefix).partition(".")[0]
                for other in files_of
                if other.startswith(prefix) and other != package
            }
            names = naming.module_names(
                sorted(file.name for file in found), package, subpackages
            )
            for file in found:
                name = names[file.name]
                self.modules[file.name] = Module(
                    # A file without a proto package becomes a package of its own.
                    package or name,
                    name,
                    file.name,
                    file.package,
                    Comments(file).of((12,), (2,)),
                )

    def _add_types(self, file: FileDescriptorProto, comments: Comments) -> None:
        module = self.modules[file.name]
        scope = self._scopes[module.package]
        prefix = f"{file.package}." if file.package else ""

        def add_enum(found: EnumDescriptorProto, outer: list[str], path: Path) -> None:
            names = [*outer, found.name]
            name = scope.name(naming.class_name(names))
            members = naming.member_scope()
            enum = Enum(
                prefix + ".".join(names),
                name,
                module,
                comments.of(path),
                [
                    Member(
                        members.name(naming.member_name(value.name, name)),
                        value.number,
                        comments.of((*path, 2, index)),
                        value.name,
                    )
                    for index, value in enumerate(found.value)
                ],
            )
            self._types[enum.full_name] = enum
            module.enums.append(enum)

        def add_message(found: DescriptorProto, outer: list[str], path: Path) -> None:
            names = [*outer, found.name]
            full_name = prefix + ".".join(names)
            is_entry = found.options.map_entry
            message = Message(
                full_name,
                # An entry is not a class; its name is that of its codec's functions.
                naming.class_name(names)
                if is_entry
                else scope.name(naming.class_name(names)),
                module,
                comments.of(path),
                MIXINS.get(full_name),
                is_map_entry=is_entry,
            )
            self._types[full_name] = message
            self._messages.append((message, found, comments, path))
            if not is_entry:
                module.messages.append(message)
            for index, enum in enumerate(found.enum_type):
                add_enum(enum, names, (*path, 4, index))
            for index, nested in enumerate(found.nested_type):
                add_message(nested, names, (*path, 3, index))

        for index, enum in enumerate(file.enum_type):
            add_enum(enum, [], (5, index))
        for index, message in enumerate(file.message_type):
            add_message(message, [], (4, index))

    def _add_fields(
        self,
        message: Message,
        descriptor: DescriptorProto,
        comments: Comments,
        path: Path,
    ) -> None:
        scope = naming.field_scope()
        oneofs = [
            Oneof(found.name, comments.of((*path, 8, index)))
            for index, found in enumerate(descriptor.oneof_decl)
        ]
        for index, found in enumerate(descriptor.field):
            oneof = None
            # protoc puts each `optional` field into a oneof that is not in the proto.
            if found.is_set("oneof_index") and not found.proto3_optional:
                oneof = oneofs[found.oneof_index]
            is_list = found.label == FieldDescriptorProtoLabel.LABEL_REPEATED
            described = Field(
                message,
                scope.name(naming.field_name(found.name)),
                found.number,
                _kind(found),
                is_list,
                is_list and _is_packed(found),
                found.proto3_optional,
                oneof,
                self._type(found.type_name, message) if found.type_name else None,
                comments.of((*path, 2, index)),
                found.name,
                found.json_name,
            )
            if described.entry:
                described.is_list = False
            message.fields.append(described)
            if oneof:
                oneof.members.append(described)
        message.oneofs = [oneof for oneof in oneofs if oneof.members]

    def _add_service(
        self,
        file: FileDescriptorProto,
        service: ServiceDescriptorProto,
        comments: Comments,
        path: Path,
    ) -> None:
        module = self.modules[file.name]
        scope = self._scopes[module.package]
        full_name = f"{file.package}.{service.name}".lstrip(".")
        names = naming.method_scope()

        def method(found: MethodDescriptorProto, path: Path) -> Method:
            return Method(
                names.name(naming.method_name(found.name)),
                f"/{full_name}/{found.name}",
                self._message(found.input_type, full_name),
                self._message(found.output_type, full_name),
                found.client_streaming,
                found.server_streaming,
                comments.of(path),
            )

        name = naming.class_name([service.name])
        module.services.append(
            Service(
                full_name,
                scope.name(f"{name}Stub"),
                scope.name(f"{name}Base"),
                comments.of(path),
                [
                    method(found, (*path, 2, index))
                    for index, found in enumerate(service.method)
                ],
            )
        )

    def _type(self, name: str, user: Message | str) -> Definition:
        try:
            return self._types[name.removeprefix(".")]
        except KeyError:
            place = user if isinstance(user, str) else user.full_name
            raise UnsupportedError(
                f"{place} uses {name.removeprefix('.')}, which is not proto3"
            ) from None

    def _message(self, name: str, user: str) -> Message:
        found = self._type(name, user)
        assert isinstance(found, Message), name  # noqa: S101 - protoc checks it
        return found


def python_package(package: str) -> str:
    """Return the Python package that a proto package becomes."""
    return WELL_KNOWN_PACKAGE if package == WELL_KNOWN else naming.package_name(package)


def _kind(found: FieldDescriptorProto) -> str:
    name = FieldDescriptorProtoType(found.type).name or ""
    return name.removeprefix("TYPE_").lower()


def _is_packed(found: FieldDescriptorProto) -> bool:
    if WIRE_TYPES.get(_kind(found)) == 2:
        return False
    # In proto3 a repeated number is packed unless it says that it is not.
    return not found.options.is_set("packed") or found.options.packed


class Comments:
    """The comments of a file, by their positions in the descriptor."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._texts = {
            tuple(place.path): [place.leading_comments, place.trailing_comments]
            for place in file.source_code_info.location
            # The comments of the well-known types are long, and under Google's licence.
            if file.package != WELL_KNOWN
        }

    def of(self, *paths: Path) -> str:
        """Return the comments before and after the definitions, as paragraphs."""
        return "\n\n".join(
            paragraph
            for path in paths
            for text in self._texts.get(path, ())
            if (paragraph := _paragraph(text))
        )


def _paragraph(comment: str) -> str:
    lines = comment.strip().splitlines()
    return "\n".join(line.removeprefix(" ").rstrip() for line in lines)
