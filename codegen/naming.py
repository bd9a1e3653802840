"""Python names for what a proto names; they are betterproto's names where possible.

betterproto's names may be keywords, hide what generated code uses, or clash with each
other. Such a name gets trailing underscores here.
"""

from __future__ import annotations

import enum
import keyword
import re
import sys

import betterproto
from betterproto.casing import snake_case
from betterproto.compile.naming import (
    pythonize_class_name,
    pythonize_field_name,
    pythonize_method_name,
)

CODEC = "_codec"
"""The module of each package that encodes and decodes its messages."""

# The modules that the body of a message class refers to, and the receiver.
_IN_MESSAGES = {"builtins", "dt", "protobuf", "self"}
# What `remotemedia.protobuf.Message` has and its base in betterproto has not. The class
# is not imported here: the generator must run even if the generated code is broken.
_FIELDS = frozenset(dir(betterproto.Message)) | _IN_MESSAGES | {"which_oneof"}
# Members are attributes of the class, beside those of its metaclass.
_MEMBERS = (
    frozenset(dir(enum.IntEnum))
    | frozenset(dir(type))
    | frozenset(dir(betterproto.Enum))
    | {"name", "value"}
)
_CALL_OPTIONS = {"self", "timeout", "deadline", "metadata"}
_CALL_OPTIONS |= {"compression", "response_metadata"}
# The modules that the body of a stub or a server base refers to.
_IN_SERVICES = {"abc", "grpc", "grpclib"}
_METHODS = (
    frozenset(dir(betterproto.ServiceStub)) | _CALL_OPTIONS | _IN_SERVICES | {"channel"}
)


class Scope:
    """Hands out names, each only once."""

    def __init__(self, taken: frozenset[str] | set[str] = frozenset()) -> None:
        self._taken = set(taken)

    def name(self, wanted: str) -> str:
        """Return `wanted`, with as many trailing underscores as make it unique."""
        while wanted in self._taken or keyword.iskeyword(wanted):
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def class_name(path: list[str]) -> str:
    """Flatten the path of a nested type: `Outer.Inner` becomes `OuterInner`."""
    return pythonize_class_name("_".join(path)) or "_"


def function_name(class_name: str) -> str:
    """Name the functions of a class: `AudioBuffer` becomes `audio_buffer`."""
    return snake_case(class_name)


def field_scope() -> Scope:
    """Return a scope for the fields of one message."""
    return Scope(_FIELDS)


def field_name(name: str) -> str:
    """Name a field: `sampleRate` becomes `sample_rate`."""
    return pythonize_field_name(name)


def json_name(name: str) -> str:
    """Return the name that protoc gives a field in JSON, if the proto gives none."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def member_prefix(enum_name: str) -> str:
    """Return what members are named after: `AUDIO_FORMAT_` of `AudioFormat`."""
    return f"{snake_case(enum_name).upper()}_"


def member_scope() -> Scope:
    """Return a scope for the members of one enum."""
    return Scope(_MEMBERS)


def member_name(name: str, enum_name: str) -> str:
    """Name a member without its enum's name: `AUDIO_FORMAT_F32` becomes `F32`."""
    name = name.removeprefix(member_prefix(enum_name))
    # A leading underscore would hide the member from type checkers.
    name = name.strip("_") or name
    return name if name.isidentifier() else f"_{name}"


def method_scope() -> Scope:
    """Return a scope for the methods of one service, in its stub and its base."""
    return Scope(_METHODS)


def method_name(name: str) -> str:
    """Name a method: `GetVersion` becomes `get_version`."""
    return pythonize_method_name(name)


def parameter_name(message: str) -> str:
    """Name a stub's parameter after the type of the message."""
    return Scope(_CALL_OPTIONS).name(snake_case(message))


def package_name(package: str) -> str:
    """Name the Python package of a proto package."""
    parts = package.split(".")
    return ".".join(
        f"{part}_" if keyword.iskeyword(part) or part == CODEC else part
        for part in parts
    )


def module_names(
    files: list[str], package: str, subpackages: set[str]
) -> dict[str, str]:
    """Name a package's modules after their files: `audio/common.proto` is `common`.

    Files of the same name in several folders keep the folders' names. A file without a
    proto package becomes a package at the top level, which must not hide a module of
    the standard library.
    """
    taken = subpackages | {"__init__", "__main__", CODEC}
    if not package:
        taken |= sys.stdlib_module_names
    scope = Scope(taken)
    stems = [_module_name(file.rpartition("/")[2]) for file in files]
    return {
        file: scope.name(stem if stems.count(stem) == 1 else _module_name(file))
        for file, stem in zip(files, stems, strict=True)
    }


def _module_name(file: str) -> str:
    name = re.sub(r"\W", "_", file.removesuffix(".proto")).lower()
    return name if name.isidentifier() else f"_{name}"
