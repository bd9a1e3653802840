"""The layout of frames, with hyperframe as the oracle."""

from __future__ import annotations

import pytest
from h2.exceptions import FrameDataMissingError, ProtocolError
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from remotemedia.http2 import framing


def body_and_flags(frame: Frame) -> tuple[bytes, int]:
    """What is behind a frame's head, and the flags in it."""
    data = frame.serialize()
    return data[9:], data[4]


def test_a_head() -> None:
    data = DataFrame(5, b"x" * 70_000, flags=["END_STREAM"]).serialize()
    head = framing.head(70_000, framing.DATA, framing.END_STREAM, 5)
    assert data[:9] == head


@pytest.mark.parametrize("padding", [0, 1, 255])
@pytest.mark.parametrize("has_priority", [False, True])
def test_a_header_block_is_unwrapped(padding: int, has_priority: bool) -> None:
    flags = ["PADDED", *(["PRIORITY"] if has_priority else [])]
    frame = HeadersFrame(1, b"block", pad_length=padding, flags=flags)
    body, bits = body_and_flags(frame)
    assert framing.header_block(bits, body) == b"block"
    assert framing.header_block(0, b"block") == b"block"


@pytest.mark.parametrize("data", [b"", b"\1", b"\3ab"])
def test_more_padding_than_bytes(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="more padding"):
        framing.unpadded(data)


def test_headers_too_short_for_their_priority() -> None:
    with pytest.raises(FrameDataMissingError):
        framing.header_block(framing.HAS_PRIORITY, b"1234")


def known(*pairs: tuple[int, int]) -> dict[int, int]:
    """The settings that are left of a frame."""
    body = b"".join(code.to_bytes(2, "big") + v.to_bytes(4, "big") for code, v in pairs)
    data = bytes(framing.known_settings(memoryview(b"\0\0\0\4\0\0\0\0\0" + body)))
    frame, length = Frame.parse_frame_header(memoryview(data[:9]))
    assert isinstance(frame, SettingsFrame)
    assert length == len(data) - 9
    frame.parse_body(memoryview(data[9:]))
    return frame.settings


def test_of_settings_only_the_known_are_left() -> None:
    many = ((code, 7) for code in range(100, 9_000))
    assert known((4, 5), *many, (3, 1)) == {4: 5, 3: 1}
    assert known() == {}


def test_of_a_setting_the_last_value_counts_and_of_the_table_the_smallest() -> None:
    assert known((4, 9), (4, 5), (4, 7)) == {4: 7}
    assert known((1, 4096), (1, 0), (1, 4096)) == {1: 0}


def test_settings_of_a_wrong_length_are_left_to_h2() -> None:
    frame = b"\0\0\7\4\0\0\0\0\0" + bytes(7)
    assert framing.known_settings(memoryview(frame)) == frame
