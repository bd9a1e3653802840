"""Builds the model from the descriptors that protoc gives.

The model is not that of betterproto's plugin. That one tells types apart by the case of
their names, guesses which messages are maps and what the defaults of enums are, writes
changed names back into the descriptors, and puts a whole package into one module. The
names that callers see are betterproto's.

Only what is needed is built: the files to generate, and the files whose types they use.
A file that is imported for its options alone is not needed.

Messages of proto2, and of editions, can be carried: they become classes without fields,
which keep what they receive. No other type of such a file can be used.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from . import naming
from .mixins import MIXINS
from .model import (
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
from .protoc import BUNDLED_FILES, WELL_KNOWN_FILES

if TYPE_CHECKING:
    from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FileDescriptorProto,
        ServiceDescriptorProto,
    )

    from .options import Options

    Path = tuple[int, ...]
    """A position in a file's descriptor, in field numbers and indices."""


class UnsupportedError(Exception):
    """A proto file uses a feature that the generator does not support."""


def build(request: CodeGeneratorRequest, options: Options) -> list[Module]:
    """Build the modules of the files to generate, and of those whose types they use.

    The modules are sorted by the names of their files.

    Raises:
        UnsupportedError: A file to generate is not proto3, or a file uses a type in a
            way that only proto3 allows.
    """
    files = {file.name: file for file in request.proto_file}
    requested = [
        name
        for name in request.file_to_generate
        if options.external_prefix(name) is None
    ]
    _check_syntax(files, requested)
    builder = _Builder(files, options)
    for name in requested:
        if _is_proto3(files[name]):
            builder.need(builder.modules[name])
    return builder.finish()


def _is_proto3(file: FileDescriptorProto) -> bool:
    return file.syntax == "proto3"


def _check_syntax(files: dict[str, FileDescriptorProto], requested: list[str]) -> None:
    """Refuse a file that is not proto3, unless another file imports it.

    What such an import needs of it is found when the types are built.
    """
    imported = {name for file in files.values() for name in file.dependency}
    for name in requested:
        file = files[name]
        # Extensions, which have no code, are all that a file of options needs.
        has_code = file.message_type or file.enum_type or file.service
        if _is_proto3(file) or not has_code:
            continue
        if name not in imported or file.service:
            raise UnsupportedError(
                f"{name}: only proto3 is supported, "
                f"and this file is {file.syntax or 'proto2'}"
            )


class _Builder:
    """Names all types first, and then builds what is needed, file by file."""

    def __init__(self, files: dict[str, FileDescriptorProto], options: Options) -> None:
        self.modules: dict[str, Module] = {}
        self._files = files
        self._options = options
        self._types: dict[str, Definition] = {}
        self._scopes: dict[str, naming.Scope] = {}
        self._descriptors: defaultdict[str, list[tuple[Message, DescriptorProto]]]
        self._descriptors = defaultdict(list)
        self._needed: dict[str, Module] = {}
        self._waiting: list[Module] = []
        self._add_modules()
        in_order = [files[name] for name in sorted(files)]
        for file in in_order:
            self._add_types(file)
        for file in in_order:
            self._add_services(file)

    def need(self, module: Module) -> None:
        """Note that a module is to be generated."""
        if module.file not in self._needed and not module.is_external:
            self._needed[module.file] = module
            self._waiting.append(module)

    def finish(self) -> list[Module]:
        """Build all modules that are needed, and return them."""
        while self._waiting:
            self._build(self._waiting.pop())
        modules = [self._needed[name] for name in sorted(self._needed)]
        for module in modules:
            module.messages.sort(key=lambda message: message.path)
        return modules

    # --- what everything is called ------------------------------------------------

    def _add_modules(self) -> None:
        files_of = defaultdict(list)
        for file in self._files.values():
            files_of[self._python_package(file)].append(file.name)
        subpackages = defaultdict(set)
        for package in filter(None, files_of):
            parts = package.split(".")
            for index, part in enumerate(parts):
                subpackages[".".join(parts[:index])].add(part)
        ranks = {name: rank for rank, name in enumerate(_in_order(self._files))}
        for package, names in files_of.items():
            place = package or self._options.package_prefix
            modules = naming.module_names(sorted(names), package, subpackages[place])
            for path, name in modules.items():
                # A file without a proto package becomes a package of its own.
                own = f"{place}.{name}" if place else name
                self.modules[path] = Module(
                    package or own,
                    name,
                    self._options.relative_imports,
                    path,
                    self._files[path].package,
                    self._is_external(path),
                    ranks[path],
                )
                taken = {*modules.values(), *subpackages[package]} if package else name
                self._scopes.setdefault(package or own, naming.Scope(set(taken)))

    def _python_package(self, file: FileDescriptorProto) -> str:
        """Return the Python package of a file; it is empty if the proto has none."""
        if not file.package or file.package == WELL_KNOWN:
            return WELL_KNOWN_PACKAGE if file.package else ""
        renamed = self._options.packages.get(file.package)
        if renamed is not None:
            return renamed
        package = naming.package_name(file.package)
        external = self._options.external_prefix(file.name)
        prefix = self._options.package_prefix if external is None else external
        if prefix:
            return f"{prefix}.{package}"
        is_runtime = self._options.owns_runtime and package.startswith("remotemedia.")
        is_inside = self._options.relative_imports or is_runtime
        return package if is_inside else naming.visible(package)

    def _is_external(self, file: str) -> bool:
        if file in WELL_KNOWN_FILES:
            return not self._options.owns_runtime
        return self._options.external_prefix(file) is not None

    def _add_types(self, file: FileDescriptorProto) -> None:
        module = self.modules[file.name]
        scope = self._scopes[module.package]
        prefix = f"{file.package}." if file.package else ""
        is_proto3 = _is_proto3(file)

        def add_enum(found: EnumDescriptorProto, outer: list[str], path: Path) -> None:
            names = [*outer, found.name]
            full_name = prefix + ".".join(names)
            name = scope.name(naming.class_name(names))
            enum = Enum(full_name, name, module, path, found.options.deprecated)
            members = naming.member_scope()
            for index, value in enumerate(found.value):
                enum.members.append(
                    Member(
                        members.name(naming.member_name(value.name, name)),
                        value.number,
                        value.name,
                        (*path, 2, index),
                        value.options.deprecated,
                    )
                )
            self._types[full_name] = enum
            module.enums.append(enum)

        def add_message(found: DescriptorProto, outer: list[str], path: Path) -> None:
            names = [*outer, found.name]
            full_name = prefix + ".".join(names)
            name = naming.class_name(names)
            is_entry = found.options.map_entry
            message = Message(
                full_name,
                # An entry is not a class; its name is that of its codec's functions.
                name if is_entry else scope.name(name),
                module,
                path,
                found.options.deprecated,
                MIXINS.get(module.package, {}).get(".".join(names)),
                is_map_entry=is_entry,
                is_carried=not is_proto3,
            )
            self._types[full_name] = message
            self._descriptors[file.name].append((message, found))
            if is_proto3:
                # What can only be carried is added once it is used.
                if not is_entry:
                    module.messages.append(message)
                for index, enum in enumerate(found.enum_type):
                    add_enum(enum, names, (*path, 4, index))
            for index, nested in enumerate(found.nested_type):
                add_message(nested, names, (*path, 3, index))

        if is_proto3:
            for index, enum in enumerate(file.enum_type):
                add_enum(enum, [], (5, index))
        for index, message in enumerate(file.message_type):
            add_message(message, [], (4, index))

    def _add_services(self, file: FileDescriptorProto) -> None:
        module = self.modules[file.name]
        scope = self._scopes[module.package]
        for index, service in enumerate(file.service):
            name = naming.class_name([service.name])
            module.services.append(
                Service(
                    f"{file.package}.{service.name}".lstrip("."),
                    scope.name(f"{name}Stub"),
                    scope.name(f"{name}Base"),
                    (6, index),
                    service.options.deprecated,
                )
            )

    # --- what everything is made of -----------------------------------------------

    def _build(self, module: Module) -> None:
        file = self._files[module.file]
        places = Places(file)
        module.doc = places.doc((12,), (2,))
        module.is_deprecated = file.options.deprecated
        for enum in module.enums:
            enum.doc, enum.line = places.doc(enum.path), places.line(enum.path)
            for member in enum.members:
                member.doc = places.doc(member.path)
        for message, descriptor in self._descriptors[module.file]:
            message.doc = places.doc(message.path)
            message.line = places.line(message.path)
            if not message.is_carried:
                self._add_fields(message, descriptor, places)
        for service, found in zip(module.services, file.service, strict=True):
            service.doc = places.doc(service.path)
            service.line = places.line(service.path)
            self._add_methods(service, found, places)

    def _add_fields(
        self, message: Message, descriptor: DescriptorProto, places: Places
    ) -> None:
        scope = naming.field_scope()
        oneofs = [
            Oneof(found.name, places.doc((*message.path, 8, index)))
            for index, found in enumerate(descriptor.oneof_decl)
        ]
        for index, found in enumerate(descriptor.field):
            path = (*message.path, 2, index)
            oneof = None
            # protoc puts each `optional` field into a oneof that is not in the proto.
            if found.HasField("oneof_index") and not found.proto3_optional:
                oneof = oneofs[found.oneof_index]
            is_list = found.label == FieldDescriptorProto.LABEL_REPEATED
            user = f"{message.full_name}.{found.name}"
            described = Field(
                message,
                scope.name(naming.field_name(found.name)),
                found.number,
                _kind(found),
                is_list,
                is_list and _is_packed(found),
                found.proto3_optional,
                oneof,
                self._type(found.type_name, user, places.at(path))
                if found.type_name
                else None,
                places.doc(path),
                found.name,
                found.json_name,
                found.options.deprecated,
            )
            if described.entry:
                described.is_list = False
            message.fields.append(described)
            if oneof:
                oneof.members.append(described)
        message.oneofs = [oneof for oneof in oneofs if oneof.members]

    def _add_methods(
        self, service: Service, descriptor: ServiceDescriptorProto, places: Places
    ) -> None:
        names = naming.method_scope()
        for index, found in enumerate(descriptor.method):
            path = (*service.path, 2, index)
            user = f"{service.full_name}.{found.name}"
            request, response = (
                self._type(name, user, places.at(path))
                for name in (found.input_type, found.output_type)
            )
            assert isinstance(request, Message)  # noqa: S101 - protoc checks it
            assert isinstance(response, Message)  # noqa: S101
            service.methods.append(
                Method(
                    names.name(naming.method_name(found.name)),
                    f"/{service.full_name}/{found.name}",
                    request,
                    response,
                    found.client_streaming,
                    found.server_streaming,
                    places.doc(path),
                    found.options.deprecated or service.is_deprecated,
                )
            )

    def _type(self, name: str, user: str, where: str) -> Definition:
        """Return a type that a field or a method uses, and generate its module, too."""
        name = name.removeprefix(".")
        found = self._types.get(name)
        if found is None:
            raise UnsupportedError(
                f"{where}: {user} uses {name}, an enum that is not proto3; "
                "only messages of other versions can be used, and only carried"
            )
        module = found.module
        if isinstance(found, Message) and found.is_carried:
            if module.file in BUNDLED_FILES or module.is_external:
                raise UnsupportedError(
                    f"{where}: {user} uses {name}, which is not proto3 and is in a "
                    "file that is not generated; a field of type bytes can hold it"
                )
            if found not in module.messages:
                module.messages.append(found)
        self.need(module)
        return found


def _in_order(files: dict[str, FileDescriptorProto]) -> list[str]:
    """Return the names of the files, each after those that it imports."""
    order: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(files):
        order.add(name, *sorted(files[name].dependency))
    return list(order.static_order())


def _kind(found: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(found.type).removeprefix("TYPE_").lower()


def _is_packed(found: FieldDescriptorProto) -> bool:
    if WIRE_TYPES.get(_kind(found)) == 2:
        return False
    # In proto3 a repeated number is packed unless it says that it is not.
    return not found.options.HasField("packed") or found.options.packed


class Places:
    """Where the definitions of a file stand, and the comments at them."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file.name
        self._places = {
            tuple(place.path): place for place in file.source_code_info.location
        }
        # The comments of the well-known types are long, and under Google's licence.
        self._has_docs = file.package != WELL_KNOWN

    def line(self, path: Path) -> int:
        """Return the line on which a definition begins."""
        place = self._places.get(path)
        return place.span[0] + 1 if place else 0

    def at(self, path: Path) -> str:
        """Return the file and the line of a definition, as compilers write it."""
        return f"{self._file}:{self.line(path)}"

    def doc(self, *paths: Path) -> str:
        """Return the comments before and after the definitions, as paragraphs."""
        if not self._has_docs:
            return ""
        found = [self._places[path] for path in paths if path in self._places]
        texts = [
            _paragraph(text)
            for place in found
            for text in (place.leading_comments, place.trailing_comments)
        ]
        return "\n\n".join(filter(None, texts))


def _paragraph(comment: str) -> str:
    """Return a comment without the indentation that all its lines have in common."""
    # A star is what remains of `/**`, with which other languages begin documentation.
    lines = comment.removeprefix("*").expandtabs(4).split("\n")
    text = "\n".join(line.removeprefix(" ").rstrip() for line in lines)
    return textwrap.dedent(text).strip("\n")
