"""The inbox: frames of any cut become messages, and what is acknowledged when."""

from __future__ import annotations

import asyncio
import gc
import gzip
import tracemalloc

import pytest
from grpclib.const import Status
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.grpc.inbox import Compressed, Inbox
from remotemedia.grpc.status import CallError


class Acknowledged:
    """An inbox, fed by hand, and what it acknowledged."""

    def __init__(self) -> None:
        self.total = 0
        self.inbox = Inbox(10**9, lambda error: None)
        self.inbox.acknowledge = self.take

    def take(self, size: int) -> None:
        self.total += size


async def read(inbox: Inbox) -> bytes:
    """The next message, as a call reads it."""
    while not inbox.messages:
        await inbox.waiter()
    if isinstance(inbox.messages[0], Compressed):
        expanded = await inbox.take_expanded()
        assert expanded is not None
        return expanded
    return inbox.take()


def framed(body: bytes) -> bytes:
    return b"\0" + len(body).to_bytes(4, "big") + body


async def test_unread_messages_are_not_acknowledged() -> None:
    fed = Acknowledged()
    for _ in range(10):
        data = framed(bytes(20_000))
        fed.inbox.add(data, len(data))
    assert fed.total == 0
    for _ in range(10):
        await read(fed.inbox)
    assert fed.total + fed.inbox.unacknowledged_bytes == 10 * 20_005
    assert fed.total >= 9 * 20_005


async def test_a_message_larger_than_the_window_comes_through() -> None:
    """While the reader waits, parts of a message are acknowledged as they come."""
    fed = Acknowledged()
    reading = asyncio.create_task(read(fed.inbox))
    await asyncio.sleep(0)
    data = framed(bytes(200_000))
    for start in range(0, len(data), 16_384):
        part = data[start : start + 16_384]
        fed.inbox.add(part, len(part))
        assert start + len(part) - fed.total <= 65_535
    assert await reading == bytes(200_000)


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_messages_come_through_any_cut(
    bodies: list[bytes], data: st.DataObject
) -> None:
    fed = Acknowledged()
    stream = b"".join(map(framed, bodies))
    while stream:
        cut = data.draw(st.integers(0, len(stream)))
        fed.inbox.add(stream[:cut], cut)
        stream = stream[cut:]
    assert not fed.inbox.is_partial
    assert [fed.inbox.take() for _ in bodies] == bodies
    assert not fed.inbox.messages


async def in_parts(body: bytes) -> bytes:
    """A message that comes in two frames, to a reader of its own."""
    fed = Acknowledged()
    stream = framed(body)
    for part in (stream[:7], stream[7:]):
        fed.inbox.add(part, len(part))
    return await read(fed.inbox)


async def test_a_message_stays_as_it_is_while_others_come() -> None:
    bodies = [bytes([number]) * size for number, size in enumerate((900, 90, 0, 900))]
    assert [await in_parts(body) for body in bodies] == bodies


async def test_the_memory_of_a_message_in_parts_is_used_again() -> None:
    body = bytes(1024 * 1024)
    await in_parts(body)
    gc.collect()
    tracemalloc.start()
    try:
        assert await in_parts(body) == body
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The test itself makes the two parts out of a whole.
    assert peak < 2.5 * len(body)


async def test_of_several_messages_the_memory_of_one_is_kept() -> None:
    data = framed(bytes(1024 * 1024))
    # Outside of what is measured, as the parts would count.
    parts = data[:9], data[9:]
    tracemalloc.start()
    try:
        inboxes = [Acknowledged().inbox for _ in range(4)]
        for part in parts:
            for inbox in inboxes:
                inbox.add(part, len(part))
        for inbox in inboxes:
            assert await read(inbox) == data[5:]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1.5 * len(data)


async def test_small_messages_take_little_more_memory_than_their_bytes() -> None:
    inbox = Acknowledged().inbox
    data = framed(bytes(100)) * 5_000
    tracemalloc.start()
    try:
        inbox.add(data, len(data))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 2 * len(data)


async def test_a_frame_that_looks_like_a_message_may_be_part_of_one() -> None:
    body = b"<" + framed(b"inner") + b">"
    fed = Acknowledged()
    for part in (framed(body)[:6], framed(b"inner"), b">"):
        fed.inbox.add(part, len(part))
    assert await read(fed.inbox) == body


async def test_the_memory_of_a_huge_message_is_not_kept() -> None:
    body = bytes(16 * 1024 * 1024)
    tracemalloc.start()
    try:
        await in_parts(body)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * 1024


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_cut_message_is_partial(cut: int) -> None:
    fed = Acknowledged()
    fed.inbox.add(framed(b"body")[:cut], cut)
    assert fed.inbox.is_partial


def test_bad_prefixes_are_refused_before_the_body() -> None:
    errors: list[CallError] = []
    inbox = Inbox(10, errors.append)
    inbox.add(framed(bytes(11))[:5], 5)
    inbox = Inbox(10, errors.append)
    inbox.add(b"\2" + framed(b"zip")[1:], 8)
    inbox = Inbox(10, errors.append)
    inbox.add(b"\1" + framed(bytes(11))[1:], 16)
    assert [error.status for error in errors] == [
        Status.RESOURCE_EXHAUSTED,
        Status.INTERNAL,
        Status.RESOURCE_EXHAUSTED,
    ]


@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=8), st.data()
)
async def test_compressed_and_plain_messages_come_through_any_cut(
    messages: list[tuple[bool, bytes]], data: st.DataObject
) -> None:
    fed = Acknowledged()
    fed.inbox.encoding = "gzip"
    stream = b""
    for is_compressed, body in messages:
        plain = framed(gzip.compress(body) if is_compressed else body)
        stream += bytes([is_compressed]) + plain[1:]
    total = len(stream)
    while stream:
        cut = data.draw(st.integers(0, len(stream)))
        fed.inbox.add(stream[:cut], cut)
        stream = stream[cut:]
    assert [await read(fed.inbox) for _ in messages] == [body for _, body in messages]
    # What is acknowledged is what came, not what it became.
    assert fed.total + fed.inbox.unacknowledged_bytes == total


def compressed_frame(body: bytes) -> bytes:
    return b"\1" + framed(gzip.compress(body))[1:]


async def test_unread_messages_stay_compressed() -> None:
    inbox = Acknowledged().inbox
    inbox.encoding = "gzip"
    data = compressed_frame(bytes(4 * 1024 * 1024)) * 10
    tracemalloc.start()
    try:
        inbox.add(data, len(data))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 2 * len(data)
    assert len(inbox.messages) == 10


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("identity", "says that it is not compressed"),
        ("br", "compressed with 'br', where this client accepts identity, gzip"),
    ],
)
async def test_compression_that_was_not_agreed(encoding: str, text: str) -> None:
    inbox = Acknowledged().inbox
    inbox.encoding = encoding
    data = compressed_frame(b"body")
    inbox.add(data, len(data))
    for _ in range(2):
        with pytest.raises(CallError, match=text) as caught:
            await read(inbox)
        assert caught.value.status is Status.INTERNAL


async def test_a_cancelled_expansion_loses_nothing() -> None:
    inbox = Acknowledged().inbox
    inbox.encoding = "gzip"
    body = bytes(1024 * 1024)
    data = compressed_frame(body) + framed(b"next")
    inbox.add(data, len(data))
    for _ in range(3):
        reading = asyncio.create_task(read(inbox))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await read(inbox) == body
    assert await read(inbox) == b"next"


async def test_one_reader_expands_at_a_time() -> None:
    inbox = Acknowledged().inbox
    inbox.encoding = "gzip"
    data = compressed_frame(bytes(1024 * 1024))
    inbox.add(data, len(data))
    first, second = await asyncio.gather(
        read(inbox), read(inbox), return_exceptions=True
    )
    assert first == bytes(1024 * 1024)
    assert isinstance(second, RuntimeError)


@pytest.mark.parametrize("cut", [1, 5, 9, 15, 20])
@pytest.mark.parametrize("size", [10, 11])
def test_a_message_over_the_limit_is_refused(size: int, cut: int) -> None:
    errors: list[CallError] = []
    inbox = Inbox(10, errors.append)
    data = framed(bytes(size))
    for part in (data[:cut], data[cut:]):
        # A call adds nothing after the refusal.
        if not errors:
            inbox.add(part, len(part))
    assert len(inbox.messages) == (size == 10)
    assert len(errors) == (size == 11)


async def test_a_cancelled_read_loses_nothing() -> None:
    fed = Acknowledged()
    for arrives_first in (False, True):
        reading = asyncio.create_task(read(fed.inbox))
        await asyncio.sleep(0)
        if arrives_first:
            fed.inbox.add(framed(b"one"), 8)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await read(fed.inbox) == b"one"


async def test_one_reader_at_a_time() -> None:
    fed = Acknowledged()
    reading = asyncio.create_task(read(fed.inbox))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task is reading"):
        await read(fed.inbox)
    fed.inbox.add(framed(b"one"), 8)
    assert await reading == b"one"


async def test_wake_ends_the_wait() -> None:
    inbox = Acknowledged().inbox
    waiter = inbox.waiter()
    inbox.wake()
    inbox.wake()
    await waiter
    assert not inbox.messages


async def test_acknowledging_waits_for_a_step() -> None:
    """What is below the step stays, and goes with the next message that is read."""
    fed = Acknowledged()
    for size, total in ((20_000, 0), (20_000, 40_010), (5, 40_010)):
        data = framed(bytes(size))
        fed.inbox.add(data, len(data))
        fed.inbox.take()
        assert fed.total == total
    assert fed.inbox.unacknowledged_bytes == 10


async def test_padding_is_acknowledged_as_well() -> None:
    fed = Acknowledged()
    data = framed(b"body")
    fed.inbox.add(data, len(data) + 16 * 1024)
    fed.inbox.add(data, len(data) + 16 * 1024)
    assert fed.total == 32 * 1024
    assert fed.inbox.unacknowledged_bytes == 2 * len(data)
    # Padding that is read with the rest is not acknowledged twice.
    fed.inbox.add(framed(bytes(40_000)), 40_005 + 100)
    for _ in range(3):
        fed.inbox.take()
    fed.inbox.add(b"", 32 * 1024)
    assert fed.total == 2 * 32 * 1024 + 2 * len(data) + 40_105


async def test_frames_with_data_are_counted() -> None:
    inbox = Acknowledged().inbox
    for part in (b"", b"\0", framed(b"whole")[1:]):
        inbox.add(part, len(part))
    assert inbox.received_frames == 2
    assert inbox.take() == b"whole"


def test_what_never_becomes_whole_is_not_kept() -> None:
    inbox = Acknowledged().inbox
    tracemalloc.start()
    try:
        inbox.add(framed(b"whole"), 10)
        inbox.add(framed(bytes(9_000_000))[:9], 9)
        inbox.add(bytes(8_000_000), 8_000_000)
        inbox.close()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    assert inbox.is_partial
    assert inbox.take() == b"whole"


def test_what_nobody_reads_is_discarded() -> None:
    inbox = Acknowledged().inbox
    inbox.add(framed(b"one"), 8)
    inbox.discard()
    assert not inbox.messages
