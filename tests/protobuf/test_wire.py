"""Scalar values on the wire, compared with Google's encoder."""

from __future__ import annotations

import array
import pickle
from typing import Any

import numpy as np
import pytest
from google.protobuf.internal import encoder
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import varint
from remotemedia.protobuf import wire

UINT64 = st.integers(0, 2**64 - 1) | st.sampled_from([2**n for n in range(64)])


@given(UINT64)
def test_a_varint_equals_googles_and_is_read_back(value: int) -> None:
    encoded = wire.varint(value)
    assert encoded == encoder._VarintBytes(value)  # type: ignore[attr-defined]  # internal
    assert wire.read_varint(b"x" + encoded + b"x", 1) == (value, 1 + len(encoded))


EDGES = [0, 1, *(2**bits + step for bits in range(7, 63, 7) for step in (-1, 0, 1))]
"""Numbers around those where a varint takes one byte more."""


@pytest.mark.parametrize("value", EDGES)
def test_unsigned_numbers_are_varints(value: int) -> None:
    encoded = encoder._VarintBytes(value)  # type: ignore[attr-defined]  # internal
    assert wire.varint(value) == encoded
    assert wire.uint64(value, "M.f") == encoded
    assert wire.int64(value, "M.f") == encoded
    assert wire.read_varint(encoded + b"\x01", 0) == (value, len(encoded))
    if value < 2**31:
        assert wire.uint32(value, "M.f") == encoded
        assert wire.int32(value, "M.f") == encoded
        assert wire.enum(value, "M.f") == encoded
        assert wire.read_uint32(encoded + b"\x01", 0) == (value, len(encoded))


@pytest.mark.parametrize(
    "encoded", [varint(2**32), varint(5, 6), b"\xff" * 5 + b"\x01"]
)
def test_a_tag_or_a_length_has_five_bytes_and_32_bits(encoded: bytes) -> None:
    with pytest.raises(wire.DecodeError, match="more than 32 bits"):
        wire.read_uint32(encoded, 0)


def test_a_varint_has_ten_bytes_and_64_bits() -> None:
    assert wire.read_varint(b"\xff" * 9 + b"\x7f", 0) == (2**64 - 1, 10)
    assert wire.read_varint(varint(3, 10), 0) == (3, 10)
    with pytest.raises(wire.DecodeError, match="more than ten bytes"):
        wire.read_varint(varint(3, 11), 0)
    with pytest.raises(IndexError):
        wire.read_varint(b"\xff\xff", 0)


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_a_length_is_read_back_however_it_is_padded(value: int, padding: int) -> None:
    plain = wire.varint(value)
    size = min(len(plain) + padding, 5)
    encoded = plain
    if size > len(plain):
        last = bytes((plain[-1] | 0x80,))
        encoded = (plain[:-1] + last).ljust(size - 1, b"\x80") + b"\0"
    assert wire.read_uint32(encoded + b"x", 0) == (value, size)


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_numbers_are_read_back(value: int) -> None:
    low = wire.signed32(value & 0xFFFF_FFFF)
    for encode, decode, number in [
        (wire.int64, wire.signed64, value),
        (wire.sint64, wire.zigzag64, value),
        (wire.int32, wire.signed32, low),
        (wire.sint32, wire.zigzag32, low),
    ]:
        raw, _ = wire.read_varint(encode(number, "M.f"), 0)
        assert decode(raw) == number
    assert wire.read_sfixed64(wire.sfixed64(value, "M.f"), 0)[0] == value
    assert wire.read_sfixed32(wire.sfixed32(low, "M.f"), 0)[0] == low


RANGES = {
    wire.uint32: (0, 2**32 - 1),
    wire.fixed32: (0, 2**32 - 1),
    wire.uint64: (0, 2**64 - 1),
    wire.fixed64: (0, 2**64 - 1),
    wire.int32: (-(2**31), 2**31 - 1),
    wire.enum: (-(2**31), 2**31 - 1),
    wire.sint32: (-(2**31), 2**31 - 1),
    wire.sfixed32: (-(2**31), 2**31 - 1),
    wire.int64: (-(2**63), 2**63 - 1),
    wire.sint64: (-(2**63), 2**63 - 1),
    wire.sfixed64: (-(2**63), 2**63 - 1),
}


@pytest.mark.parametrize(("encode", "ends"), RANGES.items())
def test_integers_have_ranges(encode: Any, ends: tuple[int, int]) -> None:
    low, high = ends
    assert encode(low, "M.f")
    assert encode(high, "M.f")
    assert encode(np.int64(1), "M.f") == encode(1, "M.f")
    for wrong in (low - 1, high + 1):
        with pytest.raises(
            wire.EncodeError, match=rf"M\.f must be from {low} to {high}"
        ):
            encode(wrong, "M.f")
    for other in (True, 1.0, "1", None, [1]):
        with pytest.raises(wire.EncodeTypeError, match=r"M\.f must be an int"):
            encode(other, "M.f")


def test_floats_accept_only_numbers() -> None:
    assert wire.float_(0.5, "M.f") == b"\x00\x00\x00\x3f"
    assert wire.double(1, "M.f") == wire.double(1.0, "M.f")
    assert wire.double(0.0, "M.f") == wire.ZERO_DOUBLE
    assert wire.float_(0.0, "M.f") == wire.ZERO_FLOAT
    assert wire.double(-0.0, "M.f") != wire.ZERO_DOUBLE
    with pytest.raises(wire.EncodeError, match=r"M\.f is out of range"):
        wire.float_(1e39, "M.f")
    text: Any = "1"
    with pytest.raises(wire.EncodeTypeError, match=r"M\.f must be a float, not str"):
        wire.double(text, "M.f")


def test_an_encode_error_is_a_value_error_and_may_be_a_type_error() -> None:
    assert issubclass(wire.EncodeError, ValueError)
    assert issubclass(wire.EncodeTypeError, (ValueError, TypeError))
    assert not issubclass(wire.EncodeError, TypeError)


def shares(view: object, owner: np.ndarray[Any, Any]) -> bool:
    return np.shares_memory(np.frombuffer(view, np.uint8), owner)  # type: ignore[call-overload]  # any buffer


@pytest.mark.parametrize("kind", ["i1", "<i2", "<f4", "<u8", "?", "<f2"])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 3)])
def test_an_array_becomes_its_bytes_without_a_copy(
    kind: str, shape: tuple[int, ...]
) -> None:
    values = np.arange(6).reshape(shape).astype(kind)
    view = wire.as_bytes(values, "M.f")  # type: ignore[arg-type, unused-ignore]  # a buffer from 3.12 on
    assert view == values.tobytes()
    assert len(view) == values.nbytes
    assert shares(view, values)


@pytest.mark.parametrize("kind", [">i2", "<c8", [("a", "<i2"), ("b", "<f4")]])
def test_an_array_that_memoryview_does_not_support_is_copied(kind: Any) -> None:
    values: Any = np.ones(3).astype(kind)
    assert wire.as_bytes(values, "M.f") == values.tobytes()


def test_other_buffers_become_their_bytes() -> None:
    for value in (bytearray(b"abcd"), memoryview(b"abcd"), array.array("h", b"abcd")):
        assert wire.as_bytes(value, "M.f") == b"abcd"
    for empty in (bytearray(), np.zeros((0, 3)), array.array("d")):
        assert wire.as_bytes(empty, "M.f") == b""  # type: ignore[arg-type, unused-ignore]  # a buffer from 3.12 on
    same = b"abcd"
    assert wire.as_bytes(same, "M.f") is same


@pytest.mark.parametrize(
    "value", ["text", 5, None, [1], np.float32(1), np.array([None])], ids=repr
)
def test_a_value_that_is_not_bytes_like_is_refused_by_name(value: Any) -> None:
    with pytest.raises(
        wire.EncodeTypeError, match=r"M\.f must be bytes or a bytes-like"
    ):
        wire.as_bytes(value, "M.f")


@pytest.mark.parametrize("scattered", [np.zeros(6)[::2], np.zeros((2, 3)).T])
def test_an_array_that_is_not_contiguous_is_refused_with_advice(scattered: Any) -> None:
    with pytest.raises(wire.EncodeTypeError, match=r"M\.f must be contiguous.*numpy"):
        wire.as_bytes(scattered, "M.f")


@given(st.lists(UINT64))
def test_packed_varints_are_read_back(values: list[int]) -> None:
    data = b"".join(wire.varint(value) for value in values)
    assert list(wire.packed_varints(b"x" + data + b"x", 1, 1 + len(data))) == values


def test_a_repeated_field_is_a_list_or_a_tuple() -> None:
    for value in ([1], (1,), []):
        assert wire.items(value, "M.f") is value
    for wrong in ("text", {1}, None, 5, np.ones(2)):
        with pytest.raises(wire.EncodeTypeError, match=r"^M\.f must be a list, not "):
            wire.items(wrong, "M.f")


def test_a_map_field_is_a_dict() -> None:
    assert list(wire.entries({"a": 1}, "M.f")) == [("a", 1)]
    for wrong in ([("a", 1)], None, "text"):
        with pytest.raises(wire.EncodeTypeError, match=r"^M\.f must be a dict, not "):
            wire.entries(wrong, "M.f")


def test_a_string_is_utf8() -> None:
    assert wire.string("é", "M.f") == b"\xc3\xa9"
    wrong: Any = b"bytes"
    with pytest.raises(wire.EncodeTypeError, match=r"^M\.f must be a str, not bytes"):
        wire.string(wrong, "M.f")
    with pytest.raises(wire.EncodeError, match=r"^M\.f cannot be UTF-8: .*surrogate"):
        wire.string("\ud800", "M.f")


def test_a_bool_is_one_byte() -> None:
    assert (wire.bool_(True, "M.f"), wire.bool_(0, "M.f")) == (b"\x01", b"\x00")
    wrong: Any = "yes"
    with pytest.raises(wire.EncodeTypeError, match=r"^M\.f must be a bool, not str"):
        wire.bool_(wrong, "M.f")


def test_a_packed_varint_may_not_extend_beyond_its_field() -> None:
    with pytest.raises(IndexError):
        wire.packed_varints(b"\x01\x80\x01", 0, 2)
    with pytest.raises(wire.DecodeError, match="ends in the middle"):
        wire.packed_fixed("I", bytes(8), 0, 7)


def test_packed_numbers_of_fixed_size_are_read_back() -> None:
    data = b"x" + wire.fixed32(5, "M.f") + wire.fixed32(2**32 - 1, "M.f") + b"x"
    assert wire.packed_fixed("I", data, 1, 9) == (5, 2**32 - 1)
    assert wire.packed_fixed("I", data, 1, 1) == ()
    assert wire.packed_fixed("d", wire.double(-0.5, "M.f"), 0, 8) == (-0.5,)


def test_every_fault_becomes_a_decode_error() -> None:
    def reason(data: bytes) -> str:
        try:
            wire.read_varint(data, 0)
            wire.read_float(data, 0)
            data.decode()
        except wire.FAULTS as error:
            return wire.decode_error(error).reason
        return ""

    assert reason(b"\xff") == "the data ends in the middle of it"
    assert reason(b"\x01") == "the data ends in the middle of it"
    assert reason(b"\x01\x01\x01\xff") == "a string is not UTF-8"
    assert reason(b"\x80" * 11) == "a varint has more than ten bytes"
    assert reason(bytes(4)) == ""


def test_a_decode_error_names_the_field_and_pickles() -> None:
    error = wire.DecodeError("it is wrong").inside("Inner", "b").inside("Outer", "a")
    assert str(error) == "Outer.a.b: it is wrong"
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.message, again.path, again.reason) == (
        *("Outer", ("a", "b"), "it is wrong"),
    )


PARTS = st.lists(
    st.binary(max_size=9)
    | st.binary(max_size=9).map(bytearray)
    | st.sampled_from([64 * 1024, 64 * 1024 - 1, 100_000]).map(bytes)
)


@given(PARTS)
def test_parts_are_joined_except_for_large_ones(parts: wire.Parts) -> None:
    size = sum(map(len, parts))
    joined = wire.joined(parts, size)
    assert b"".join(joined) == b"".join(parts)
    large = [part for part in parts if len(part) >= 64 * 1024]
    assert len(joined) <= 2 * len(large) + 1


@pytest.mark.parametrize("size", [9, 100_000])
def test_a_mutable_part_is_copied(size: int) -> None:
    part = bytearray(size)
    joined = wire.joined([part, b"x"], size + 1)
    part[:] = bytes(b"y" * size)
    assert b"".join(joined) == bytes(size) + b"x"


def test_a_large_part_is_not_copied() -> None:
    large = bytes(64 * 1024)
    joined = wire.joined([b"x", large, b"y", b"z"], len(large) + 3)
    assert joined == [b"x", large, b"yz"]
    assert joined[1] is large


def test_no_part_is_empty() -> None:
    large = bytes(64 * 1024)
    assert wire.joined([b"", large], len(large))[0] is large
    assert wire.joined([large, b"", large], 2 * len(large)) == [large, large]
