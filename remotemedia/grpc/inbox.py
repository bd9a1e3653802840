"""The received half of a call: DATA frames in, whole messages out."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from io import BytesIO

from grpclib.const import Status

from remotemedia.grpc.status import CallError

PREFIX = struct.Struct(">BI")
"""What goes before each message: whether it is compressed, and its length."""

# Read bytes are acknowledged in steps of this size. It is below half of the
# smallest window that HTTP/2 starts with, so the peer never runs dry meanwhile.
_ACK_STEP_BYTES = 32 * 1024
# The buffer of a message that came in parts, for the next one. New memory for each
# large message would cost as much as all else: the system gives it page by page.
_spare_bodies: list[BytesIO] = []
# As much may be kept, by the process and for good.
_MAX_SPARE_BYTES = 2 * 1024 * 1024


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
        self._messages: deque[bytes | BytesIO] = deque()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        # What has come of a message: of its prefix, and, in a buffer that grows with
        # it, of its body. How much of that is missing.
        self._prefix = b""
        self._body: BytesIO | None = None
        self._missing = 0
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
        return bool(self._prefix)

    def add(self, data: bytes, ack_size: int) -> None:
        """Take the payload of a DATA frame."""
        self.received += 1
        self._unacknowledged += ack_size
        if self._ended or not data:
            return
        if not self._prefix and self._is_message(data):
            self._messages.append(data[PREFIX.size :])
            self._unread += len(data)
            self._wake()
            return
        rest = memoryview(data)
        while rest:
            body = self._body
            size = self._begin(rest) if body is None else self._go_on(body, rest)
            rest = rest[size:]
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
            # They lead back to the call, and are not needed any more.
            del self._on_end, self._on_bad_data

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
        data = message if isinstance(message, bytes) else _take_out(message)
        self._unread -= len(data) + PREFIX.size
        self._settle()
        return data

    def _is_message(self, data: bytes) -> bool:
        """Whether the data is one good message, as most frames are."""
        size = len(data) - PREFIX.size
        return 0 <= size <= self._max_message_bytes and PREFIX.unpack_from(data) == (
            0,
            size,
        )

    def _begin(self, data: memoryview) -> int:
        """Take a prefix, or what is missing of it, and the body if all is there.

        Returns:
            How many bytes were taken: all of them where the prefix is bad.
        """
        stop = PREFIX.size - len(self._prefix)
        self._prefix += data[:stop]
        if len(self._prefix) < PREFIX.size:
            return len(data)
        length: int
        compressed, length = PREFIX.unpack(self._prefix)
        if compressed:
            self._on_bad_data(_compressed())
            return len(data)
        if length > self._max_message_bytes:
            self._on_bad_data(_too_large(length, self._max_message_bytes))
            return len(data)
        if len(data) - stop >= length:
            self._prefix = b""
            self._messages.append(bytes(data[stop : stop + length]))
            self._unread += PREFIX.size + length
            return stop + length
        try:
            self._body = _spare_bodies.pop()
            self._body.seek(0)
        except IndexError:
            self._body = BytesIO()
        self._missing = length
        return stop

    def _go_on(self, body: BytesIO, data: memoryview) -> int:
        """Take more of a body that did not come at once; return how many bytes."""
        size = body.write(data[: self._missing])
        self._missing -= size
        if not self._missing:
            # What is left of an earlier message goes.
            self._unread += PREFIX.size + body.truncate()
            self._messages.append(body)
            self._prefix, self._body = b"", None
        return size

    def _settle(self) -> None:
        read = self._unacknowledged - self._unread
        if read >= _ACK_STEP_BYTES and self.acknowledge and not self._ended:
            self._unacknowledged -= read
            self.acknowledge(read)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _take_out(body: BytesIO) -> bytes:
    """The message in a buffer, which is kept for another if it is not too large."""
    data = body.getvalue()
    if not _spare_bodies and len(data) <= _MAX_SPARE_BYTES:
        # Where the message is still in use then, the buffer takes new memory by itself.
        _spare_bodies.append(body)
    return data


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
