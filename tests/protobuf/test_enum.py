"""The base class of enums: members with and without a name."""

from __future__ import annotations

import copy
import pickle

import pytest

from remotemedia.protobuf.enum import (
    Enum,
    MembersByVarint,
    members_by_name,
    names_by_number,
)
from remotemedia.v1 import AudioBuffer, AudioFormat


class Level(Enum):
    """An enum as the generator writes it, with numbers that the contract's lack."""

    __proto_name__ = "test.Level"
    __proto_prefix__ = "LEVEL_"
    __proto_names__ = {"LOUD": "THE_LOUDEST"}  # noqa: RUF012 - as generated

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


def test_a_member_has_a_name_in_python_and_in_the_proto() -> None:
    for name in ("HIGH", "LEVEL_HIGH", "LOUD", "THE_LOUDEST"):
        assert Level.from_string(name) is Level.HIGH
    with pytest.raises(ValueError, match="LEVEL_LOUD"):
        Level.from_string("LEVEL_LOUD")
    assert list(members_by_name(Level)) == [
        *("UNSPECIFIED", "HIGH", "LOUD", "LOW"),
        *("LEVEL_UNSPECIFIED", "LEVEL_HIGH", "THE_LOUDEST", "LEVEL_LOW"),
    ]
    # Of two names for a number, the first.
    assert names_by_number(Level) == {
        0: "LEVEL_UNSPECIFIED",
        7: "LEVEL_HIGH",
        -1: "LEVEL_LOW",
    }
    assert [member.name for member in Level] == ["UNSPECIFIED", "HIGH", "HIGH", "LOW"]


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
