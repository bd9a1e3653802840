"""Arrays as messages: what is sent comes back, and nothing hostile gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from remotemedia.data_v1 import NumpyBuffer, TensorBuffer, TensorDtype
from remotemedia.media.arrays import checked_shape

if TYPE_CHECKING:
    import numpy.typing as npt

NUMERIC = (
    arrays_of.boolean_dtypes()
    | arrays_of.integer_dtypes(endianness="?")
    | arrays_of.unsigned_integer_dtypes(endianness="?")
    | arrays_of.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | arrays_of.complex_number_dtypes(endianness="?", sizes=(64, 128))
)
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)


@st.composite
def views(draw: st.DrawFn, dtypes: st.SearchStrategy[Any]) -> npt.NDArray[Any]:
    """Draw an array, and a view of it: a slice, with its axes in any order."""
    array = draw(arrays_of.arrays(draw(dtypes), SHAPES))
    if array.ndim:
        array = array[draw(arrays_of.basic_indices(array.shape, allow_newaxis=True))]
    # An index of integers alone gives a number.
    view: npt.NDArray[Any] = np.asarray(array)
    axes = draw(st.permutations(range(view.ndim)))
    turned: npt.NDArray[Any] = view.transpose(axes)
    return turned


def assert_same(found: npt.NDArray[Any], sent: npt.NDArray[Any]) -> None:
    assert found.shape == sent.shape
    assert found.dtype == sent.dtype.newbyteorder("<")
    assert np.ascontiguousarray(found).tobytes() == (
        np.ascontiguousarray(sent.astype(found.dtype)).tobytes()
    )


# -- NumpyBuffer


@given(views(NUMERIC))
def test_any_array_comes_back(array: npt.NDArray[Any]) -> None:
    sent = NumpyBuffer.from_numpy(array)
    received = NumpyBuffer.FromString(bytes(sent))
    assert_same(received.to_numpy(), array)
    assert len(sent.data) == array.nbytes


@given(views(NUMERIC))
def test_the_fields_are_those_of_numpy(array: npt.NDArray[Any]) -> None:
    sent = NumpyBuffer.from_numpy(array)
    found = sent.to_numpy()
    assert tuple(sent.shape) == array.shape
    assert sent.dtype == array.dtype.name
    assert found.flags.c_contiguous or found.flags.f_contiguous
    assert (sent.c_contiguous, sent.f_contiguous) == (
        found.flags.c_contiguous,
        found.flags.f_contiguous,
    )


def test_column_major_order_is_kept_and_gaps_are_not() -> None:
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    rows, columns = NumpyBuffer.from_numpy(array), NumpyBuffer.from_numpy(array.T)
    assert rows.strides == [8, 2]
    assert columns.strides == [2, 8]
    assert columns.data == rows.data
    assert NumpyBuffer.from_numpy(array[:, ::2]).strides == [4, 2]


def test_an_array_that_is_read_shares_the_memory_of_the_message() -> None:
    sent = NumpyBuffer.from_numpy(np.arange(4, dtype=np.float32))
    found = sent.to_numpy()
    assert np.shares_memory(found, np.frombuffer(sent.data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    tensor = TensorBuffer.from_numpy(np.arange(4, dtype=np.float32))
    assert np.shares_memory(tensor.to_numpy(), np.frombuffer(tensor.data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        tensor.to_numpy()[0] = 1


def test_a_message_without_strides_is_in_the_order_that_it_says() -> None:
    data = bytes(range(6))
    rows = NumpyBuffer(data=data, shape=[2, 3], dtype="uint8", c_contiguous=True)
    assert rows.to_numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    columns = NumpyBuffer(data=data, shape=[2, 3], dtype="|u1", f_contiguous=True)
    assert columns.to_numpy().tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize("dtype", ["int16", "<i2", "i2", "=i2"])
def test_numbers_are_little_endian_where_nothing_else_is_said(dtype: str) -> None:
    buffer = NumpyBuffer(data=b"\x01\x00", shape=[1], dtype=dtype)
    assert buffer.to_numpy().tolist() == [1]


def test_big_endian_numbers_are_read_if_they_say_so() -> None:
    buffer = NumpyBuffer(data=b"\x00\x01", shape=[1], dtype=">i2")
    assert buffer.to_numpy().tolist() == [1]


@pytest.mark.parametrize(
    "dtype", ["U3", "S3", "O", "M8[s]", "m8[s]", "V4", "i4,f4", np.longdouble]
)
def test_an_array_of_other_things_is_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"array has dtype .*; it must be of booleans"):
        NumpyBuffer.from_numpy(np.zeros(2, dtype))


@pytest.mark.parametrize("kind", [NumpyBuffer, TensorBuffer])
def test_what_is_no_array_is_refused(kind: type[NumpyBuffer | TensorBuffer]) -> None:
    value: Any = [1.0, 2.0]
    with pytest.raises(TypeError, match=r"not list; numpy\.asarray makes one"):
        kind.from_numpy(value)
    with pytest.raises(TypeError, match=r"has a mask.*array\.filled"):
        kind.from_numpy(np.ma.masked_array(np.zeros(2, np.float32), [True, False]))


def test_a_subclass_of_arrays_is_sent_as_an_array() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1, 2], [3, 4]], np.int32)
    assert NumpyBuffer.from_numpy(matrix).to_numpy().tolist() == [[1, 2], [3, 4]]


# -- what comes from the network


@pytest.mark.parametrize(
    "dtype",
    [
        *("", "O", "<M8", "m8[ns]", "S", "a4", "V8", "U2", "f16", "i3", "b", "?"),
        *("f4,f4", "(2,2)f4", "f4,(", "i4,,", "2i4", "{'a': 1}", "object", "float"),
        *("<>f4", "datetime64", "f4" * 50_000, "f4," * 33_000, "\0f4", "\udc80"),
    ],
    ids=lambda dtype: f"{dtype[:12]!r}",
)
def test_a_hostile_type_is_refused(dtype: str) -> None:
    buffer = NumpyBuffer(data=bytes(16), shape=[1], dtype=dtype)
    with pytest.raises(ValueError, match=r"^dtype is .*no numeric type") as caught:
        buffer.to_numpy()
    assert len(str(caught.value)) < 200


HOSTILE_SHAPES = [
    [5],
    [2**63],
    [2**64 - 1, 2],
    [2**32, 2**32],
    [2**63, 0],
    [2**62, 4, 0],
    [1] * 33,
    [1] * 1_000_000,
]


@pytest.mark.parametrize("shape", HOSTILE_SHAPES, ids=lambda shape: f"{shape[:3]}")
def test_a_hostile_shape_is_refused(shape: list[int]) -> None:
    data = b"abcd" if all(shape) else b""
    for buffer in (
        NumpyBuffer(data=data, shape=shape, dtype="uint8"),
        TensorBuffer(data=data, shape=shape, dtype=TensorDtype.U8),
    ):
        with pytest.raises(ValueError, match="shape") as caught:
            buffer.to_numpy()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ([5], [2**62]),  # 4 * 2**62 is 0 in 64 bits
        ([3], [2**63 - 1]),
        ([2, 2], [2**63 - 1, -(2**63)]),
        ([2], [-1]),
        ([4], [2]),
        ([2, 2], [4, 2]),
        ([2, 2], [-(2**62), 2**62]),
    ],
)
def test_strides_that_lead_outside_are_refused(
    shape: list[int], strides: list[int]
) -> None:
    buffer = NumpyBuffer(data=b"abcde", shape=shape, dtype="uint8", strides=strides)
    with pytest.raises(ValueError, match="lead outside the 5 bytes"):
        buffer.to_numpy()


def test_there_are_as_many_strides_as_dimensions() -> None:
    buffer = NumpyBuffer(data=bytes(8), shape=[2, 2], dtype="uint8", strides=[1])
    with pytest.raises(ValueError, match="1 strides, where the shape has 2 dimensions"):
        buffer.to_numpy()


def test_strides_may_repeat_elements_and_leave_some_out() -> None:
    buffer = NumpyBuffer(data=b"\1\2\3\4", shape=[2, 2], dtype="uint8", strides=[0, 3])
    assert buffer.to_numpy().tolist() == [[1, 4], [1, 4]]


@given(
    st.binary(max_size=40),
    st.lists(st.integers(0, 4) | st.integers(0, 2**64 - 1), max_size=4),
    st.sampled_from(["uint8", "<f4", ">c16", "float16"]),
    st.lists(st.integers(-16, 16) | st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.booleans(),
)
def test_whatever_comes_is_read_inside_the_data_or_refused(
    data: bytes, shape: list[int], dtype: str, strides: list[int], column: bool
) -> None:
    buffer = NumpyBuffer(
        data=data, shape=shape, dtype=dtype, strides=strides, f_contiguous=column
    )
    try:
        array = buffer.to_numpy()
    except ValueError:
        return
    assert array.shape == tuple(shape)
    if array.size:
        start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
        low, high = np.lib.array_utils.byte_bounds(array)
        assert start <= low <= high <= start + len(data)


# -- TensorBuffer

TENSOR_DTYPES = st.sampled_from(
    ["<f4", ">f4", "<f2", ">f2", "<i4", ">i4", "i1", "u1"]
).map(np.dtype)


@given(views(TENSOR_DTYPES), st.text(max_size=5))
def test_any_tensor_comes_back(array: npt.NDArray[Any], layout: str) -> None:
    sent = TensorBuffer.from_numpy(array, layout=layout)
    received = TensorBuffer.FromString(bytes(sent))
    assert_same(received.to_numpy(), array)
    assert received.layout == layout


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint16", "bool", "U1"])
def test_a_tensor_of_another_type_is_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"convert it with array.astype.*NumpyBuffer"):
        TensorBuffer.from_numpy(np.zeros(2, dtype))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_tensor_has_exactly_its_data(size: int) -> None:
    tensor = TensorBuffer(data=bytes(size), shape=[2, 2], dtype=TensorDtype.F32)
    with pytest.raises(ValueError, match=rf"\b{size} bytes|data has {size}"):
        tensor.to_numpy()


def test_a_type_may_be_a_plain_number() -> None:
    # As in `AudioBuffer.format`; type checkers want the member.
    tensor = TensorBuffer(data=b"\1", shape=[1], dtype=5)  # type: ignore[arg-type]  # on purpose
    assert tensor.to_numpy().tolist() == [1]


@pytest.mark.parametrize("number", [0, 6, 2**31 - 1])
def test_a_type_that_has_no_name_is_refused(number: int) -> None:
    tensor = TensorBuffer(data=bytes(4), shape=[1], dtype=TensorDtype.try_value(number))
    with pytest.raises(ValueError, match="no type of elements"):
        tensor.to_numpy()


def test_a_shape_is_a_tuple_of_what_was_received() -> None:
    assert checked_shape([], 8, 8) == ()
    assert checked_shape([3, 0, 2], 4, 0) == (3, 0, 2)
