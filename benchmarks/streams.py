"""Run a thousand live streams at once, against one service process.

    python -m benchmarks.streams [--quick] [--streams N] [--seconds S] [--rate R]

Every stream sends ten chunks a second, each of 100 ms of audio (3,200 bytes): first all
streams over one connection, then over several. The latency of a chunk counts from when
it was due. If the machine cannot keep up, the achieved rate is below the offered rate.
The program prints whether all streams were complete, the latencies, how much later the
last stream ended than the first, and the processor time of both processes.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.processes import local_service
from remotemedia import AudioBuffer, RemoteMediaClient

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "streams"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}
# 100 ms of 16-bit audio at 16 kHz.
BUFFER = AudioBuffer.from_numpy(np.zeros(1_600, np.int16), 16_000)
CONNECTIONS = 8


@dataclass
class Load:
    """The load that is offered, and what was measured."""

    streams: int
    chunks: int
    rate: float
    opened: int = 0
    begun_at: float = 0.0
    begin: asyncio.Event = field(default_factory=asyncio.Event)
    latencies_s: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)
    incomplete: int = 0

    async def arrive(self) -> None:
        """Wait until every stream is open."""
        self.opened += 1
        if self.opened == self.streams:
            self.begun_at = time.monotonic()
            self.begin.set()
        await self.begin.wait()

    async def stream(self, client: RemoteMediaClient, number: int) -> None:
        """Run one stream, whose chunks are due evenly between those of the others."""
        due: list[float] = []

        async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
            await self.arrive()
            first = self.begun_at + number / self.streams / self.rate
            due.extend(first + chunk / self.rate for chunk in range(self.chunks))
            for moment in due:
                await asyncio.sleep(max(0.0, moment - time.monotonic()))
                yield "src", BUFFER

        received = 0
        async for chunk in client.stream_pipeline(MANIFEST, source()):
            self.latencies_s.append(time.monotonic() - due[chunk.sequence])
            received += 1
        self.ended_at.append(time.monotonic())
        self.incomplete += received != self.chunks


async def run(address: str, connections: int, load: Load) -> tuple[float, float]:
    """Run a load; return the elapsed and processor time of streaming, in seconds."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(RemoteMediaClient(address, timeout=120.0))
            for _ in range(connections)
        ]
        tasks = [
            asyncio.create_task(load.stream(clients[number % connections], number))
            for number in range(load.streams)
        ]
        await load.begin.wait()
        processor = time.process_time()
        await asyncio.gather(*tasks)
        return time.monotonic() - load.begun_at, time.process_time() - processor


def children_s() -> float:
    """Return the processor time of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(connections: int, streams: int, seconds: float, rate: float) -> bool:
    """Measure and print one row; tell whether every stream was complete."""
    load = Load(streams, max(1, int(seconds * rate)), rate)
    before = children_s()
    with local_service() as address:
        wall, processor = asyncio.run(run(address, connections, load))
    service = children_s() - before
    ms = sorted(latency * 1000 for latency in load.latencies_s)
    spread = max(load.ended_at) - min(load.ended_at)
    print(
        f"| {connections} | {load.streams - load.incomplete}/{load.streams} "
        f"| {streams * rate:,.0f} | {len(ms) / wall:,.0f} "
        f"| {statistics.median(ms):.1f} | {ms[int(len(ms) * 0.99)]:.1f} | {ms[-1]:.1f} "
        f"| {spread:.2f} | {processor / wall:.0%} | {service / wall:.0%} "
        f"| {processor / len(ms) * 1e6:.0f} |",
        flush=True,
    )
    return load.incomplete == 0


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few streams, for CI")
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=10.0, help="chunks a second")
    options = parser.parse_args()
    if options.quick:
        options.streams, options.seconds = 100, 0.5
    print(f"{options.streams} streams, {options.rate:g} chunks a second each")
    print()
    print(
        "| connections | complete | offered/s | achieved/s | median ms | p99 ms "
        "| worst ms | last after first s | client | service, start included "
        "| client µs a chunk |"
    )
    print("| ---: " * 11 + "|")
    complete = [
        report(connections, options.streams, options.seconds, options.rate)
        for connections in (1, CONNECTIONS)
    ]
    if not all(complete):
        raise SystemExit("some streams were not complete")


if __name__ == "__main__":
    main()
