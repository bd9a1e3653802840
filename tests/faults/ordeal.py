"""Sequences of frames, valid ones and mutations, and what calls make of them.

A seed stands for one sequence. Whatever it is, three things hold: a call ends well or
with a ``CallError``, no turn of the event loop is long and little memory is taken, and
a call on another connection is answered. ``test_sequences`` tries some seeds, and
``python -m fuzz.fuzz_frames`` goes on for as long as one likes.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from remotemedia.grpc import CallError
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    VersionRequest,
)
from tests.support.calls import METRICS, READY, VERSION, channel_of, no_input, stub
from tests.support.raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RESPONSE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawConnection,
    answer,
    frame,
    message,
    raw_peer,
    watched,
)
from tests.support.waiting import until

MOST_TURN_S = 0.25
MOST_GROWN_BYTES = 48 * 1024 * 1024

# Two calls with one response, and a stream of responses.
_CALLS = 3
_NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    16_383,
    16_384,
    65_535,
    65_536,
    2**31 - 1,
    2**32 - 1,
)
_BLOCKS = (
    RESPONSE,
    OK,
    RESPONSE + OK,
    b"\x08\x03103",
    b"\x88",
    b"\x40\x01x\x0279\xbe",
    b"\x20\x3f\xe1\x1f\x88",
    b"\x0f\x0d\x0240" + RESPONSE,
    b"\x00\x0cgrpc-message\x04\xff\x00%A",
    b"",
)


def sequence(random: Random) -> bytes:
    """What a peer says on a connection that has the streams 1, 3 and 5."""
    said: list[bytes] = []
    for _ in range(random.randint(1, 30)):
        one = _frame(random)
        if random.random() < 0.2:
            one = _mutated(random, one)
        said.append(one * random.choice((1, 1, 1, 1, 2, 50, 1500)))
    return b"".join(said)[: 2**21]


def _frame(random: Random) -> bytes:
    stream = random.choice((1, 1, 3, 3, 5, 5, 0, 2, 7, 2**31 - 1))
    flags = random.choice((0, 0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM))
    number = struct.pack(">I", random.choice(_NUMBERS))
    kind = random.choice(
        (
            *(DATA, DATA, HEADERS, HEADERS, HEADERS, PRIORITY, RST_STREAM, SETTINGS),
            *(PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, 0xBE),
        )
    )
    if kind == DATA:
        bodies = [message(each) for each in (VERSION, READY, METRICS, b"")]
        body = random.choice([*bodies, b"", b"\0", bytes(16_384), bytes(65_536)])
        if random.random() < 0.2:
            body, flags = b"\x08" + body + bytes(8), flags | PADDED
        return frame(DATA, body, flags=flags & (END_STREAM | PADDED), stream=stream)
    if kind in (HEADERS, CONTINUATION):
        body = random.choice(_BLOCKS) * random.choice((1, 1, 1, 100))
        flags |= random.choice((END_HEADERS, END_HEADERS, 0))
        return frame(kind, body, flags=flags, stream=stream)
    if kind == SETTINGS:
        codes = random.choices((1, 2, 3, 4, 5, 6, 8, 99), k=random.randint(0, 4))
        body = b"".join(
            struct.pack(">HI", code, random.choice(_NUMBERS)) for code in codes
        )
        return frame(SETTINGS, body)
    if kind == PUSH_PROMISE:
        return frame(kind, number + RESPONSE, flags=END_HEADERS, stream=stream)
    if kind == PING:
        return frame(PING, bytes(8), flags=random.choice((0, 1)))
    if kind == GOAWAY:
        return frame(GOAWAY, number * 2)
    return frame(kind, number + b"\0" * (kind == PRIORITY), stream=stream)


def _mutated(random: Random, data: bytes) -> bytes:
    """A few bytes changed, lost or added."""
    mutated = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(mutated) + 1)
        kind = random.random()
        if kind < 0.6 and place < len(mutated):
            mutated[place] = random.randrange(256)
        elif kind < 0.8:
            del mutated[place : place + random.randint(1, 9)]
        else:
            mutated[place:place] = random.randbytes(random.randint(1, 9))
    return bytes(mutated)


async def ordeal(seed: int) -> None:
    """Run one sequence, and check what it does."""
    random = Random(seed)
    said = sequence(random)

    def on_request(connection: RawConnection, stream: int) -> None:
        if len(connection.streams) == _CALLS:
            connection.pump(parts(connection))

    def parts(connection: RawConnection) -> Iterator[bytes]:
        # In a hundred parts at most, so that it does not take long.
        size = max(random.choice((7, 1000, 65_536)), len(said) // 100)
        for start in range(0, len(said), size):
            yield said[start : start + size]
        connection.transport.close()

    def on_other_request(connection: RawConnection, stream: int) -> None:
        connection.write(answer(stream, VERSION))

    async with (
        raw_peer(on_request) as peer,
        raw_peer(on_other_request) as other,
        stub(PipelineExecutionServiceStub, peer.port, timeout=1.0) as service,
        stub(PipelineExecutionServiceStub, other.port) as bystander,
        watched() as watch,
    ):

        async def unary() -> None:
            with suppress(CallError):
                await service.get_version(VersionRequest())

        async def streaming() -> None:
            responses = StreamingPipelineServiceStub(
                channel_of(service)
            ).stream_pipeline(no_input(), timeout=1.0)
            with suppress(CallError):
                async for _ in responses:
                    pass
            await responses.aclose()

        calls = [asyncio.create_task(each) for each in (unary(), unary(), streaming())]
        while not all(call.done() for call in calls):
            assert (await bystander.get_version(VersionRequest())).compatible
            await asyncio.wait(calls, timeout=0.02)
        for call in calls:
            call.result()
        await until(lambda: all(each.is_lost for each in peer.connections[:1]))
    assert watch.longest_turn_s < MOST_TURN_S, f"seed {seed}: {watch.longest_turn_s} s"
    assert watch.grown_bytes < MOST_GROWN_BYTES, f"seed {seed}: {watch.grown_bytes}"
