"""The base class of enums: members with and without a name."""

from __future__ import annotations

import copy
import pickle

import pytest

from remotemedia.protobuf.enum import Enum, MembersByVarint
from remotemedia.v1 import AudioBuffer, AudioFormat


class Level(Enum):
    """An enum as the generator writes it, with numbers that the contract's lack."""

    UNSPECIFIED = 0
    HIGH = 7
    LOUD = 7
    LOW = -1


def test_named_members_stay_the_same_objects() -> None:
    for member in (AudioFormat.F32, AudioFormat.UNSPECIFIED):
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.deepcopy(member) is member


def test_a_number_without_a_name_is_a_nameless_member() -> None:
    nameless = AudioFormat.try_value(-9)
    again = pickle.loads(pickle.dumps(nameless))
    for member in (nameless, again, copy.deepcopy(nameless)):
        assert isinstance(member, AudioFormat)
        assert (int(member), member.value) == (-9, -9)
        assert member.name is None


def test_decoding_keeps_a_number_without_a_name() -> None:
    buffer = AudioBuffer(format=AudioFormat.try_value(-9))
    decoded = AudioBuffer.FromString(bytes(buffer)).format
    assert isinstance(decoded, AudioFormat)
    assert int(decoded) == -9
    assert decoded.name is None
    buffer = AudioBuffer(format=AudioFormat.I16)
    assert AudioBuffer.FromString(bytes(buffer)).format is AudioFormat.I16


def test_a_name_is_found_or_an_error() -> None:
    assert Level.from_string("LOUD") is Level.HIGH
    with pytest.raises(ValueError, match="QUIET"):
        Level.from_string("QUIET")


@pytest.mark.parametrize(
    ("varint", "member"),
    [
        (0, Level.UNSPECIFIED),
        (7, Level.HIGH),
        (2**64 - 1, Level.LOW),
        # Only the low 32 bits of the varint count.
        (2**32 - 1, Level.LOW),
        (2**32 + 7, Level.HIGH),
    ],
)
def test_a_varint_gives_the_member(varint: int, member: Level) -> None:
    members = MembersByVarint(Level)
    assert members[varint] is member
    # A member with a name is found without calling a Python function.
    assert len(members) == 3
    assert dict.get(members, int(member) % 2**64) is member


@pytest.mark.parametrize(
    ("varint", "number"),
    [(8, 8), (2**31, -(2**31)), (2**64 - 2, -2), (2**32 + 9, 9)],
)
def test_a_varint_without_a_member_gives_a_nameless_one(
    varint: int, number: int
) -> None:
    members = MembersByVarint(Level)
    found = members[varint]
    assert isinstance(found, Level)
    assert int(found) == number
    assert found.name is None
    # Hostile data must not fill the memory with members.
    assert varint not in members
