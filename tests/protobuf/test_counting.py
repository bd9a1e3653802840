"""Too many fields are refused, wherever they are, before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.records import delimited, integer, tag
from remotemedia.protobuf import DecodeError, counting
from remotemedia.protobuf.wkt import ListValue
from remotemedia.v1 import (
    AudioBuffer,
    ChunkResult,
    ExecutionResult,
    PipelineManifest,
    StreamRequest,
    VersionInfo,
)
from tests.support.raw import memory_bytes

if TYPE_CHECKING:
    from remotemedia.protobuf import Message

MAX_FIELDS = 1_000
COUNTED_BYTES = 2 * MAX_FIELDS
MANY = MAX_FIELDS + 1
PADDING = delimited(99, bytes(COUNTED_BYTES))
NUMBERS = integer(2, 1) * MANY
TOO_MANY: dict[str, tuple[type[Message], bytes]] = {
    "empty messages": (PipelineManifest, delimited(3, b"") * MANY),
    "strings": (VersionInfo, delimited(3, b"") * MANY),
    "numbers": (AudioBuffer, NUMBERS),
    "merged messages": (StreamRequest, delimited(1, b"") * MANY),
    "unknown fields": (AudioBuffer, (tag(9, 5) + bytes(4)) * MANY),
    "fields of eight bytes": (AudioBuffer, (tag(9, 1) + bytes(8)) * MANY),
    "fields of a group": (AudioBuffer, tag(9, 3) + NUMBERS + tag(9, 4)),
    "long tags": (AudioBuffer, integer(2**25, 1) * MANY),
    "inside": (StreamRequest, delimited(2, delimited(2, NUMBERS))),
    "in an entry": (
        ChunkResult,
        delimited(2, delimited(1, b"a") + delimited(2, NUMBERS)),
    ),
    "entries": (ChunkResult, delimited(3, delimited(1, b"a")) * (MANY // 2 + 1)),
    "in parts": (
        ExecutionResult,
        delimited(4, delimited(3, integer(1, 1) * 98)) * 11,
    ),
    "before what is invalid": (AudioBuffer, NUMBERS + b"\x07"),
    "beside what is invalid": (
        StreamRequest,
        delimited(2, b"\x10") + delimited(2, delimited(2, NUMBERS)),
    ),
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is quick to reach."""
    monkeypatch.setattr(counting, "MAX_FIELDS", MAX_FIELDS)
    monkeypatch.setattr(counting, "COUNTED_BYTES", COUNTED_BYTES)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("message", "data"), TOO_MANY.values(), ids=TOO_MANY)
def test_too_many_fields_are_refused(message: type[Message], data: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        message._from_peer(data)
    assert str(caught.value) == f"{message.__name__}: it has more than 1000 fields"


@pytest.mark.usefixtures("few")
def test_what_a_program_decodes_itself_may_have_more() -> None:
    data = bytes(VersionInfo(supported_node_types=["a"] * 2 * MAX_FIELDS))
    assert len(VersionInfo.FromString(data).supported_node_types) == 2 * MAX_FIELDS
    assert len(VersionInfo().parse(data).supported_node_types) == 2 * MAX_FIELDS


def test_ten_million_submessages_take_no_memory() -> None:
    data = delimited(3, b"") * 10_000_000
    before = memory_bytes()
    with pytest.raises(DecodeError, match="more than 250000 fields"):
        PipelineManifest._from_peer(data)
    assert memory_bytes() - before < 5_000_000


ENOUGH: dict[str, tuple[type[Message], bytes]] = {
    "as many as may be": (AudioBuffer, integer(2, 1) * (MAX_FIELDS - 1) + PADDING),
    "in bytes": (AudioBuffer, delimited(1, NUMBERS)),
    "in a string": (VersionInfo, delimited(1, NUMBERS)),
    "in an unknown field": (AudioBuffer, delimited(9, NUMBERS)),
    "in the key of an entry": (ChunkResult, delimited(3, delimited(1, NUMBERS))),
    "in the value of an entry": (ChunkResult, delimited(3, delimited(2, NUMBERS))),
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("message", "data"), ENOUGH.values(), ids=ENOUGH)
def test_what_only_looks_like_fields_is_not_counted(
    message: type[Message], data: bytes
) -> None:
    assert len(data) > COUNTED_BYTES
    assert message._from_peer(data) == message().parse(data)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "data",
    [
        NUMBERS[:100] + b"\x07" + PADDING,
        NUMBERS[:100] + tag(9, 6) + PADDING,
        delimited(2, b"\x10") + PADDING,
        PADDING + b"\x80" * 20,
        PADDING + b"\x0a\xff",
        b"\x0a\xff\xff\xff\xff\xff\xff" + PADDING,
    ],
)
def test_what_is_invalid_is_left_to_the_decoder(data: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        StreamRequest._from_peer(data)
    assert "1000 fields" not in str(caught.value)


@pytest.mark.usefixtures("few")
def test_what_is_nested_too_deep_is_left_to_the_decoder() -> None:
    data = PADDING
    # ListValue and Value nest without an end.
    for _ in range(150):
        data = delimited(1, delimited(6, data))
    with pytest.raises(DecodeError, match="nested"):
        ListValue._from_peer(data)
