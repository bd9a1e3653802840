"""Encoded messages that are expensive to decode for their size.

Each attack repeats one small record, so that the number of records, and not of bytes,
decides what decoding costs. The tests bound that cost; the benchmark measures it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.records import (
    delimited,
    group,
    integer,
    nested_groups,
    tag,
    varint,
)
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ChunkResult,
    ExecuteRequest,
    PipelineManifest,
    StreamRequest,
    VersionInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.protobuf import Message

NODE = delimited(1, b"abc")


def repeated(record: bytes) -> Callable[[int], bytes]:
    """Return a function that repeats one record to about `size` bytes."""
    return lambda size: record * (size // len(record))


ATTACKS: dict[str, tuple[type[Message], Callable[[int], bytes]]] = {
    "unknown varints": (AudioBuffer, repeated(integer(15, 1))),
    "unknown strings": (AudioBuffer, repeated(delimited(15, b"ab"))),
    "unknown fixed32": (AudioBuffer, repeated(tag(15, 5) + b"abcd")),
    "unknown groups": (AudioBuffer, repeated(group(15))),
    "unknown groups with a field": (AudioBuffer, repeated(group(15, integer(15, 1)))),
    "unknown fields of all kinds": (
        AudioBuffer,
        repeated(
            integer(15, 1) + delimited(14, b"ab") + group(13) + tag(12, 5) + b"abcd"
        ),
    ),
    "unknown fields with long tags": (AudioBuffer, repeated(integer(2**25, 1))),
    "unknown fields with padded tags": (
        AudioBuffer,
        repeated(varint(15 << 3, size=5) + b"\x01"),
    ),
    "groups 100 deep": (AudioBuffer, repeated(nested_groups(15, 100))),
    "a repeated number": (AudioBuffer, repeated(integer(2, 1))),
    "known and unknown fields in turn": (
        AudioBuffer,
        repeated(integer(2, 1) + group(15)),
    ),
    "wrong wire types": (AudioBuffer, repeated(integer(1, 1))),
    "empty list elements": (PipelineManifest, repeated(delimited(3, b""))),
    "small list elements": (PipelineManifest, repeated(delimited(3, NODE))),
    "strings of a list": (VersionInfo, repeated(delimited(3, b""))),
    "a repeated empty submessage": (
        ExecuteRequest,
        repeated(delimited(1, b"")),
    ),
    "a repeated empty member of a oneof": (
        StreamRequest,
        repeated(delimited(1, b"")),
    ),
    "a repeated submessage": (
        StreamRequest,
        repeated(delimited(2, integer(3, 1))),
    ),
    "a submessage and a number in turn": (
        AudioChunk,
        repeated(delimited(2, b"") + integer(3, 1)),
    ),
    "oneof members in turn": (
        StreamRequest,
        repeated(delimited(1, b"") + delimited(2, b"")),
    ),
    "a submessage that grows a list": (
        StreamRequest,
        repeated(delimited(1, delimited(1, delimited(3, b"")))),
    ),
    "a submessage that grows unknown fields": (
        StreamRequest,
        repeated(delimited(1, delimited(1, integer(15, 1)))),
    ),
    "empty map entries": (ChunkResult, repeated(delimited(3, b""))),
    "small map entries": (ChunkResult, repeated(delimited(3, delimited(1, b"")))),
    "map entries with unknown fields": (
        ChunkResult,
        repeated(delimited(3, integer(9, 1))),
    ),
    "map values that are merged": (
        ChunkResult,
        lambda size: delimited(2, repeated(delimited(2, integer(15, 1)))(size)),
    ),
    "different map keys": (
        ChunkResult,
        lambda size: b"".join(
            delimited(3, delimited(1, b"%07d" % number)) for number in range(size // 11)
        ),
    ),
}
