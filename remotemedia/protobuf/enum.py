"""The base class of generated enums, and how their members are found when decoding.

Enums of proto3 are open: a message may hold a number that has no name, for example one
that a newer version of the contract added. Such a number is kept as a member whose
name is `None`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import betterproto

from remotemedia.protobuf import wire

if TYPE_CHECKING:
    from typing_extensions import Self

    class Enum(enum.IntEnum):
        """An enum of a proto; a number without a name is kept as a nameless member."""

        @classmethod
        def try_value(cls, value: int = 0) -> Self:
            """Return the member with that number; its name may be `None`."""
            ...

        @classmethod
        def from_string(cls, name: str) -> Self:
            """Return the member of that name.

            Raises:
                ValueError: There is none.
            """
            ...

else:
    # To type checkers an `enum.IntEnum`, whose members they know how to check. At run
    # time it is betterproto's own class, made able to pickle nameless members.

    class Enum(betterproto.Enum):
        """An enum of a proto; a number without a name is kept as a nameless member."""

        def __reduce__(self):
            return type(self).try_value, (int(self),)


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
