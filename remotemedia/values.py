"""What may be sent to a node, as types.

The audio contract carries audio alone on a stream; the data contract carries all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remotemedia import data_v1
    from remotemedia.v1 import AudioBuffer

Json: TypeAlias = (
    "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
)
"""What JSON can say."""

# Nothing is imported for these where no type checker looks.
Message: TypeAlias = Union[
    "data_v1.VideoFrame",
    "data_v1.TensorBuffer",
    "data_v1.NumpyBuffer",
    "data_v1.JsonData",
    "data_v1.TextBuffer",
    "data_v1.BinaryBuffer",
    "data_v1.FileBuffer",
    "data_v1.DataBuffer",
]
"""The messages of the data contract that hold a value."""

Value: TypeAlias = Union[
    "AudioBuffer", "Message", "npt.NDArray[np.generic]", bytes, "Json"
]
"""What the data contract carries, and how a user may give it.

An array becomes a ``NumpyBuffer``, text a ``TextBuffer``, bytes a ``BinaryBuffer``, and
anything else of Python ``JsonData``.
"""
