"""The chunks of a live source that wait to be sent."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from remotemedia.v1 import AudioBuffer

_MAX_BYTES = 8 * 1024 * 1024


class Outbox:
    """A bounded queue from ``send`` to the call, which iterates over it.

    It is full with so many chunks, or with 8 MiB of audio.

    Attributes:
        dropped: how many chunks were taken in and never handed on.
        is_finished: whether the sender has said that nothing more comes.
        is_over: whether the call takes nothing more.
    """

    def __init__(self, max_chunks: int) -> None:
        if max_chunks < 1:
            raise ValueError(f"max_buffered_chunks must be positive, got {max_chunks}")
        self.dropped: int = 0
        self.is_finished: bool = False
        self.is_over: bool = False
        self._max_chunks = max_chunks
        self._chunks: deque[tuple[str, AudioBuffer]] = deque()
        self._size_bytes = 0
        self._has_room = asyncio.Event()
        self._has_news = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether a chunk has to wait."""
        return len(self._chunks) >= self._max_chunks or self._size_bytes >= _MAX_BYTES

    async def wait_for_room(self) -> None:
        """Wait until there is room, or no more use for it."""
        while self.is_full and not (self.is_finished or self.is_over):
            self._has_room.clear()
            await self._has_room.wait()

    def put(self, node_id: str, buffer: AudioBuffer) -> None:
        """Take a chunk in."""
        self._chunks.append((node_id, buffer))
        self._size_bytes += len(buffer.samples)
        self._has_news.set()

    def drop_oldest(self) -> None:
        """Drop the chunk that has waited longest."""
        self._take()
        self.dropped += 1

    def finish(self, *, is_flushed: bool) -> None:
        """Take no more chunks; hand on those that wait, or drop them."""
        self.is_finished = True
        while self._chunks and not is_flushed:
            self.drop_oldest()
        self._has_news.set()
        self._has_room.set()

    def end(self) -> None:
        """The call takes nothing more: let the senders know."""
        self.is_over = True
        self.dropped += len(self._chunks)
        self._chunks.clear()
        self._has_news.set()
        self._has_room.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, AudioBuffer]:
        while not self._chunks:
            if self.is_finished or self.is_over:
                raise StopAsyncIteration
            self._has_news.clear()
            await self._has_news.wait()
        self._has_room.set()
        return self._take()

    def _take(self) -> tuple[str, AudioBuffer]:
        chunk = self._chunks.popleft()
        self._size_bytes -= len(chunk[1].samples)
        return chunk
