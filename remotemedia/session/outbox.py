"""The chunks that a live source has handed over and the call has not sent yet.

Chunks may be put in from any thread: a microphone's callback runs in one of its own.
Everything else happens in the event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.session.messages import Payload

_MAX_BYTES = 8 * 1024 * 1024


class Outbox:
    """A bounded queue of chunks. It is full with so many chunks, or 8 MiB of them.

    It belongs to the event loop that it is made in. It knows nothing of whether the
    session goes on: whoever waits is woken by ``wake`` when that changes, and looks
    again.

    Args:
        max_chunks: how many chunks fit in.

    Attributes:
        dropped: how many chunks were taken in and never handed on.

    Raises:
        ValueError: no chunk would fit in.
    """

    def __init__(self, max_chunks: int) -> None:
        if max_chunks < 1:
            raise ValueError(f"max_buffered_chunks must be positive, got {max_chunks}")
        self.dropped: int = 0
        self._max_chunks = max_chunks
        self._chunks: deque[tuple[str, Payload]] = deque()
        self._size_bytes = 0
        self._changed = asyncio.Event()
        self._is_closed = False
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def is_full(self) -> bool:
        """Whether a chunk has to wait."""
        return len(self._chunks) >= self._max_chunks or self._size_bytes >= _MAX_BYTES

    def put(self, node_id: str, payload: Payload, *, drop_oldest: bool = False) -> bool:
        """Take a chunk in, from any thread; whether there was room for it.

        Args:
            node_id: id of the chunk's node.
            payload: what it is, checked.
            drop_oldest: make room by dropping the chunk that has waited longest.
        """
        with self._lock:
            if self._is_closed:
                return False
            if self.is_full:
                if not drop_oldest:
                    return False
                self._remove_oldest()
                self.dropped += 1
            self._chunks.append((node_id, payload))
            self._size_bytes += payload[1]
        self.wake()
        return True

    def take(self) -> tuple[str, Payload]:
        """Hand on the chunk that has waited longest. There must be one."""
        with self._lock:
            chunk = self._remove_oldest()
        self._changed.set()
        return chunk

    def close(self) -> None:
        """Drop every chunk, and take no more."""
        with self._lock:
            self._is_closed = True
            while self._chunks:
                self._remove_oldest()
                self.dropped += 1
        self._changed.set()

    def wake(self) -> None:
        """Have whoever waits look again; from any thread.

        Raises:
            RuntimeError: the event loop is closed, so that nobody can.
        """
        if threading.get_ident() == self._thread_id:
            self._changed.set()
        else:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def wait(self) -> None:
        """Wait until a chunk goes in or out, or ``wake`` is called."""
        self._changed.clear()
        await self._changed.wait()

    def _remove_oldest(self) -> tuple[str, Payload]:
        chunk = self._chunks.popleft()
        self._size_bytes -= chunk[1][1]
        return chunk
