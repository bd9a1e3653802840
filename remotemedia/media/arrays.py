"""Arrays as messages: the methods of ``NumpyBuffer`` and ``TensorBuffer``.

A ``NumpyBuffer`` describes an array in numpy's own words: any numeric type, in
row-major or column-major order. A ``TensorBuffer`` has one of five types and is in
row-major order. Arrays that are read share the memory of the message, and are
read-only.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

# numpy's names for types, and its codes for them without the order of bytes. numpy
# itself would take far more from the network: objects, records, and programs of commas.
_CODES = {
    "bool": "b1",
    **{f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)},
    **{f"float{8 * size}": f"f{size}" for size in (2, 4, 8)},
    **{f"complex{8 * size}": f"c{size}" for size in (8, 16)},
}
_DTYPES = {
    **{name: f"<{code}" for name, code in _CODES.items()},
    **{order + code: order + code for code in _CODES.values() for order in "<>"},
    # Without an order, or with that of the machine, which is little-endian.
    **{
        order + code: f"<{code}" for code in _CODES.values() for order in ("", "=", "|")
    },
}
# Of numpy 1; numpy 2 has 64.
_MOST_DIMENSIONS = 32
# numpy's codes for the members of TensorDtype.
_TENSOR_DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I8": "|i1", "U8": "|u1"}


class NumpyBufferMixin:
    """The methods of ``NumpyBuffer``; the message itself defines the fields."""

    if TYPE_CHECKING:
        data: bytes
        shape: list[int]
        dtype: str
        strides: list[int]
        c_contiguous: bool
        f_contiguous: bool

        def __init__(
            self,
            *,
            data: bytes = ...,
            shape: list[int] = ...,
            dtype: str = ...,
            strides: list[int] = ...,
            c_contiguous: bool = ...,
            f_contiguous: bool = ...,
        ) -> None: ...

    @classmethod
    def from_numpy(cls, array: npt.NDArray[Any]) -> Self:
        """Make a message of an array; its memory is copied once.

        An array in column-major order stays so. One with gaps, as a slice has, becomes
        row-major, and one of big-endian numbers little-endian.

        Args:
            array: of any shape, and of booleans, integers, floats or complex numbers.

        Raises:
            TypeError: it is not an array, or of another type.
        """
        array = checked_array(array)
        if array.dtype.name not in _CODES:
            raise TypeError(
                f"array has dtype {array.dtype}; it must be of booleans, integers, "
                "floats or complex numbers, of up to 64 bits for each number"
            )
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        order: Literal["C", "F"] = "F" if little.flags.fnc else "C"
        return cls(
            data=little.tobytes(order),
            shape=list(little.shape),
            dtype=little.dtype.name,
            strides=_strides(little.shape, little.itemsize, order),
            c_contiguous=order == "C",
            # The order makes no difference where only one dimension has a length.
            f_contiguous=order == "F"
            or not little.size
            or sum(length > 1 for length in little.shape) <= 1,
        )

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the array, read-only; it shares memory with ``data``.

        Raises:
            ValueError: the fields do not describe an array that ``data`` holds.
        """
        import numpy as np

        code = _DTYPES.get(self.dtype)
        if code is None:
            raise ValueError(
                f"dtype is {self.dtype!r:.80}, which is no numeric type such as "
                "'float32' or '<f4'"
            )
        dtype: np.dtype[Any] = np.dtype(code)
        shape = checked_shape(self.shape, dtype.itemsize, len(self.data))
        order = "F" if self.f_contiguous and not self.c_contiguous else "C"
        strides = self.strides or _strides(shape, dtype.itemsize, order)
        _check_strides(strides, shape, dtype.itemsize, len(self.data))
        array: npt.NDArray[Any] = np.ndarray(
            shape, dtype, bytes(self.data), strides=strides
        )
        return array


class TensorBufferMixin:
    """The methods of ``TensorBuffer``; the message itself defines the fields."""

    if TYPE_CHECKING:
        data: bytes
        shape: list[int]
        # The message narrows this to TensorDtype, which cannot be named here.
        dtype: Any
        layout: str

        def __init__(
            self,
            *,
            data: bytes = ...,
            shape: list[int] = ...,
            dtype: Any = ...,
            layout: str = ...,
        ) -> None: ...

    @classmethod
    def from_numpy(cls, array: npt.NDArray[Any], *, layout: str = "") -> Self:
        """Make a tensor of an array; its memory is copied once.

        Args:
            array: of any shape, and of float32, float16, int32, int8 or uint8.
            layout: what the dimensions mean, such as ``"NCHW"``.

        Raises:
            TypeError: it is not an array, or of another type.
        """
        array = checked_array(array)
        wanted = array.dtype.newbyteorder("<").str
        members: Any = type(cls().dtype)
        for name, dtype in _TENSOR_DTYPES.items():
            if dtype == wanted:
                return cls(
                    data=array.astype(dtype, copy=False).tobytes(),
                    shape=list(array.shape),
                    dtype=members[name],
                    layout=layout,
                )
        raise TypeError(
            f"array has dtype {array.dtype}, and a tensor is of float32, float16, "
            "int32, int8 or uint8: convert it with array.astype(…), or send it as a "
            "NumpyBuffer"
        )

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the tensor as an array, read-only; it shares memory with ``data``.

        Raises:
            ValueError: the fields do not describe a tensor that ``data`` holds.
        """
        import numpy as np

        name = member_name(self, "dtype")
        if name not in _TENSOR_DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}, which is no type of elements")
        dtype: np.dtype[Any] = np.dtype(_TENSOR_DTYPES[name])
        shape = checked_shape(self.shape, dtype.itemsize, len(self.data))
        if math.prod(shape) * dtype.itemsize != len(self.data):
            raise ValueError(
                f"shape {shape} of {name} is {math.prod(shape) * dtype.itemsize} "
                f"bytes, and data has {len(self.data)}"
            )
        return np.frombuffer(bytes(self.data), dtype).reshape(shape)


def checked_array(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what should be an array, as one of numpy's own class.

    Raises:
        TypeError: it is something else, or hides some of its elements.
    """
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"array must be a numpy array, not {type(array).__name__}; numpy.asarray "
            "makes one"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("array has a mask, which is not sent: use array.filled(…)")
    return np.asarray(array)


def checked_shape(
    shape: list[int], item_bytes: int, size_bytes: int
) -> tuple[int, ...]:
    """Check that so many bytes hold an array of a shape.

    A shape comes from the network: what an array may cost is what was received for it.

    Raises:
        ValueError: they do not.
    """
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(
            f"the shape has {len(shape)} dimensions; numpy has up to {_MOST_DIMENSIONS}"
        )
    # An empty array costs nothing, but numpy counts its other dimensions.
    is_countable = math.prod(filter(None, shape)) * item_bytes <= sys.maxsize
    if math.prod(shape) * item_bytes > size_bytes or not is_countable:
        raise ValueError(
            f"shape {shape} of {item_bytes} bytes each does not fit the {size_bytes} "
            "bytes of data"
        )
    return tuple(shape)


def member_name(message: object, field: str) -> str:
    """Return the name of an enum field's value; it is empty if the value has none.

    A plain number is taken for the member that has it.
    """
    members: Any = type(getattr(type(message)(), field))
    return members.try_value(getattr(message, field)).name or ""


def _check_strides(
    strides: list[int], shape: tuple[int, ...], item_bytes: int, size_bytes: int
) -> None:
    """Check that every element is inside the data.

    numpy checks it with numbers of 64 bits, which hostile strides overflow.

    Raises:
        ValueError: one is not, or there are too few or too many strides.
    """
    if len(strides) != len(shape):
        raise ValueError(
            f"{len(strides)} strides, where the shape has {len(shape)} dimensions"
        )
    steps = [(length - 1) * step for length, step in zip(shape, strides, strict=True)]
    first = sum(step for step in steps if step < 0)
    last = sum(step for step in steps if step > 0)
    if all(shape) and (first < 0 or last + item_bytes > size_bytes):
        raise ValueError(
            f"strides {strides} of shape {shape} lead outside the {size_bytes} bytes "
            "of data"
        )


def _strides(shape: tuple[int, ...], item_bytes: int, order: str) -> list[int]:
    """The bytes from one element to the next, in each dimension, without gaps."""
    strides = []
    step = item_bytes
    for length in shape if order == "F" else reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return strides if order == "F" else strides[::-1]
