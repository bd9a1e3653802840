"""Frames of video as messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.data_v1 import PixelFormat, VideoCodec, VideoFrame

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

INTERLEAVED = {PixelFormat.RGB24: 3, PixelFormat.RGBA32: 4, PixelFormat.GRAY8: 1}
PLANAR = [PixelFormat.YUV420P, PixelFormat.I420, PixelFormat.NV12]
SIDES = st.integers(1, 20)


def pixels(*shape: int) -> Pixels:
    return np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)


@st.composite
def frames(draw: st.DrawFn) -> tuple[PixelFormat, Pixels, int, int]:
    """Draw a format, an array, and the width and height of the frame."""
    form = draw(st.sampled_from([*INTERLEAVED, *PLANAR]))
    width, height = draw(SIDES), draw(SIDES)
    if form in PLANAR:
        return form, pixels(height * 3, width * 2), width * 2, height * 2
    depth = INTERLEAVED[form]
    shape = (height, width) if depth == 1 else (height, width, depth)
    return form, pixels(*shape), width, height


@given(frames(), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_frame_of_any_format_comes_back(
    frame: tuple[PixelFormat, Pixels, int, int], number: int, timestamp_us: int
) -> None:
    form, array, width, height = frame
    sent = VideoFrame.from_numpy(
        array, form, frame_number=number, timestamp_us=timestamp_us
    )
    received = VideoFrame.FromString(bytes(sent))
    received.validate()
    found = received.to_numpy()
    assert found.shape == array.shape
    assert (found == array).all()
    assert (received.format, received.width, received.height) == (form, width, height)
    assert received.frame_number == number
    assert received.timestamp_us == timestamp_us


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ((4, 6, 3), PixelFormat.RGB24),
        ((4, 6, 4), PixelFormat.RGBA32),
        ((4, 6), PixelFormat.GRAY8),
    ],
)
def test_the_shape_says_the_format(shape: tuple[int, ...], form: PixelFormat) -> None:
    frame = VideoFrame.from_numpy(pixels(*shape))
    assert (frame.format, frame.height, frame.width) == (form, 4, 6)


@pytest.mark.parametrize("shape", [(), (6,), (4, 6, 1), (4, 6, 2), (1, 4, 6, 3)])
def test_another_shape_needs_a_format(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="or format says what it is"):
        VideoFrame.from_numpy(pixels(*shape))


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ((4, 6, 3), PixelFormat.RGBA32),
        ((4, 6), PixelFormat.RGB24),
        ((4, 6, 1), PixelFormat.GRAY8),
        ((0, 6), PixelFormat.GRAY8),
        ((4, 0, 3), PixelFormat.RGB24),
        ((4, 6), PixelFormat.I420),  # 4 rows are not 3 / 2 of a height
        ((9, 5), PixelFormat.NV12),  # an odd width
        ((9, 6), PixelFormat.ENCODED),
        ((9, 6), PixelFormat.UNSPECIFIED),
    ],
)
def test_an_array_that_is_no_frame_is_refused(
    shape: tuple[int, ...], form: PixelFormat
) -> None:
    with pytest.raises(ValueError, match=f"no frame in {form.name}"):
        VideoFrame.from_numpy(pixels(*shape), form)


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="99 is not a valid PixelFormat"):
        VideoFrame.from_numpy(pixels(4, 6), 99)


def test_pixels_are_bytes() -> None:
    array: Any = np.zeros((4, 6, 3), np.float32)
    with pytest.raises(TypeError, match="float32; pixels are of uint8"):
        VideoFrame.from_numpy(array)


def test_a_slice_and_the_order_of_opencv_are_copied_right() -> None:
    array = pixels(8, 8, 3)[::2, 1:5, ::-1]
    assert (VideoFrame.from_numpy(array).to_numpy() == array).all()


def test_a_frame_that_is_read_shares_the_memory_of_the_message() -> None:
    frame = VideoFrame.from_numpy(pixels(4, 6, 3))
    found = frame.to_numpy()
    assert np.shares_memory(found, np.frombuffer(frame.pixel_data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def frame_of(**fields: Any) -> VideoFrame:
    return VideoFrame(
        **{
            "pixel_data": bytes(12),
            "width": 2,
            "height": 2,
            "format": PixelFormat.RGB24,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"width": 0}, "0 x 2 pixels"),
        ({"height": 0}, "2 x 0 pixels"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "has 12 bytes, and"),
        ({"pixel_data": bytes(11)}, "has 11 bytes, and 2 x 2 pixels in RGB24 are 12"),
        ({"format": PixelFormat.UNSPECIFIED}, "the formats of pixels are RGB24"),
        ({"format": PixelFormat.try_value(77)}, "the formats of pixels are RGB24"),
        ({"format": PixelFormat.I420, "width": 3}, "width and height are even"),
        ({"format": PixelFormat.ENCODED, "pixel_data": b""}, "pixel_data is empty"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], text: str) -> None:
    frame = frame_of(**fields)
    with pytest.raises(ValueError, match=text):
        frame.validate()
    with pytest.raises(ValueError, match=text):
        frame.to_numpy()


def test_a_format_may_be_a_plain_number() -> None:
    frame_of(format=1).validate()
    assert frame_of(format=1).to_numpy().shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("codec", "name"),
    [(VideoCodec.H264, "H264"), (VideoCodec.try_value(9), "an unknown codec")],
)
def test_an_encoded_frame_is_valid_and_is_no_array(
    codec: VideoCodec, name: str
) -> None:
    frame = frame_of(format=PixelFormat.ENCODED, codec=codec)
    frame.validate()
    with pytest.raises(ValueError, match=f"encoded with {name}: decode pixel_data"):
        frame.to_numpy()
