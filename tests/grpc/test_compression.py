"""gzip: what it writes and reads, and how little of a bomb is ever in memory."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib

import pytest
from grpclib.const import Status
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.grpc.compression import (
    PREFIX,
    check_compression,
    compress,
    expand,
)
from remotemedia.grpc.status import CallError


def framed(*parts: bytes) -> list[bytes]:
    """A message with its prefix, in parts."""
    size = sum(map(len, parts))
    return [PREFIX.pack(0, size) + parts[0], *parts[1:]] if parts else [bytes(5)]


async def gzipped(*parts: bytes) -> bytes:
    """What compressing makes of a message, without the prefix."""
    (data,) = await compress(framed(*parts))
    assert PREFIX.unpack_from(data) == (1, len(data) - PREFIX.size)
    return data[PREFIX.size :]


@given(st.binary(min_size=1, max_size=9), st.lists(st.binary(min_size=1, max_size=99)))
async def test_both_ways_agree_with_the_standard_library(
    repeated: bytes, parts: list[bytes]
) -> None:
    parts = [repeated * 100, *parts]
    message = b"".join(parts)
    assert gzip.decompress(await gzipped(*parts)) == message
    assert await expand(gzip.compress(message), len(message)) == message


@pytest.mark.parametrize("parts", [(), (b"abc",), (bytes(range(256)), bytes([7, 9]))])
async def test_what_would_not_become_smaller_is_left_as_it_is(
    parts: tuple[bytes, ...],
) -> None:
    given = framed(*parts)
    assert await compress(given) is given


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000])
@pytest.mark.parametrize("kind", ["zeros", "noise"])
async def test_any_size(size: int, kind: str) -> None:
    """Where steps end, and data that becomes larger or far smaller."""
    message = bytes(size) if kind == "zeros" else random.Random(1).randbytes(size)
    data = gzip.compress(message)
    assert await expand(data, size) == message
    if size:
        with pytest.raises(CallError, match=f"over the limit of {size - 1} bytes"):
            await expand(data, size - 1)
    if kind == "zeros" and size > 1:
        assert gzip.decompress(await gzipped(message)) == message


async def test_a_bomb_is_refused_before_it_is_in_memory() -> None:
    limit = 1024 * 1024
    bomb = await gzipped(*[bytes(limit)] * 256)
    assert len(bomb) < 2 * limit
    tracemalloc.start()
    try:
        with pytest.raises(CallError) as caught:
            await expand(bomb, limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert peak < 2 * limit


async def test_others_use_the_event_loop_in_between() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    message = random.Random(2).randbytes(20_000) * 50
    data = await gzipped(message)
    after_compressing = turns
    assert await expand(data, len(message)) == message
    assert after_compressing >= 14
    assert turns - after_compressing >= 14
    counting.cancel()


WHOLE = gzip.compress(b"a message, a message, a message", mtime=0)


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
async def test_what_gzip_does_not_write(data: bytes, reason: str) -> None:
    with pytest.raises(CallError, match=f"not what gzip writes: .*{reason}") as caught:
        await expand(data, 1000)
    assert caught.value.status is Status.INTERNAL


def test_a_compression_that_there_is_not() -> None:
    check_compression("gzip")
    check_compression("identity")
    for wrong in ("br", "", None, 5):
        with pytest.raises(ValueError, match="must be 'gzip' or 'identity', got"):
            check_compression(wrong)
