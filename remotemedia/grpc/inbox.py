"""The received half of a call: DATA frames go in, whole messages come out.

HTTP/2's flow control is the only read-ahead. What nobody has read is not acknowledged,
so the peer stops at the stream's window. The parts of a message that is still
incomplete are acknowledged only while a reader waits for it, so a message may be larger
than the window. Padding is never kept, so it is acknowledged whoever reads.

A compressed message stays compressed until it is read. So what waits in the inbox never
takes more memory than the window lets through.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

from grpclib.const import Status

from remotemedia.grpc.compression import ACCEPTED, PREFIX, expand
from remotemedia.grpc.status import CallError

# Read bytes are acknowledged in steps of this size. It is below half of the smallest
# window that HTTP/2 starts with, so the peer never waits for an acknowledgement.
_ACKNOWLEDGE_STEP_BYTES = 32 * 1024
# The buffer of a message that came in parts serves the next one. New memory for each
# large message would cost as much as all else: the system provides it page by page.
_spare_bodies: list[BytesIO] = []
# The process keeps one spare buffer of up to this size for good.
_MAX_SPARE_BYTES = 2 * 1024 * 1024


class Inbox:
    """The messages of one stream that were received and not read yet.

    Attributes:
        messages: what waits for the reader. ``take`` takes it out, or, where it is a
            ``Compressed``, ``take_expanded``.
        encoding: how messages are compressed that have the flag for it, as the
            response headers say.
        acknowledge: called with a number of bytes that the peer may send again.
        received_frames: how many frames with data arrived; it tells whether a stream
            moves.
        received_bytes: the size of their payloads.
        received_messages: how many messages were complete.
        unacknowledged_bytes: what was received and not acknowledged.
    """

    def __init__(
        self, max_message_bytes: int, on_bad_data: Callable[[CallError], None]
    ) -> None:
        """Prepare an empty inbox.

        Args:
            max_message_bytes: the largest message. A larger one is refused by its
                length prefix, before its body is kept.
            on_bad_data: called with the error where a message is refused. Nothing more
                may be added then.
        """
        self.messages: deque[bytes | BytesIO | Compressed] = deque()
        self.encoding: str = "identity"
        self.acknowledge: Callable[[int], None] | None = None
        self.received_frames: int = 0
        self.received_bytes: int = 0
        self.received_messages: int = 0
        self.unacknowledged_bytes: int = 0
        self._max_message_bytes = max_message_bytes
        self._on_bad_data = on_bad_data
        self._waiter: asyncio.Future[None] | None = None
        # The incomplete message: as much of its prefix as has arrived, its body in a
        # buffer that grows with it, and how much of the body is missing.
        self._prefix = b""
        self._body: BytesIO | None = None
        self._missing_bytes = 0
        self._is_compressed = False
        # The part of the unacknowledged bytes that whole unread messages take.
        self._unread_bytes = 0
        # The part that was padding.
        self._padding_bytes = 0
        self._is_discarded = False

    @property
    def is_partial(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._prefix)

    def add(self, data: bytes, window_bytes: int) -> None:
        """Take the payload of a DATA frame, and how much of the window it used."""
        self.unacknowledged_bytes += window_bytes
        if data:
            self.received_frames += 1
            self.received_bytes += len(data)
        if window_bytes > len(data):
            self._padding_bytes += window_bytes - len(data)
            self._acknowledge_padding()
        size = len(data) - PREFIX.size
        if (
            not self._prefix
            and 0 <= size <= self._max_message_bytes
            and PREFIX.unpack_from(data) == (0, size)
        ):
            # The frame is one whole message, as most are.
            self.received_messages += 1
            self.messages.append(data[PREFIX.size :])
            self._unread_bytes += len(data)
        else:
            rest = memoryview(data)
            while rest:
                body = self._body
                taken = (
                    self._begin(rest) if body is None else self._continue(body, rest)
                )
                rest = rest[taken:]
            if not self.messages:
                if self._waiter is not None and not self._waiter.done():
                    self._acknowledge_read()
                return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def waiter(self) -> asyncio.Future[None]:
        """Done when there may be a message, or when ``wake`` is called.

        Raises:
            RuntimeError: another task is waiting.
        """
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("another task is reading from this stream")
        if self.unacknowledged_bytes - self._unread_bytes >= _ACKNOWLEDGE_STEP_BYTES:
            self._acknowledge_read()
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def close(self) -> None:
        """Take no more; what is there may still be read. Wakes the reader."""
        # Without these references a call that is over is freed at once.
        self.acknowledge = None
        self._on_bad_data = _ignore
        # It never becomes whole.
        self._body = None
        self.wake()

    def discard(self) -> None:
        """Drop what nobody will read; it may be large."""
        self._is_discarded = True
        self.messages.clear()

    def wake(self) -> None:
        """Have the reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> bytes:
        """Take the message that has waited longest. There must be one."""
        message = self.messages.popleft()
        if isinstance(message, Compressed):
            message = message.body
        data = message if isinstance(message, bytes) else _contents(message)
        self._unread_bytes -= len(data) + PREFIX.size
        if self.unacknowledged_bytes - self._unread_bytes >= _ACKNOWLEDGE_STEP_BYTES:
            self._acknowledge_read()
        return data

    async def take_expanded(self) -> bytes | None:
        """Take the message that has waited longest, which must be compressed.

        A cancelled or failed attempt leaves it where it is.

        Returns:
            The message; None if it was discarded meanwhile.

        Raises:
            CallError: it is not compressed as was agreed, or too large.
            RuntimeError: another task took it meanwhile.
        """
        message = self.messages[0]
        assert isinstance(message, Compressed)  # noqa: S101 - as said above
        if self.encoding != "gzip":
            raise _not_agreed(self.encoding)
        body = message.body
        data = body if isinstance(body, bytes) else body.getvalue()
        expanded = await expand(data, self._max_message_bytes)
        if self._is_discarded:
            return None
        if not self.messages or self.messages[0] is not message:
            raise RuntimeError("another task is reading from this stream")
        self.take()
        return expanded

    def _begin(self, data: memoryview) -> int:
        """Take a prefix, or what is missing of it, and the body if it is all there.

        Returns:
            How many bytes were taken: all of them where the prefix is refused.
        """
        stop = PREFIX.size - len(self._prefix)
        self._prefix += data[:stop]
        if len(self._prefix) < PREFIX.size:
            return len(data)
        flag: int
        length: int
        flag, length = PREFIX.unpack(self._prefix)
        if flag > 1:
            self._on_bad_data(_bad_flag(flag))
            return len(data)
        self._is_compressed = flag == 1
        if length > self._max_message_bytes:
            self._on_bad_data(_too_large(length, self._max_message_bytes))
            return len(data)
        if len(data) - stop >= length:
            self._prefix = b""
            self.received_messages += 1
            self._append(bytes(data[stop : stop + length]))
            self._unread_bytes += PREFIX.size + length
            return stop + length
        try:
            self._body = _spare_bodies.pop()
            self._body.seek(0)
        except IndexError:
            self._body = BytesIO()
        self._missing_bytes = length
        return stop

    def _continue(self, body: BytesIO, data: memoryview) -> int:
        """Take more of a body, and return how many bytes of it."""
        size = body.write(data[: self._missing_bytes])
        self._missing_bytes -= size
        if not self._missing_bytes:
            # Cut off what is left of an earlier, longer message.
            self._unread_bytes += PREFIX.size + body.truncate()
            self.received_messages += 1
            self._append(body)
            self._prefix, self._body = b"", None
        return size

    def _append(self, message: bytes | BytesIO) -> None:
        self.messages.append(Compressed(message) if self._is_compressed else message)

    def _acknowledge_read(self) -> None:
        read_bytes = self.unacknowledged_bytes - self._unread_bytes
        if read_bytes >= _ACKNOWLEDGE_STEP_BYTES and self.acknowledge is not None:
            self.unacknowledged_bytes -= read_bytes
            self._padding_bytes = 0
            self.acknowledge(read_bytes)

    def _acknowledge_padding(self) -> None:
        size = self._padding_bytes
        if size >= _ACKNOWLEDGE_STEP_BYTES and self.acknowledge is not None:
            self.unacknowledged_bytes -= size
            self._padding_bytes = 0
            self.acknowledge(size)


class Compressed(NamedTuple):
    """A message that is to be expanded when it is read."""

    body: bytes | BytesIO


def _ignore(error: CallError) -> None:
    pass


def _contents(body: BytesIO) -> bytes:
    """The message in a buffer, which is kept for another unless it is too large."""
    data = body.getvalue()
    if not _spare_bodies and len(data) <= _MAX_SPARE_BYTES:
        # BytesIO copies on write, so the message stays as it is.
        _spare_bodies.append(body)
    return data


def _not_agreed(encoding: str) -> CallError:
    return CallError(
        Status.INTERNAL,
        "the peer sent a compressed message, but says that it is not compressed "
        "(grpc-encoding)"
        if encoding == "identity"
        else f"the peer sent a message compressed with {encoding!r}, where this client "
        f"accepts {', '.join(ACCEPTED)}: change the compression at the service or the "
        "proxy before it",
    )


def _bad_flag(flag: int) -> CallError:
    return CallError(
        Status.INTERNAL,
        f"the peer sent a message with the flag {flag}, where gRPC has only 0 and 1",
    )


def _too_large(size: int, limit: int) -> CallError:
    return CallError(
        Status.RESOURCE_EXHAUSTED,
        f"the response is {size} bytes, over the limit of {limit} (max_receive_bytes)",
    )
