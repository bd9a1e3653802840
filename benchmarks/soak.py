"""Run thousands of calls and sessions against services that fail at random.

    python -m benchmarks.soak [--quick] [--seed N] [--operations N]

The services reset and refuse calls, send wrong answers, close connections and stop
answering. A client calls one of them or both, over one connection or more; half of the
clients send pings, and half make calls again. The caller leaves calls at random points.
At the end, every submitted chunk must be accounted for: it was acknowledged, dropped by
the policy that the caller chose, or covered by an error or by the caller leaving. No
task, socket or object of a call or connection may be left, and memory use must be back
to what it was. The program prints all of this, and exits with 1 if something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import random
import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.chaos import REASON
from benchmarks.processes import serving
from remotemedia import (
    AudioBuffer,
    CallRecord,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
)
from remotemedia.grpc import RetryPolicy
from remotemedia.grpc.call import Call
from remotemedia.grpc.inbox import Inbox
from remotemedia.grpc.responses import ResponseStream
from remotemedia.http2 import Channel, Connection

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "soak"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}
BUFFERS = [
    AudioBuffer.from_numpy(np.zeros(frames, np.int16), 16_000)
    for frames in (160, 1_600, 48_000)
]
RETRY = RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.05)
FAULT_RATE = 0.03
WORKERS = 32
# Far above every deadline below. Whatever takes longer hangs.
HANG_S = 20.0
TYPES = (Call, ResponseStream, Inbox, PipelineStream, Channel, Connection)


class Soak:
    """Runs random operations, and accounts for every chunk."""

    def __init__(self, addresses: list[str], seed: int) -> None:
        self.addresses = addresses
        self.dice = random.Random(seed)
        self.books: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []

    async def run(self, operations: int) -> None:
        """Run a number of operations, several at a time."""
        todo = iter(range(operations))

        async def worker() -> None:
            client = await self.connected()
            for number in todo:
                if number % 50 == 49:
                    await client.disconnect()
                    client = await self.connected()
                await self.operation(client)
            await client.disconnect()

        await asyncio.gather(*[worker() for _ in range(WORKERS)])

    async def connected(self) -> RemoteMediaClient:
        """Return a connected client. Connecting may fail at first, like any call."""
        client = RemoteMediaClient(
            self.addresses[: self.dice.randint(1, 2)],
            timeout=0.5,
            connect_timeout=0.5,
            connections=self.dice.randint(1, 2),
            keepalive=self.dice.choice([None, 0.02]),
            keepalive_timeout=0.2,
            wait_for_ready=self.dice.random() < 0.5,
            retry=self.dice.choice([None, RETRY]),
            on_call_end=self.on_call_end,
        )
        while True:
            try:
                await client.connect()
            except RemoteMediaError:  # noqa: PERF203 - try on
                await asyncio.sleep(0.01)
            else:
                return client

    async def operation(self, client: RemoteMediaClient) -> None:
        """Run one call or session, and cancel it at a random moment, or not at all."""
        kind = self.dice.choice([self.unary, self.pipeline, self.live, self.live])
        task = asyncio.create_task(kind(client))
        patience = HANG_S
        if self.dice.random() < 0.3:
            patience = self.dice.choice([0.0, 0.001, 0.01, 0.05]) * self.dice.random()
        done, _ = await asyncio.wait({task}, timeout=patience)
        if not done:
            if patience == HANG_S:
                self.problems.append(f"hung: {task!r}")
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=HANG_S)
            if not done:
                self.problems.append(f"could not be cancelled: {task!r}")
                return
        if task.cancelled():
            self.outcomes["cancelled"] += 1
        elif (error := task.exception()) is None:
            self.outcomes["done"] += 1
        elif isinstance(error, RemoteMediaError):
            self.outcomes[type(error).__name__] += 1
        else:
            self.problems.append(f"foreign: {error!r}")

    def on_call_end(self, record: CallRecord) -> None:
        """Count the attempts that were made again."""
        self.outcomes["attempts made again"] += max(record.attempts - 1, 0)

    async def unary(self, client: RemoteMediaClient) -> None:
        """Make a call with a single response."""
        if self.dice.random() < 0.5:
            await client.get_version(timeout=0.3)
        else:
            buffer = self.dice.choice(BUFFERS)
            result = await client.execute_pipeline(
                MANIFEST,
                {"src": buffer},
                timeout=0.3,
                idempotent=self.dice.random() < 0.5,
            )
            if result.audio_outputs["src"] != buffer:
                self.problems.append("another call's answer")

    async def pipeline(self, client: RemoteMediaClient) -> None:
        """Run a session with an iterable as its source."""
        submitted = acknowledged = 0
        last = -1
        left = True
        count = self.dice.randint(0, 30)
        stop_after = self.dice.choice([None, None, 3])

        async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
            nonlocal submitted
            for _ in range(count):
                submitted += 1
                yield "src", self.dice.choice(BUFFERS)
                await asyncio.sleep(self.dice.choice([0, 0, 0.001]))

        results = client.stream_pipeline(MANIFEST, source(), timeout=0.5)
        try:
            async for chunk in results:
                # A service may skip chunks, but results must stay in order.
                if chunk.sequence <= last:
                    self.problems.append("a result out of order")
                last = chunk.sequence
                acknowledged += 1
                if acknowledged == stop_after:
                    break
            else:
                left = False
        finally:
            await results.aclose()
            # If the service ends a session early, and says so, the iteration ends
            # without an error. Such chunks are counted separately.
            self.close_books(submitted, acknowledged, 0, "left" if left else "early")

    async def live(self, client: RemoteMediaClient) -> None:
        """Run a session that sends by hand, and reads in another task."""
        stream = client.open_stream(
            MANIFEST, timeout=0.5, max_buffered_chunks=self.dice.randint(1, 8)
        )
        taken = 0
        ended = "left"
        try:
            async with stream:
                reader = asyncio.create_task(self.read(stream))
                try:
                    for _ in range(self.dice.randint(0, 30)):
                        buffer = self.dice.choice(BUFFERS)
                        if self.dice.random() < 0.5:
                            await stream.send("src", buffer)
                        else:
                            stream.try_send("src", buffer, when_full="drop_oldest")
                        taken += 1
                        await asyncio.sleep(self.dice.choice([0, 0, 0.001]))
                    finish = self.dice.choice([stream.close, stream.cancel, None])
                    if finish is not None:
                        closed = await finish()
                        early = closed is None or closed.reason == REASON
                        cancelled = finish == stream.cancel
                        ended = "early" if early or cancelled else "closed"
                finally:
                    reader.cancel()
                    await asyncio.wait({reader})
        except RemoteMediaError:
            ended = "error"
            raise
        finally:
            if taken != stream.chunks_sent + stream.chunks_dropped:
                self.problems.append(
                    f"{taken} chunks taken, {stream.chunks_sent} sent, "
                    f"{stream.chunks_dropped} dropped ({ended})"
                )
            self.close_books(
                taken, stream.chunks_acknowledged, stream.chunks_dropped, ended
            )

    async def read(self, stream: PipelineStream) -> None:
        """Read all results. The sender gets the error if the session fails."""
        try:
            async for _ in stream:
                pass
        except RemoteMediaError:
            pass

    def close_books(self, submitted: int, acked: int, dropped: int, how: str) -> None:
        """Account for the chunks of a session."""
        self.books["submitted"] += submitted
        self.books["acknowledged"] += acked
        self.books["dropped"] += dropped
        self.books[
            {
                "left": "covered by an error or by leaving",
                "error": "covered by an error or by leaving",
                "early": "in a session that the service ended, or was cancelled",
                "closed": "UNACCOUNTED",
            }[how]
        ] += submitted - acked - dropped


def sockets() -> int:
    """Count the open sockets. Always 0 except on Linux."""
    folder = Path("/proc/self/fd")
    count = 0
    for entry in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # It was closed after it was listed.
            count += str(entry.readlink()).startswith("socket:")
    return count


def resident_mb() -> float:
    """Return the memory in use, or the peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def left_over() -> int:
    """Count the live objects that belong to calls and connections."""
    gc.collect()
    return sum(isinstance(thing, TYPES) for thing in gc.get_objects())


async def soak(addresses: list[str], seed: int, operations: int) -> list[str]:
    """Warm up, run the operations, compare before and after; return the problems."""
    loop = asyncio.get_running_loop()
    test = Soak(addresses, seed)
    loop.set_exception_handler(
        lambda loop, context: test.problems.append(f"reported to the loop: {context}")
    )
    sys.unraisablehook = lambda args: test.problems.append(f"unraisable: {args}")
    await test.run(max(operations // 10, 100))
    before = sockets(), resident_mb(), left_over()
    tracemalloc.start()
    started = time.monotonic()
    await test.run(operations)
    seconds = time.monotonic() - started
    await asyncio.sleep(0.1)
    after = sockets(), resident_mb(), left_over()
    kept_mb = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    tasks = len(asyncio.all_tasks()) - 1
    print(f"{operations} operations in {seconds:.1f} s, seed {seed}")
    for name, count in [*sorted(test.outcomes.items()), *test.books.items()]:
        print(f"  {name}: {count}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  sockets: {before[0]} -> {after[0]}; tasks left: {tasks}")
    print(f"  memory kept: {kept_mb:.2f} MB of what was allocated")
    print(f"  resident: {before[1]:.1f} -> {after[1]:.1f} MB, at most {peak:.1f} MB")
    print(f"  objects of calls and connections: {before[2]} -> {after[2]}")
    problems = test.problems
    checks: list[tuple[Callable[[], bool], str]] = [
        (lambda: test.books["UNACCOUNTED"] != 0, "chunks are unaccounted for"),
        (lambda: after[0] > before[0], "sockets are left"),
        (lambda: tasks > 0, "tasks are left"),
        (lambda: after[2] > 0, "objects of calls are left"),
        (lambda: kept_mb > 2.0, "memory is kept"),
    ]
    problems += [text for is_wrong, text in checks if is_wrong()]
    return problems


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short, for CI")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--uvloop", action="store_true", help="on that loop")
    options = parser.parse_args()
    operations = 400 if options.quick else options.operations
    arguments = "benchmarks.chaos", str(options.seed), str(FAULT_RATE)
    with serving(*arguments) as one, serving(*arguments) as other:
        work = soak([one, other], options.seed, operations)
        if options.uvloop:
            problems = importlib.import_module("uvloop").run(work)
        else:
            problems = asyncio.run(work)
    for problem, count in Counter(problems).most_common(20):
        print(f"PROBLEM ({count}): {problem}")
    if problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
