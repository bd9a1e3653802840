"""Frames of video: the methods of ``VideoFrame``.

The shapes of arrays are those of OpenCV and of most other libraries: rows, columns, and
the bytes of a pixel. The planar formats, in which two colours have half the width and
height, are one array of rows with half as many rows again as the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia.media.arrays import checked_array, member_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

# The bytes of a pixel of the interleaved formats; one with a single byte has no
# dimension for it.
_PIXEL_BYTES = {"RGB24": 3, "RGBA32": 4, "GRAY8": 1}
_PLANAR = ("YUV420P", "I420", "NV12")
# The format of an array that does not say it, by its last dimension.
_FORMAT_OF_DEPTH = {3: "RGB24", 4: "RGBA32"}

_MAX_UINT32 = 2**32 - 1


class VideoFrameMixin:
    """The methods of ``VideoFrame``; the message itself defines the fields."""

    if TYPE_CHECKING:
        pixel_data: bytes
        width: int
        height: int
        # The message narrows this to PixelFormat, which cannot be named here.
        format: Any

        def __init__(
            self,
            *,
            pixel_data: bytes = ...,
            width: int = ...,
            height: int = ...,
            format: Any = ...,  # noqa: A002 - the field's name
            frame_number: int = ...,
            timestamp_us: int = ...,
        ) -> None: ...

    @classmethod
    def from_numpy(
        cls,
        array: npt.NDArray[np.uint8],
        format: int | None = None,  # noqa: A002 - the field's name
        *,
        frame_number: int = 0,
        timestamp_us: int = 0,
    ) -> Self:
        """Make a frame of an array; the pixels are copied once.

        Args:
            array: of uint8. Its shape is ``(height, width, 3)`` for RGB24,
                ``(height, width, 4)`` for RGBA32, ``(height, width)`` for GRAY8, and
                ``(height * 3 // 2, width)`` for YUV420P, I420 and NV12.
            format: a ``PixelFormat``; None for the one of the first three that has such
                a shape. (OpenCV's own order of colours is blue, green, red:
                ``array[..., ::-1]`` turns it round.)
            frame_number: number of the frame in its video.
            timestamp_us: when it is shown, in microseconds.

        Raises:
            TypeError: it is not an array of uint8.
            ValueError: its shape does not fit the format, or the frame is empty.
        """
        array = checked_array(array)
        if array.dtype.str != "|u1":
            raise TypeError(f"array has dtype {array.dtype}; pixels are of uint8")
        formats: Any = type(cls().format)
        if format is None:
            name = _FORMAT_OF_DEPTH.get(array.shape[-1] if array.ndim == 3 else 0)
            name = "GRAY8" if array.ndim == 2 else name
            if name is None:
                raise ValueError(
                    f"array has shape {array.shape}; it must be (height, width, 3), "
                    "(height, width, 4) or (height, width), or format says what it is"
                )
        else:
            name = formats(format).name or ""
        rows, width = array.shape[:2] if array.ndim >= 2 else (0, 0)
        height = rows * 2 // 3 if name in _PLANAR else rows
        shape = _shape(name, height, width)
        if array.shape != shape or not array.size:
            raise ValueError(
                f"array has shape {array.shape}, which is no frame in {name or format}"
                f"{_advice(name)}"
            )
        return cls(
            pixel_data=array.tobytes(),
            width=width,
            height=height,
            format=formats[name],
            frame_number=frame_number,
            timestamp_us=timestamp_us,
        )

    def to_numpy(self) -> npt.NDArray[np.uint8]:
        """Return the pixels, read-only; they share memory with ``pixel_data``.

        Returns:
            An array of uint8, of the shape that ``from_numpy`` takes for the format.

        Raises:
            ValueError: the frame is encoded, or its fields do not fit together.
        """
        import numpy as np

        self.validate()
        name = member_name(self, "format")
        if name == "ENCODED":
            codec = member_name(self, "codec") or "an unknown codec"
            raise ValueError(
                f"the frame is encoded with {codec}: decode pixel_data with "
                "a video library"
            )
        shape = _shape(name, self.height, self.width)
        assert shape is not None  # noqa: S101 - validate has checked the format
        return np.frombuffer(bytes(self.pixel_data), np.uint8).reshape(shape)

    def validate(self) -> None:
        """Check that the fields fit together.

        Raises:
            ValueError: they do not; the text says which.
        """
        name = member_name(self, "format")
        if not (0 < self.width <= _MAX_UINT32 and 0 < self.height <= _MAX_UINT32):
            raise ValueError(
                f"VideoFrame is {self.width} x {self.height} pixels; width and height "
                "must be positive"
            )
        if name == "ENCODED":
            if not self.pixel_data:
                raise ValueError("VideoFrame.pixel_data is empty")
            return
        shape = _shape(name, self.height, self.width)
        if shape is None:
            raise ValueError(
                f"VideoFrame.format is {self.format!r} for {self.width} x "
                f"{self.height} pixels{_advice(name)}"
            )
        size = shape[0] * shape[1] * (shape[2] if len(shape) > 2 else 1)
        if len(self.pixel_data) != size:
            raise ValueError(
                f"VideoFrame.pixel_data has {len(self.pixel_data)} bytes, and "
                f"{self.width} x {self.height} pixels in {name} are {size}"
            )


def _shape(name: str, height: int, width: int) -> tuple[int, ...] | None:
    """The shape of the array of a frame; None if there is no such frame."""
    if name in _PLANAR:
        return None if height % 2 or width % 2 else (height * 3 // 2, width)
    depth = _PIXEL_BYTES.get(name)
    if depth is None:
        return None
    return (height, width) if depth == 1 else (height, width, depth)


def _advice(name: str) -> str:
    if name in _PLANAR:
        return "; width and height are even, and there are height * 3 // 2 rows"
    if name in _PIXEL_BYTES:
        return ""
    return f"; the formats of pixels are {', '.join((*_PIXEL_BYTES, *_PLANAR))}"
