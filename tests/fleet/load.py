"""Load on a fleet, and a book of what became of every call and chunk.

GetVersion and executions that are declared idempotent are made again by the policy of
the client, whenever a server or a connection failed. None of them may be lost.
A stream is opened once: it delivers all of its results and ends, or fails and says so.
Anything else is a problem.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from grpclib.const import Status

from remotemedia import (
    AudioBuffer,
    CallRecord,
    RemoteMediaClient,
    RemoteMediaError,
)
from remotemedia.grpc import RetryPolicy
from tests.support.pipelines import PASS, tone
from tests.support.waiting import until

CHUNKS = 20
_PAUSE_S = 0.05
RETRY = RetryPolicy(
    # One server may be lost, and its replacement not be known yet, for about 2 s.
    attempts=40,
    initial_backoff_s=_PAUSE_S,
    max_backoff_s=2 * _PAUSE_S,
    # HAProxy and nginx end a call whose server was lost in the middle without trailers
    # (UNKNOWN), or by a reset (INTERNAL).
    statuses=frozenset({Status.UNAVAILABLE, Status.UNKNOWN, Status.INTERNAL}),
    budget=1000,
)
_CHUNK = tone(160)


class Load:
    """Workers that call until they are told to stop.

    Args:
        addresses: the service, or the services.

    Attributes:
        client: what they call with.
        calls: calls with a single response that were answered.
        repeats: how often a call was made again.
        streams: streams that delivered everything.
        failed_streams: streams that said that they failed.
        problems: what must not happen.
    """

    def __init__(self, addresses: str | list[str]) -> None:
        self.client = RemoteMediaClient(
            addresses, retry=RETRY, on_call_end=self._on_call_end
        )
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
            try:
                await self.client.get_version(timeout=5)
                result = await self.client.execute_pipeline(
                    PASS, {"src": _CHUNK}, timeout=5, idempotent=True
                )
            except RemoteMediaError as error:  # noqa: PERF203 - it goes on
                self.problems.append(f"a call was lost: {error!r}")
            else:
                self.calls += 2
                if result.audio() != _CHUNK:
                    self.problems.append("a call had the answer of another")

    def _on_call_end(self, record: CallRecord) -> None:
        self.repeats += max(record.attempts - 1, 0)

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
