"""Load on a fleet, and a book of what became of every call and chunk.

GetVersion changes nothing, so it is repeated whenever a server or a connection failed.
A stream is opened once: it delivers all of its results and ends, or fails and says so.
Anything else is a problem.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from grpclib.const import Status

from remotemedia import AudioBuffer, RemoteMediaClient, RemoteMediaError
from tests.support.pipelines import PASS, tone
from tests.support.waiting import until

CHUNKS = 20
# One server may be lost, and its replacement not be known yet, for about this long.
MAX_ATTEMPTS = 40
_PAUSE_S = 0.05
# How HAProxy and nginx end a call whose server was lost in the middle: without
# trailers, or by a reset with INTERNAL_ERROR.
_FROM_BALANCERS = (Status.UNKNOWN, Status.INTERNAL)
_CHUNK = tone(160)


class Load:
    """Workers that call until they are told to stop.

    Attributes:
        calls: GetVersion calls that were answered.
        repeats: how often one was made again.
        streams: streams that delivered everything.
        failed_streams: streams that said that they failed.
        problems: what must not happen.
    """

    def __init__(self, client: RemoteMediaClient) -> None:
        self.client = client
        self.calls = self.repeats = self.streams = self.failed_streams = 0
        self.errors: Counter[str] = Counter()
        self.problems: list[str] = []
        self._is_stopping = False

    async def run(self, workers: int = 3) -> None:
        """Run so many workers of each kind, until ``stop``."""
        await asyncio.gather(
            *[work() for work in (self._call, self._stream) for _ in range(workers)]
        )

    def stop(self) -> None:
        """Have every worker finish what it does."""
        self._is_stopping = True

    async def more(self, count: int = 30) -> None:
        """Wait until the load has made so many calls and a few streams more."""
        calls, streams = self.calls + count, self.ended_streams + count // 10
        await until(lambda: self.calls >= calls and self.ended_streams >= streams)

    @property
    def ended_streams(self) -> int:
        """How many streams have ended in either way."""
        return self.streams + self.failed_streams

    async def _call(self) -> None:
        while not self._is_stopping:
            for attempt in range(MAX_ATTEMPTS):
                try:
                    await self.client.get_version(timeout=5)
                except RemoteMediaError as error:  # noqa: PERF203 - it tries again
                    self.errors[str(error)] += 1
                    is_lost = not (error.retryable or error.status in _FROM_BALANCERS)
                    if is_lost or attempt + 1 == MAX_ATTEMPTS:
                        self.problems.append(f"a call was lost: {error!r}")
                        break
                    self.repeats += 1
                    await asyncio.sleep(_PAUSE_S)
                else:
                    self.calls += 1
                    break

    async def _stream(self) -> None:
        while not self._is_stopping:
            sequences: list[int] = []
            try:
                async for chunk in self.client.stream_pipeline(PASS, source()):
                    sequences.append(chunk.sequence)  # noqa: PERF401 - kept if it fails
            except RemoteMediaError as error:
                self.errors[str(error)] += 1
                self.failed_streams += 1
                is_whole = False
                await asyncio.sleep(_PAUSE_S)
            else:
                self.streams += 1
                is_whole = True
            expected = list(range(CHUNKS if is_whole else len(sequences)))
            if sequences != expected:
                self.problems.append(f"a stream delivered {sequences}")


async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
    """Yield chunks, slowly enough that a server can be lost meanwhile."""
    for _ in range(CHUNKS):
        yield "src", _CHUNK
        await asyncio.sleep(0.002)
