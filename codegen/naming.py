"""Python names for what a proto names; they are betterproto's names where possible.

A proto may use any name that protoc accepts. betterproto's name for it may be no
identifier, be a keyword, hide what generated code uses, or clash with another name.
Such a name gets trailing underscores here, or a word in front.

The names depend on the protos alone, and not on the version of Python: the sets of
taken names that Python could extend are completed by hand.
"""

from __future__ import annotations

import keyword
import re
import sys
from collections import Counter

import betterproto
from betterproto.casing import snake_case
from betterproto.compile.naming import (
    pythonize_class_name,
    pythonize_field_name,
    pythonize_method_name,
)

CODEC = "_codec"
"""The module of each package that encodes and decodes its messages."""

_SPECIAL_MODULES = {"__init__", "__main__", "__pycache__", CODEC}

# What generated code imports, directly or not. A package of the same name at the top
# level would hide it.
_RUNTIME = {
    *("remotemedia", "betterproto", "grpclib", "h2", "hpack", "hyperframe"),
    *("multidict", "numpy", "dateutil", "six", "typing_extensions"),
}
# Modules that not every supported Python has.
_STANDARD_LIBRARY = sys.stdlib_module_names | {
    *("aifc", "annotationlib", "asynchat", "asyncore", "audioop", "cgi", "cgitb"),
    *("chunk", "compression", "crypt", "distutils", "imghdr", "imp", "lib2to3"),
    *("mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd"),
    *("sndhdr", "spwd", "sunau", "telnetlib", "tomllib", "uu", "xdrlib"),
}
HIDING = frozenset(_RUNTIME | _STANDARD_LIBRARY)
"""Names that no generated package may have at the top level."""

# The modules that the body of a message class refers to, and the receiver.
_IN_MESSAGES = {"builtins", "dt", "protobuf", "self"}
# What `remotemedia.protobuf.Message` has and its base in betterproto has not. The class
# is not imported here: the generator must run even if the generated code is broken.
_FIELDS = frozenset(dir(betterproto.Message)) | _IN_MESSAGES | {"which_oneof"}
# Members are attributes of the class, beside those of its metaclass.
_MEMBERS = (
    frozenset(dir(int))
    | frozenset(dir(betterproto.Enum))
    | {"is_integer", "mro", "name", "value"}
)
_CALL_OPTIONS = {"self", "timeout", "deadline", "metadata"}
_CALL_OPTIONS |= {"compression", "response_metadata"}
# The modules that the body of a stub or a server base refers to. A stub has no other
# names that a method could have.
_METHODS = {"abc", "builtins", "grpc", "grpclib", "typing_extensions"}


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
    name = pythonize_class_name("_".join(path))
    # Nothing may be left of a name, as of `_`, or only digits. A leading underscore
    # would not do: a field can be called `_1`, but none begins with a capital letter.
    return name if name.isidentifier() else f"Type{name}"


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
        f"{part}_" if keyword.iskeyword(part) or part in _SPECIAL_MODULES else part
        for part in parts
    )


def visible(package: str) -> str:
    """Rename a package at the top level that would hide a library."""
    top, dot, rest = package.partition(".")
    return f"{top}_{dot}{rest}" if top in HIDING else package


def module_names(
    files: list[str], package: str, subpackages: set[str]
) -> dict[str, str]:
    """Name a package's modules after their files: `audio/common.proto` is `common`.

    Files of the same name in several folders keep the folders' names. A file without a
    proto package becomes a package at the top level, which must hide no library.
    """
    taken = subpackages | _SPECIAL_MODULES
    if not package:
        taken |= HIDING
    scope = Scope(taken)
    stems = {file: _module_name(file.rpartition("/")[2]) for file in files}
    count = Counter(stems.values())
    return {
        file: scope.name(stem if count[stem] == 1 else _module_name(file))
        for file, stem in stems.items()
    }


def _module_name(file: str) -> str:
    name = re.sub(r"\W", "_", file.removesuffix(".proto")).lower()
    return name if name.isidentifier() else f"_{name}"
