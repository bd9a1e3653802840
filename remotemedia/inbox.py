"""The received half of a call: DATA frames in, whole messages out."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable

from grpclib.const import Status

from remotemedia.status import CallError

PREFIX = struct.Struct(">BI")
"""What goes before each message: whether it is compressed, and its length."""

# Read bytes are acknowledged in steps of this size. It is below half of the
# smallest window that HTTP/2 starts with, so the peer never runs dry meanwhile.
_ACK_STEP_BYTES = 32 * 1024


class Inbox:
    """The received half of a stream, as whole messages.

    It stands where grpclib has its own buffer, and has the three methods that grpclib
    calls: ``add``, ``eof`` and ``unacked_size``. A message is refused by its length
    prefix, before its body is kept.

    HTTP/2 flow control is the only read-ahead: what nobody read is not acknowledged,
    so the peer stops at the stream's window. Parts of a message are acknowledged
    only while the reader waits, so a message may be larger than the window.
    """

    def __init__(
        self,
        max_message_bytes: int,
        on_bad_data: Callable[[CallError], None],
        on_end: Callable[[], None],
    ) -> None:
        self.acknowledge: Callable[[int], None] | None = None
        self.received: int = 0
        self._max_message_bytes = max_message_bytes
        self._on_bad_data = on_bad_data
        self._on_end = on_end
        self._messages: deque[bytes] = deque()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        # Bytes that are not a whole message yet; the first chunk from an offset.
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._size = 0
        self._needed = PREFIX.size
        self._in_body = False
        # Bytes of flow control: received, and the part of it nobody read yet.
        self._unacknowledged = 0
        self._unread = 0

    @property
    def has_unread(self) -> bool:
        """Whether a message waits for the reader."""
        return bool(self._messages)

    @property
    def is_partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._in_body or self._size > 0

    def add(self, data: bytes, ack_size: int) -> None:
        """Take the payload of a DATA frame."""
        self.received += 1
        self._unacknowledged += ack_size
        if self._ended or not data:
            return
        if not self._in_body and not self._size and self._is_message(data):
            self._messages.append(data[PREFIX.size :])
            self._unread += len(data)
            self._wake()
            return
        self._chunks.append(data)
        self._size += len(data)
        while self._size >= self._needed:
            part = self._take(self._needed)
            if self._in_body:
                self._messages.append(part)
                self._unread += len(part) + PREFIX.size
                self._in_body, self._needed = False, PREFIX.size
                continue
            compressed, length = PREFIX.unpack(part)
            if compressed:
                self._on_bad_data(_compressed())
                return
            if length > self._max_message_bytes:
                self._on_bad_data(_too_large(length, self._max_message_bytes))
                return
            self._in_body, self._needed = True, length
        if self._messages:
            self._wake()
        elif self._waiter is not None:
            self._settle()

    def eof(self) -> None:
        """Nothing more will come."""
        if not self._ended:
            self._ended = True
            self._wake()
            self._on_end()

    def unacked_size(self) -> int:
        """Bytes still to be acknowledged, as the stream is given up."""
        size, self._unacknowledged = self._unacknowledged, 0
        return size

    async def read(self) -> bytes | None:
        """The next message, or None after the last.

        Raises:
            RuntimeError: another task is waiting for it.
        """
        if self._waiter is not None:
            raise RuntimeError("another task is reading from this stream")
        while not self._messages:
            if self._ended:
                return None
            self._settle()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        self._unread -= len(message) + PREFIX.size
        self._settle()
        return message

    def _is_message(self, data: bytes) -> bool:
        """Whether the data is one good message, as most frames are."""
        size = len(data) - PREFIX.size
        return 0 <= size <= self._max_message_bytes and PREFIX.unpack_from(data) == (
            0,
            size,
        )

    def _take(self, size: int) -> bytes:
        self._size -= size
        first = self._chunks[0] if self._chunks else b""
        end = self._offset + size
        if end <= len(first):
            part = first[self._offset : end]
            if end == len(first) and self._chunks:
                self._chunks.popleft()
                end = 0
            self._offset = end
            return part
        parts: list[bytes | memoryview] = []
        while size:
            chunk = memoryview(self._chunks[0])[self._offset :][:size]
            parts.append(chunk)
            size -= len(chunk)
            self._offset += len(chunk)
            if self._offset == len(self._chunks[0]):
                self._chunks.popleft()
                self._offset = 0
        return b"".join(parts)

    def _settle(self) -> None:
        read = self._unacknowledged - self._unread
        if read >= _ACK_STEP_BYTES and self.acknowledge and not self._ended:
            self._unacknowledged -= read
            self.acknowledge(read)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _compressed() -> CallError:
    return CallError(
        Status.UNIMPLEMENTED,
        "the peer sent a compressed message, which this client did not offer to take: "
        "switch compression off at the service or the proxy before it",
    )


def _too_large(size: int, limit: int) -> CallError:
    return CallError(
        Status.RESOURCE_EXHAUSTED,
        f"the response is {size} bytes, over the limit of {limit} (max_receive_bytes)",
    )
