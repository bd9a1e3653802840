"""Measure the latency of single calls and chunks, beside the targets of the service.

    python -m benchmarks.latency [ADDRESS]

Without an address, the program starts the embedded service in a process of its own. It
prints percentiles in milliseconds, and checks none of them, since machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator

import numpy as np

from benchmarks.processes import local_service
from remotemedia import AudioBuffer, RemoteMediaClient

CALLS = 500
CHUNKS = 500
MANIFEST = {
    "version": "v1",
    "metadata": {"name": "latency"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}


def row(name: str, seconds: list[float], target_ms: float) -> str:
    """Return a row of the table: percentiles of some durations, and the target."""
    ms = [value * 1000 for value in seconds]
    p50, p99 = statistics.median(ms), statistics.quantiles(ms, n=100)[98]
    return f"| {name} | {p50:.2f} | {p99:.2f} | {max(ms):.2f} | {target_ms:g} |"


async def measure(address: str) -> None:
    """Time both calls in turn, and then chunks, one at a time."""
    buffer = AudioBuffer.from_numpy(np.zeros(1600, np.float32), 16_000)
    version, execute, chunk = [], [], []
    async with RemoteMediaClient(address) as client:
        for _ in range(CALLS):
            started = time.perf_counter()
            await client.get_version()
            version.append(time.perf_counter() - started)
            started = time.perf_counter()
            await client.execute_pipeline(MANIFEST, {"src": buffer})
            execute.append(time.perf_counter() - started)

        answered = asyncio.Event()
        started = 0.0

        async def one_at_a_time() -> AsyncIterator[tuple[str, AudioBuffer]]:
            for _ in range(CHUNKS):
                answered.clear()
                nonlocal started
                started = time.perf_counter()
                yield "src", buffer
                await answered.wait()

        async for _ in client.stream_pipeline(MANIFEST, one_at_a_time()):
            chunk.append(time.perf_counter() - started)
            answered.set()
    print("| call | p50 ms | p99 ms | worst ms | target ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(row("get_version", version, 5))
    print(row("execute_pipeline, 6,400 bytes", execute, 5))
    print(row("a chunk on a stream, 6,400 bytes", chunk, 50))


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", nargs="?", help="a running service")
    address = parser.parse_args().address
    if address:
        asyncio.run(measure(address))
        return
    with local_service() as address:
        asyncio.run(measure(address))


if __name__ == "__main__":
    main()
