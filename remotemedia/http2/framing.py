"""How the frames of HTTP/2 are laid out: their heads, and what is inside of some.

Numbers are those of RFC 9113.
"""

from __future__ import annotations

import struct
from itertools import starmap

from h2.exceptions import FrameDataMissingError, ProtocolError
from h2.settings import SettingCodes

HEAD = struct.Struct(">HBBBI")
"""A frame's head: its length (of 24 bits, in two parts), type, flags and stream."""
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
OF_A_STREAM = (DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION)
"""The types of frames that make no sense without a stream."""
NO_FLAGS, END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0, 1, 1, 4, 8, 32
STREAM_ID = 0x7FFF_FFFF
"""The bits of a stream's number; the one before them is ignored (section 4.1)."""

_SETTING = struct.Struct(">HI")
_KNOWN_SETTINGS = frozenset(map(int, SettingCodes))


def head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The head of a frame."""
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


def header_block(flags: int, data: bytes) -> bytes:
    """The header block in a HEADERS frame (section 6.2)."""
    if flags & PADDED:
        data = unpadded(data)
    if not flags & HAS_PRIORITY:
        return data
    if len(data) < 5:
        raise FrameDataMissingError("a HEADERS frame is too short for its priority")
    return data[5:]


def unpadded(data: bytes) -> bytes:
    """What is between the length of the padding and the padding (section 6.1)."""
    if not data or data[0] >= len(data):
        raise ProtocolError("a frame has more padding than bytes")
    return data[1 : len(data) - data[0]]


def known_settings(frame: memoryview) -> bytes | memoryview:
    """A SETTINGS frame without what this client does not know; h2 would keep it.

    Each setting stays once: its last value, or the smallest table of headers. h2 judges
    a frame whose length is wrong.
    """
    body = frame[HEAD.size :]
    if len(body) % _SETTING.size:
        return frame
    known: dict[int, int] = {}
    for code, value in _SETTING.iter_unpack(body):
        if code in _KNOWN_SETTINGS:
            is_table = code == SettingCodes.HEADER_TABLE_SIZE
            known[code] = min(value, known.get(code, value)) if is_table else value
    body_of_known = b"".join(starmap(_SETTING.pack, known.items()))
    return HEAD.pack(0, len(body_of_known), *bytes(frame[3:5]), 0) + body_of_known
