"""gzip: what it writes and reads, and how little of a bomb is ever in memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import pytest
from grpclib.const import Status
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.grpc.compression import check_compression, compress, expand
from remotemedia.grpc.status import CallError


@given(st.lists(st.binary(max_size=100)))
def test_both_ways_agree_with_the_standard_library(parts: list[bytes]) -> None:
    message = b"".join(parts)
    assert gzip.decompress(compress(parts)) == message
    assert expand(gzip.compress(message), len(message)) == message


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000])
@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_any_size(size: int, kind: str) -> None:
    """Where steps end, and data that becomes larger or far smaller."""
    message = bytes(size) if kind == "zeros" else random.Random(1).randbytes(size)
    data = compress([message])
    assert expand(data, size) == message
    if size:
        with pytest.raises(CallError, match=f"over the limit of {size - 1} bytes"):
            expand(data, size - 1)


def test_a_bomb_is_refused_before_it_is_in_memory() -> None:
    compressor = zlib.compressobj(wbits=31)
    zeros = bytes(1024 * 1024)
    bomb = b"".join(compressor.compress(zeros) for _ in range(256)) + compressor.flush()
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(CallError) as caught:
            expand(bomb, len(zeros))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert peak < 2 * len(zeros)


WHOLE = compress([b"a message, a message, a message"])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too early"),
        *((WHOLE[:cut], "too early") for cut in (1, 9, 10, 15, len(WHOLE) - 1)),
        (WHOLE + b"\0", "something follows"),
        (WHOLE + WHOLE, "something follows"),
        (b"not gzip at all", "header"),
        (zlib.compress(b"another format"), "header"),
        (WHOLE[:-8] + bytes(8), "check"),
        (WHOLE[:-4] + bytes(4), "check"),
    ],
)
def test_what_gzip_does_not_write(data: bytes, reason: str) -> None:
    with pytest.raises(CallError, match=f"not what gzip writes: .*{reason}") as caught:
        expand(data, 1000)
    assert caught.value.status is Status.INTERNAL


def test_a_compression_that_there_is_not() -> None:
    check_compression("gzip")
    check_compression("identity")
    for wrong in ("br", "", None, 5):
        with pytest.raises(ValueError, match="must be 'gzip' or 'identity', got"):
            check_compression(wrong)
