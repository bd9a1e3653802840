"""Python names for what a proto names, as stock betterproto has them where it can.

Stock names may be keywords, hide what generated code uses, or clash. Such a name
gets trailing underscores here.
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

# Module names that a class body and an `__init__` refer to, and the receiver.
_MODULES = {"builtins", "dt", "native", "proto", "wire"}
# The bases in `remotemedia` have no more public names than betterproto's have. They
# are not asked for theirs: the generator must run where what it generates is broken.
_FIELDS = frozenset(dir(betterproto.Message)) | _MODULES | {"self"}
# Members live on the enum's metaclass, beside the methods of any class.
_MEMBERS = (
    frozenset(dir(enum.IntEnum))
    | frozenset(dir(type))
    | frozenset(dir(betterproto.Enum))
    | {"name", "value"}
)
_CALL_OPTIONS = {"self", "timeout", "deadline", "metadata"}
_METHODS = frozenset(dir(betterproto.ServiceStub)) | _CALL_OPTIONS | {"channel"}


class Scope:
    """Gives out names, each only once."""

    def __init__(self, taken: frozenset[str] | set[str] = frozenset()) -> None:
        self._taken = set(taken)

    def name(self, wanted: str) -> str:
        """Return `wanted`, with as many underscores behind it as make it free."""
        while wanted in self._taken or keyword.iskeyword(wanted):
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def class_name(path: list[str]) -> str:
    """Flatten the path of a nested type: `Outer.Inner` becomes `OuterInner`."""
    return pythonize_class_name("_".join(path)) or "_"


def field_scope() -> Scope:
    """Names for the fields of one message."""
    return Scope(_FIELDS)


def field_name(name: str) -> str:
    """`sampleRate` becomes `sample_rate`."""
    return pythonize_field_name(name)


def member_scope() -> Scope:
    """Names for the members of one enum."""
    return Scope(_MEMBERS)


def member_name(name: str, enum_name: str) -> str:
    """Cut the enum's own name off the front: `AUDIO_FORMAT_F32` becomes `F32`."""
    name = name.removeprefix(f"{snake_case(enum_name).upper()}_")
    # A leading underscore would hide the member from type checkers.
    name = name.strip("_") or name
    return name if name.isidentifier() else f"_{name}"


def method_scope() -> Scope:
    """Names for the methods of one service, in its stub and in its base."""
    return Scope(_METHODS)


def method_name(name: str) -> str:
    """`GetVersion` becomes `get_version`."""
    return pythonize_method_name(name)


def parameter_name(message: str) -> str:
    """Name a stub's parameter after the message that it takes."""
    return Scope(_CALL_OPTIONS).name(snake_case(message))


def package_name(package: str) -> str:
    """Name the Python package of a proto package."""
    return ".".join(
        f"{part}_" if keyword.iskeyword(part) else part for part in package.split(".")
    )


def module_names(
    files: list[str], package: str, subpackages: set[str]
) -> dict[str, str]:
    """Name a package's modules as their files: `audio/common.proto` is `common`.

    Files of one name in several folders keep their folders' names. A module without
    a package must not hide one of the standard library.
    """
    taken = subpackages | {"__init__", "__main__"}
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
