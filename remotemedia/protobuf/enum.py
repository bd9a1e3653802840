"""The base class of generated enums, and how their members are found when decoding.

Enums of proto3 are open: a message may hold a number that has no name, for example one
that a newer version of the contract added. Such a number is kept as a member whose
name is `None`.

A member has two names. In Python the enum's name is left out: `AudioFormat.F32` is
`AUDIO_FORMAT_F32` in the proto. JSON has the proto's name, and is read with either.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import TYPE_CHECKING, Any

import betterproto

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from typing import ClassVar

    from typing_extensions import Self

    class Enum(enum.IntEnum):
        """An enum of a proto; a number without a name is kept as a nameless member.

        Attributes:
            __proto_name__: The enum's full name in the proto.
            __proto_prefix__: What the members' names in the proto begin with, and their
                names in Python do not.
            __proto_names__: The names in the proto of the members whose name there is
                not the prefix and the name in Python.
        """

        __proto_name__: ClassVar[str]
        __proto_prefix__: ClassVar[str]
        __proto_names__: ClassVar[dict[str, str]]

        @classmethod
        def try_value(cls, value: int = 0) -> Self:
            """Return the member with that number; its name may be `None`."""
            ...

        @classmethod
        def from_string(cls, name: str) -> Self:
            """Return the member of that name, in Python or in the proto.

            Raises:
                ValueError: There is none.
            """
            ...

else:
    # To type checkers an `enum.IntEnum`, whose members they know how to check. At run
    # time it is betterproto's own class, made able to pickle nameless members.

    class Enum(betterproto.Enum):
        """An enum of a proto; a number without a name is kept as a nameless member."""

        __proto_name__ = ""
        __proto_prefix__ = ""
        __proto_names__ = {}  # noqa: RUF012 - the classes of enums are immutable

        def __reduce__(self):
            return type(self).try_value, (int(self),)

        @classmethod
        def from_string(cls, name):
            """Return the member of that name, in Python or in the proto."""
            member = members_by_name(cls).get(name)
            return super().from_string(name) if member is None else member


@cache
def members_by_name(enum_class: type[Enum]) -> dict[str, Enum]:
    """Return the members by their names in the proto and in Python.

    A name that both have, for different members, is that of the proto.
    """
    members = dict(enum_class.__members__)
    return members | {
        _proto_name(enum_class, name): member for name, member in members.items()
    }


@cache
def names_by_number(enum_class: type[Enum]) -> dict[int, str]:
    """Return the names in the proto by number; of several names, the first."""
    names: dict[int, str] = {}
    for name, member in enum_class.__members__.items():
        names.setdefault(int(member), _proto_name(enum_class, name))
    return names


def _proto_name(enum_class: type[Enum], name: str) -> str:
    exceptions = enum_class.__proto_names__
    return exceptions.get(name, f"{enum_class.__proto_prefix__}{name}")


class MembersByVarint(dict[int, Any]):
    """The members of an enum, by the varint that stands for each on the wire.

    Looking up a member calls no Python function. That is why decoders use this instead
    of `try_value`. A varint without a member gives a nameless one, which is not stored:
    hostile data must not fill the memory.
    """

    def __init__(self, enum_class: type[Enum]) -> None:
        super().__init__(
            (int(member) & 0xFFFF_FFFF_FFFF_FFFF, member) for member in enum_class
        )
        self._enum_class = enum_class

    def __missing__(self, value: int) -> Enum:
        return self._enum_class.try_value(wire.signed32(value))
