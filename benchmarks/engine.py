"""Measure how much processor time the call engine adds to a chunk.

    python -m benchmarks.engine [--quick] [--profile]

The program streams the same encoded bytes to the same server process in two ways:
through grpclib's own client, the lower bound for any call over grpclib, and through the
call engine that the generated stubs use. No message is encoded or decoded on either
side. The rounds of both alternate, so that load on the machine affects both alike. The
table shows medians of the client's processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import grpclib.client
import grpclib.server
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase

from benchmarks.processes import serving
from remotemedia.grpc import ServiceStub
from remotemedia.http2 import Address, Channel

if TYPE_CHECKING:
    from typing_extensions import Self

    from remotemedia.protobuf.wire import Parts

CHUNK = bytes(6_400)
ROUTE = "/benchmark.Echo/Echo"
# Both clients have the flow-control windows of the engine's channel.
WINDOWS = Configuration(
    http2_connection_window_size=64 * 1024 * 1024,
    http2_stream_window_size=1024 * 1024,
)
TARGET_US = 10.0


class Raw:
    """A message that consists of its own encoding."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _encode(self, out: Parts) -> int:
        """Append the bytes, and return their number."""
        out.append(self.data)
        return len(self.data)

    @classmethod
    def _from_peer(cls, data: bytes) -> Self:
        """Wrap the bytes."""
        return cls(data)


class RawCodec(CodecBase):
    """grpclib's codec for such messages."""

    __content_subtype__ = "proto"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as grpclib's own codecs have it

    def encode(self, message: Raw, message_type: type[Raw]) -> bytes:
        """Return the bytes."""
        return message.data

    def decode(self, data: bytes, message_type: type[Raw]) -> Raw:
        """Wrap the bytes."""
        return Raw(data)


class Echo:
    """A service that sends back what it receives."""

    async def echo(self, stream: grpclib.server.Stream[Raw, Raw]) -> None:
        """Send every message back."""
        async for message in stream:
            await stream.send_message(message)

    def __mapping__(self) -> dict[str, Handler]:
        """Return the route of the service."""
        return {ROUTE: Handler(self.echo, Cardinality.STREAM_STREAM, Raw, Raw)}


async def serve() -> None:
    """Serve on a free port, print it, and never return."""
    server = grpclib.server.Server([Echo()], codec=RawCodec(), config=WINDOWS)
    await server.start("127.0.0.1", 0)
    listener = cast("asyncio.Server", server._server)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await server.wait_closed()


async def grpclib_flood(channel: grpclib.client.Channel, chunks: int) -> None:
    """Send as fast as the windows allow, and read meanwhile, with grpclib's client."""
    message = Raw(CHUNK)
    stream: grpclib.client.Stream[Raw, Raw]
    async with channel.request(ROUTE, Cardinality.STREAM_STREAM, Raw, Raw) as stream:
        await stream.send_request()

        async def send() -> None:
            for number in range(chunks):
                await stream.send_message(message)
                if number % 8 == 7:
                    await asyncio.sleep(0)
            await stream.end()

        sending = asyncio.create_task(send())
        received = 0
        async for _ in stream:
            received += 1
        await sending
    assert received == chunks


async def grpclib_turns(channel: grpclib.client.Channel, chunks: int) -> None:
    """Send each chunk after the answer to the one before, with grpclib's client."""
    message = Raw(CHUNK)
    stream: grpclib.client.Stream[Raw, Raw]
    async with channel.request(ROUTE, Cardinality.STREAM_STREAM, Raw, Raw) as stream:
        await stream.send_request()
        asked = asyncio.Event()

        async def send() -> None:
            for _ in range(chunks):
                await asked.wait()
                asked.clear()
                await stream.send_message(message)
            await stream.end()

        sending = asyncio.create_task(send())
        asked.set()
        async for _ in stream:
            asked.set()
        await sending


def _stream(channel: Channel, requests: AsyncIterator[Raw]) -> AsyncIterator[Raw]:
    return ServiceStub(channel)._stream_stream(ROUTE, requests, Raw)


async def engine_flood(channel: Channel, chunks: int) -> None:
    """Do the same as `grpclib_flood`, through the engine."""
    message = Raw(CHUNK)

    async def requests() -> AsyncIterator[Raw]:
        for _ in range(chunks):
            yield message

    received = 0
    async for _ in _stream(channel, requests()):
        received += 1
    assert received == chunks


async def engine_turns(channel: Channel, chunks: int) -> None:
    """Do the same as `grpclib_turns`, through the engine."""
    message = Raw(CHUNK)
    asked = asyncio.Event()

    async def requests() -> AsyncIterator[Raw]:
        for _ in range(chunks):
            await asked.wait()
            asked.clear()
            yield message

    asked.set()
    async for _ in _stream(channel, requests()):
        asked.set()


Run = Callable[[int], Awaitable[None]]

PATTERNS = {
    "as fast as it goes": (grpclib_flood, engine_flood),
    "one at a time": (grpclib_turns, engine_turns),
}


async def cost_us(run: Run, chunks: int) -> float:
    """Return the processor time of this process for each chunk, in microseconds."""
    started = time.process_time()
    await run(chunks)
    return (time.process_time() - started) / chunks * 1e6


async def measure(port: int, rounds: int, chunks: int) -> None:
    """Run all patterns in both ways, alternating, and print the table."""
    plain = grpclib.client.Channel("127.0.0.1", port, codec=RawCodec(), config=WINDOWS)
    ours = Channel(Address("127.0.0.1", port))
    try:
        print(f"{chunks} chunks of {len(CHUNK)} bytes each way, {rounds} rounds, µs")
        print()
        print("| pattern | grpclib | engine | added (median of rounds) | target |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, (with_grpclib, with_engine) in PATTERNS.items():
            baseline = partial(with_grpclib, plain)
            engine = partial(with_engine, ours)
            await baseline(50)
            await engine(50)
            costs: list[tuple[float, float]] = []
            for number in range(rounds):
                # Each goes first in every second round.
                if number % 2:
                    second = await cost_us(engine, chunks)
                    first = await cost_us(baseline, chunks)
                else:
                    first = await cost_us(baseline, chunks)
                    second = await cost_us(engine, chunks)
                costs.append((first, second))
            added = statistics.median(second - first for first, second in costs)
            medians = [statistics.median(column) for column in zip(*costs, strict=True)]
            print(
                f"| {name} | {medians[0]:.1f} | {medians[1]:.1f} | {added:+.1f} "
                f"| ≤ {TARGET_US:g} |"
            )
    finally:
        plain.close()
        ours.close()
        await asyncio.sleep(0)


async def profile(port: int, chunks: int) -> None:
    """Print where the engine's time goes."""
    channel = Channel(Address("127.0.0.1", port))
    await engine_flood(channel, 50)
    profiler = cProfile.Profile()
    profiler.enable()
    await engine_flood(channel, chunks)
    profiler.disable()
    channel.close()
    await asyncio.sleep(0)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few rounds, for CI")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    rounds, chunks = (3, 300) if options.quick else (9, 2_000)
    with serving("benchmarks.engine", "--serve") as line:
        port = int(line)
        if options.profile:
            asyncio.run(profile(port, chunks))
        else:
            asyncio.run(measure(port, rounds, chunks))


if __name__ == "__main__":
    main()
