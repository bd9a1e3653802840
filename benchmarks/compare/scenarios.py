"""The scenarios: each makes a client work, and returns what that cost."""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.compare.clients import (
    GRPC_AIO,
    OURS,
    READY_MADE,
    SAMPLE_BYTES,
    SAMPLE_RATE,
    SOCKET,
    STOCK,
    VALUES,
    Client,
    DataClient,
    Kind,
)
from benchmarks.compare.loops import EVENT_LOOPS
from benchmarks.compare.results import Figures, Target

CONNECTIONS = 4
"""How many connections each client opens. Most scenarios use only the first."""

AT_ONCE = 40
LEAD_IN_S = 1.0
"""Seconds from opening the last live session to the first chunk."""
MIB = 1024 * 1024


async def cost(work: Awaitable[object], count: int) -> Figures:
    """Return the elapsed and the processor time of some work, for each operation."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return {
        "processor_us": (time.process_time() - cpu) / count * 1e6,
        "wall_us": (time.perf_counter() - wall) / count * 1e6,
    }


async def version_in_turn(clients: Sequence[Client], count: int) -> Figures:
    """Call GetVersion repeatedly, one call after the other."""

    async def work() -> None:
        for _ in range(count):
            await clients[0].version()

    return await cost(work(), count)


async def version_at_once(
    clients: Sequence[Client], count: int, *, connections: int
) -> Figures:
    """Call GetVersion forty times at once, over a number of connections."""

    async def work() -> None:
        for _ in range(count // AT_ONCE):
            await asyncio.gather(
                *(clients[i % connections].version() for i in range(AT_ONCE))
            )

    return await cost(work(), count // AT_ONCE * AT_ONCE)


async def execute(clients: Sequence[Client], count: int, *, size: int) -> Figures:
    """Execute a pipeline with `size` bytes of audio, which come back."""
    audio = samples(size)
    await echo(clients[0], audio)

    async def work() -> None:
        for _ in range(count):
            await echo(clients[0], audio)

    return await cost(work(), count)


async def memory(clients: Sequence[Client], count: int, *, size: int) -> Figures:
    """Return how much one execution raises the peak memory of a fresh process."""
    audio = samples(size)
    await echo(clients[0], samples(64_000))
    before = resident_bytes()
    await echo(clients[0], audio)
    return {"peak_mib": (peak_bytes() - before) / MIB}


async def stream(clients: Sequence[Client], count: int, *, size: int) -> Figures:
    """Send chunks as fast as possible in one session."""
    audio = samples(size)
    results = 0

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield audio

    def on_result() -> None:
        nonlocal results
        results += 1

    figures = await cost(clients[0].stream(chunks(), on_result), count)
    if results != count:
        raise RuntimeError(f"{results} results for {count} chunks")
    return figures


async def execute_value(
    clients: Sequence[DataClient], count: int, *, kind: Kind
) -> Figures:
    """Execute a pipeline with a value of the data contract, which comes back."""

    async def work() -> None:
        for _ in range(count):
            check_size(kind, await clients[0].execute(kind))

    await work()
    return await cost(work(), count)


async def stream_values(
    clients: Sequence[DataClient], count: int, *, kind: Kind
) -> Figures:
    """Send values of the data contract as fast as possible in one session."""
    results = 0

    def on_result(size: int) -> None:
        nonlocal results
        results += 1
        check_size(kind, size)

    figures = await cost(clients[0].stream(kind, count, on_result), count)
    if results != count:
        raise RuntimeError(f"{results} results for {count} chunks")
    return figures


async def latency(clients: Sequence[Client], count: int, *, size: int) -> Figures:
    """Run one session at the pace of speech, and return its latencies."""
    lives = await live(clients[0], 1, count, size)
    latencies = lives.latencies_ms
    return {
        "p50_ms": statistics.median(latencies),
        "p99_ms": statistics.quantiles(latencies, n=100)[98],
    }


async def many(
    clients: Sequence[Client], count: int, *, sessions: int, size: int
) -> Figures:
    """Run many sessions at the pace of speech, and return the worst delay."""
    lives = await live(clients[0], sessions, count, size)
    return {
        "processor_percent": lives.processor_s / lives.wall_s * 100,
        "worst_ms": max(lives.delays_ms),
    }


@dataclass
class Live:
    """What sessions at the pace of speech measured.

    Attributes:
        latencies_ms: for each chunk, the time from handing it over to its result.
        delays_ms: for each chunk, the time from when it was due to its result. This
            includes the time that a busy client takes to accept the chunk.
        processor_s: processor time, without opening and closing the sessions.
        wall_s: elapsed time, likewise.
    """

    latencies_ms: list[float]
    delays_ms: list[float]
    processor_s: float = 0.0
    wall_s: float = 0.0


async def live(client: Client, sessions: int, chunks: int, size: int) -> Live:
    """Run sessions at the pace of speech, each with the same number of chunks.

    All sessions open before the first chunk is due, and close after the last result, so
    that opening and closing a thousand sessions at once is not measured.
    """
    audio = samples(size)
    period_s = size / SAMPLE_BYTES / SAMPLE_RATE
    clock = time.perf_counter
    found = Live([], [])
    are_open, are_answered = asyncio.Event(), asyncio.Event()
    opened = began = processor = 0.0

    async def source(
        number: int, waiting: deque[tuple[float, float]]
    ) -> AsyncIterator[bytes]:
        nonlocal opened, began, processor
        opened += 1
        if opened == sessions:
            are_open.set()
        await are_open.wait()
        if not began:
            # Let the work that opening caused finish first.
            began = clock() + LEAD_IN_S
            await asyncio.sleep(LEAD_IN_S)
            processor = time.process_time()
        for chunk in range(1, chunks + 1):
            # The sessions are spread over the period, like independent sources.
            due = began + (chunk + number / sessions) * period_s
            await asyncio.sleep(max(0.0, due - clock()))
            waiting.append((due, clock()))
            yield audio
        await are_answered.wait()

    async def session(number: int) -> None:
        waiting: deque[tuple[float, float]] = deque()

        def on_result() -> None:
            due, handed_over = waiting.popleft()
            now = clock()
            found.delays_ms.append((now - due) * 1000)
            found.latencies_ms.append((now - handed_over) * 1000)
            if len(found.delays_ms) == sessions * chunks:
                found.wall_s = now - began
                found.processor_s = time.process_time() - processor
                are_answered.set()

        await client.stream(source(number, waiting), on_result)
        if not are_answered.is_set():
            raise RuntimeError(f"session {number} ended before all was answered")

    await asyncio.gather(*(session(number) for number in range(sessions)))
    return found


async def echo(client: Client, audio: bytes) -> None:
    """Execute a pipeline, and check that the audio came back."""
    received = await client.execute(audio)
    if received < len(audio):
        raise RuntimeError(f"{received} bytes came back of {len(audio)}")


def check_size(kind: Kind, received: int) -> None:
    """Check that as much came back as was sent."""
    if received != VALUES[kind].nbytes:
        raise RuntimeError(f"{received} bytes came back of {VALUES[kind].nbytes}")


def samples(size: int) -> bytes:
    """Return silent audio of `size` bytes."""
    return bytes(size)


def resident_bytes() -> int:
    """Return the memory of this process, or its peak where only that is known."""
    return _from_proc("VmRSS:") or peak_bytes()


def peak_bytes() -> int:
    """Return the peak memory of this process.

    On Linux, ``ru_maxrss`` is inherited from the parent process, so /proc comes first.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    rusage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return _from_proc("VmHWM:") or rusage


def _from_proc(name: str) -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


@dataclass(frozen=True)
class Scenario:
    """One or two rows of the tables.

    Attributes:
        title: what the scenario does.
        measure: the function that does it, with the clients of a contract.
        count: how many operations a round has.
        quick_count: the same in a quick run.
        targets: the targets, by the names of their figures.
        rounds: the largest number of rounds.
        clients: the clients that run it.
        event_loops: the event loops that it runs on.
        is_fresh: whether each round gets a fresh process.
        server: the server to call. Any but the default one needs a fresh process.
            "data" is that of the data contract, which has clients of its own.
    """

    title: str
    measure: Callable[[Sequence[Any], int], Awaitable[Figures]]
    count: int
    quick_count: int
    targets: dict[str, Target]
    rounds: int = 100
    clients: tuple[str, ...] = (OURS, GRPC_AIO, STOCK, READY_MADE, SOCKET)
    event_loops: tuple[str, ...] = tuple(EVENT_LOOPS)
    is_fresh: bool = False
    server: str = "server"


_GRPC_CLIENTS = (OURS, GRPC_AIO, STOCK, READY_MADE)
_LIGHT = " with a server that does next to nothing"
SCENARIOS = {
    "version": Scenario(
        "get_version, one after the other",
        version_in_turn,
        600,
        60,
        {"wall_us": Target(1.0)},
    ),
    "version_40": Scenario(
        "get_version, 40 at once",
        partial(version_at_once, connections=1),
        1200,
        80,
        {"wall_us": Target(1.0, event_loop="uvloop")},
    ),
    "version_40_over_4": Scenario(
        f"get_version, 40 at once over {CONNECTIONS} connections",
        partial(version_at_once, connections=CONNECTIONS),
        1200,
        80,
        {"wall_us": Target(1.0)},
    ),
    "execute_64k": Scenario(
        "execute_pipeline, 64 kB",
        partial(execute, size=64_000),
        300,
        20,
        {"wall_us": Target(1.0)},
    ),
    "execute_1m": Scenario(
        "execute_pipeline, 1 MiB",
        partial(execute, size=MIB),
        60,
        4,
        {"wall_us": Target(1.0)},
    ),
    "execute_32m": Scenario(
        "execute_pipeline, 32 MiB",
        partial(execute, size=32 * MIB),
        3,
        1,
        {"wall_us": Target(1.0)},
    ),
    "version_light": Scenario(
        f"get_version, one after the other,{_LIGHT}",
        version_in_turn,
        600,
        60,
        {"wall_us": Target(0.75)},
        clients=(OURS, GRPC_AIO, READY_MADE),
        is_fresh=True,
        server="light",
    ),
    "version_40_light": Scenario(
        f"get_version, 40 at once,{_LIGHT}",
        partial(version_at_once, connections=1),
        1200,
        80,
        {"wall_us": Target(0.95)},
        clients=(OURS, GRPC_AIO, READY_MADE),
        is_fresh=True,
        server="light",
    ),
    "execute_64k_light": Scenario(
        f"execute_pipeline, 64 kB,{_LIGHT}",
        partial(execute, size=64_000),
        300,
        20,
        {"wall_us": Target(0.85)},
        clients=(OURS, GRPC_AIO, READY_MADE),
        is_fresh=True,
        server="light",
    ),
    "stream_320": Scenario(
        "stream, chunks of 320 bytes",
        partial(stream, size=320),
        4000,
        300,
        {"processor_us": Target(0.9)},
    ),
    "stream_6400": Scenario(
        "stream, chunks of 6,400 bytes",
        partial(stream, size=6_400),
        4000,
        300,
        {"processor_us": Target(0.75), "wall_us": Target(0.85)},
    ),
    "stream_64k": Scenario(
        "stream, chunks of 64 kB",
        partial(stream, size=64_000),
        1000,
        60,
        {},
    ),
    "data_audio": Scenario(
        "data contract, stream, audio chunks of 6,400 bytes",
        partial(stream_values, kind="audio"),
        3000,
        300,
        {"wall_us": Target(1.0)},
        clients=(OURS, GRPC_AIO),
        is_fresh=True,
        server="data",
    ),
    "data_frame": Scenario(
        "data contract, stream, frames of 640 x 480 in RGB24",
        partial(stream_values, kind="frame"),
        150,
        10,
        {"wall_us": Target(1.0)},
        clients=(OURS, GRPC_AIO),
        is_fresh=True,
        server="data",
    ),
    "data_tensor": Scenario(
        "data contract, stream, tensors of 1 MiB",
        partial(stream_values, kind="tensor"),
        150,
        10,
        {"wall_us": Target(1.0)},
        clients=(OURS, GRPC_AIO),
        is_fresh=True,
        server="data",
    ),
    "data_execute_tensor": Scenario(
        "data contract, execute_pipeline, a tensor of 1 MiB",
        partial(execute_value, kind="tensor"),
        60,
        4,
        {"wall_us": Target(1.0)},
        clients=(OURS, GRPC_AIO),
        is_fresh=True,
        server="data",
    ),
    "latency": Scenario(
        "a live stream, 50 chunks of 1,280 bytes a second",
        partial(latency, size=1_280),
        150,
        20,
        {},
        rounds=5,
    ),
    "live_100": Scenario(
        "100 live streams, 10 chunks of 6,400 bytes a second each",
        partial(many, sessions=100, size=6_400),
        30,
        5,
        {},
        rounds=3,
        clients=_GRPC_CLIENTS,
    ),
    "live_1000": Scenario(
        "1,000 live streams, 10 chunks of 6,400 bytes a second each",
        partial(many, sessions=1000, size=6_400),
        30,
        3,
        {"worst_ms": Target(50.0, is_ratio=False)},
        rounds=3,
        clients=(OURS, GRPC_AIO, READY_MADE),
    ),
    "live_1000_light": Scenario(
        "the same, and a server that does next to nothing",
        partial(many, sessions=1000, size=6_400),
        30,
        3,
        {"worst_ms": Target(50.0, is_ratio=False)},
        rounds=3,
        clients=(OURS, GRPC_AIO),
        is_fresh=True,
        server="light",
    ),
    "memory": Scenario(
        "execute_pipeline, 32 MiB, memory of a fresh process",
        partial(memory, size=32 * MIB),
        1,
        1,
        {"peak_mib": Target(1.0)},
        rounds=5,
        clients=_GRPC_CLIENTS,
        event_loops=("asyncio",),
        is_fresh=True,
    ),
}
