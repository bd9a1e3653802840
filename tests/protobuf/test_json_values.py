"""Scalar values as JSON's types: what each proto type reads, refuses and writes."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest
from google.protobuf import json_format, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.protobuf import DecodeError, EncodeError
from remotemedia.protobuf.json_values import (
    KEY_READERS,
    READERS,
    SKIPPED,
    enum_reader,
    enum_writer,
    scalar_writer,
    write_key,
)
from remotemedia.protobuf.wkt import NullValue
from remotemedia.v1 import AudioFormat

RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "sfixed32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "fixed32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "sint64": (-(2**63), 2**63 - 1),
    "sfixed64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "fixed64": (0, 2**64 - 1),
}


@pytest.mark.parametrize(("kind", "limits"), RANGES.items())
def test_integers_are_read_in_their_range(kind: str, limits: tuple[int, int]) -> None:
    read = READERS[kind]
    for limit, beyond in zip(limits, (-1, 1), strict=True):
        assert read(limit) == read(str(limit)) == limit
        for value in (limit + beyond, str(limit + beyond)):
            with pytest.raises(DecodeError, match=f"must be from {limits[0]} to "):
                read(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.0, 1),
        ("1.0", 1),
        (1e2, 100),
        ("1e2", 100),
        ("-0", 0),
        ("007", 7),
        ("1E+1", 10),
    ],
)
def test_integers_are_read_in_every_notation(value: Any, number: int) -> None:
    found = READERS["int32"](value)
    assert found == number
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [
        *(
            0.5,
            math.inf,
            math.nan,
            "0.5",
            "",
            " 1",
            "1 ",
            "1_0",
            "0x1",
            "\u0661",
            "--1",
        ),
        *(True, None, [], {}, "NaN", "9" * 5000, "1e999999", b"1"),
    ],
)
@pytest.mark.parametrize("kind", ["int32", "uint64"])
def test_what_is_no_integer_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(DecodeError):
        READERS[kind](value)


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((2, 2.0), ("2.5", 2.5), ("-1e3", -1000.0), (-0.0, -0.0), ("-0", -0.0)),
        *(("Infinity", math.inf), ("-Infinity", -math.inf), ("NaN", math.nan)),
    ],
)
def test_floats_are_read_with_and_without_quotes(
    kind: str, value: Any, number: float
) -> None:
    found = READERS[kind](value)
    assert struct.pack("<d", found) == struct.pack("<d", number)


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize(
    "value",
    [
        *(math.inf, -math.inf, math.nan, 10**400, "1e400", "inf", "nan", "", " 1"),
        *("1_0", "1 ", "x", True, None, [], {}),
    ],
)
def test_what_is_no_float_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(DecodeError):
        READERS[kind](value)


def test_a_float_has_32_bits() -> None:
    assert READERS["float"](0.1) == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    with pytest.raises(DecodeError, match=r"out of range: 3\.5e\+38"):
        READERS["float"](3.5e38)


def test_bools_are_true_and_false() -> None:
    assert READERS["bool"](True) is True
    for value in (0, 1, "true", None):
        with pytest.raises(DecodeError, match="must be true or false, not"):
            READERS["bool"](value)


def test_strings_must_be_unicode() -> None:
    assert READERS["string"]("é\U0001f600") == "é\U0001f600"
    with pytest.raises(DecodeError, match="unpaired surrogate"):
        READERS["string"]("a\ud800")
    with pytest.raises(DecodeError, match="must be a string, not 5"):
        READERS["string"](5)


@given(st.binary(max_size=20))
def test_bytes_are_read_from_every_form_of_base64(data: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(data).decode()
        assert READERS["bytes"](text) == data
        assert READERS["bytes"](text.rstrip("=")) == data


@pytest.mark.parametrize("value", ["A", "AAAAA", "A.AA", "AA AA", "é", "QQ==QQ==", b""])
def test_what_is_no_base64_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="must be base64, not"):
        READERS["bytes"](value)


def test_an_enum_is_read_by_either_name_and_by_number() -> None:
    read = enum_reader(AudioFormat, skip_unknown=False)
    for value in ("AUDIO_FORMAT_I16", "I16", 2, 2.0):
        assert read(value) is AudioFormat.I16
    unknown = read(99)
    assert (unknown, unknown.name) == (99, None)
    expected = (
        "must be one of AUDIO_FORMAT_UNSPECIFIED, AUDIO_FORMAT_F32, AUDIO_FORMAT_I16, "
        "AUDIO_FORMAT_I32, or its number, not 'I17'"
    )
    with pytest.raises(DecodeError) as caught:
        read("I17")
    assert str(caught.value) == expected
    others: list[Any] = [None, 0.5, 2**31, True, []]
    for wrong in others:
        with pytest.raises(DecodeError):
            read(wrong)


def test_an_unknown_name_may_be_skipped() -> None:
    read = enum_reader(AudioFormat, skip_unknown=True)
    assert read("I17") is SKIPPED
    assert read("I16") is AudioFormat.I16
    with pytest.raises(DecodeError):
        read(0.5)


def test_null_is_the_value_of_one_enum() -> None:
    read = enum_reader(NullValue, skip_unknown=False)
    for value in (None, "NULL_VALUE", 0):
        assert read(value) is NullValue.NULL_VALUE
    assert enum_writer(NullValue, "M.f")(NullValue.NULL_VALUE) is None


def test_map_keys_are_strings_or_what_they_stand_for() -> None:
    assert KEY_READERS["bool"]("true") is KEY_READERS["bool"](True) is True
    assert KEY_READERS["bool"]("false") is KEY_READERS["bool"](False) is False
    with pytest.raises(DecodeError, match="must be 'true' or 'false', not 'True'"):
        KEY_READERS["bool"]("True")
    assert KEY_READERS["int64"]("-5") == KEY_READERS["int64"](-5) == -5
    assert [write_key(key) for key in (True, False, -5, "a")] == [
        *("true", "false", "-5", "a")
    ]


@pytest.mark.parametrize(("kind", "limits"), RANGES.items())
def test_integers_are_written_as_numbers_or_as_text(
    kind: str, limits: tuple[int, int]
) -> None:
    write = scalar_writer(kind, "M.f")
    for limit, beyond in zip(limits, (-1, 1), strict=True):
        assert write(limit) == (str(limit) if kind.endswith("64") else limit)
        with pytest.raises(EncodeError, match=r"M\.f must be from"):
            write(limit + beyond)
    with pytest.raises(TypeError, match=r"M\.f must be an int, not str"):
        write("1")
    assert type(write(AudioFormat.F32)) in (int, str)


@given(st.floats(width=32))
def test_a_float_is_written_as_the_shortest_that_is_the_same(value: float) -> None:
    written = scalar_writer("float", "M.f")(value)
    google = wrappers_pb2.FloatValue(value=value)
    # To Google, the number is that in JSON.
    assert repr(written) == repr(json_format.MessageToDict(google))


@pytest.mark.parametrize("kind", ["float", "double"])
def test_floats_that_are_no_numbers_are_written_as_text(kind: str) -> None:
    write = scalar_writer(kind, "M.f")
    written = [write(value) for value in (math.inf, -math.inf, math.nan, 1, -0.0)]
    assert repr(written) == repr(["Infinity", "-Infinity", "NaN", 1.0, -0.0])
    with pytest.raises(TypeError, match=r"M\.f must be a float, not str"):
        write("1")


def test_other_scalars_are_checked_when_they_are_written() -> None:
    assert scalar_writer("bool", "M.f")(True) is True
    assert scalar_writer("bytes", "M.f")(memoryview(b"\xff\xfe")) == "//4="
    assert scalar_writer("string", "M.f")("é") == "é"
    wrong: list[tuple[str, Any]] = [("bool", "x"), ("bytes", "x"), ("string", b"x")]
    for kind, value in wrong:
        with pytest.raises(TypeError, match=r"M\.f must be"):
            scalar_writer(kind, "M.f")(value)
    with pytest.raises(EncodeError, match=r"M\.f cannot be UTF-8"):
        scalar_writer("string", "M.f")("\ud800")


def test_an_enum_is_written_by_its_name_in_the_proto() -> None:
    write = enum_writer(AudioFormat, "M.f")
    assert write(AudioFormat.I16) == write(2) == "AUDIO_FORMAT_I16"
    assert write(AudioFormat.try_value(-7)) == write(-7) == -7
    with pytest.raises(TypeError, match=r"M\.f must be an int, not str"):
        write("I16")
    with pytest.raises(EncodeError, match=r"M\.f must be from"):
        write(2**31)
