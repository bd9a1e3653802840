"""The cost of a chunk on a running stream, in counts that no machine changes.

The service runs in a process of its own, so that only the client is counted. Each chunk
is sent after the answer to the one before, so that every run sends the same packets.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from remotemedia import AudioBuffer, RemoteMediaClient, RemoteMediaError
from remotemedia.contracts import ContractName
from tests.support.pipelines import PASS, tone
from tests.support.processes import address_of, service_process

# A little above the measured count. Lower it when a chunk gets cheaper.
MOST_CALLS_A_CHUNK = {"audio": 120, "data": 139}
# Besides its result: the message that it was decoded from, and the previous result.
MOST_COPIES_OF_A_CHUNK = 2.2
# Nothing should be kept of an answered chunk. Over a thousand chunks, a list or
# dictionary that grew once may show.
MOST_BYTES_KEPT_A_CHUNK = 8

CHUNK = tone(1600)
# So large that the buffers for reading and writing hardly count.
LARGE_CHUNK = tone(512 * 1024)
STREAMS = 20


@pytest.fixture(scope="module", params=["audio", "data"])
def contract(request: pytest.FixtureRequest) -> ContractName:
    """Each contract: a chunk of audio costs little on both."""
    name: ContractName = request.param
    return name


@pytest.fixture(scope="module")
def service(contract: ContractName) -> Iterator[str]:
    """Run the embedded service in a process of its own; yield its address."""
    with service_process("--contract", contract) as process:
        yield address_of(process)


class Calls:
    """Counts the calls of Python functions in this thread."""

    def __init__(self) -> None:
        self.count = 0

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.count += 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(before)


async def one_by_one(
    client: RemoteMediaClient,
    chunks: int,
    on_result: Callable[[], None],
    chunk: AudioBuffer = CHUNK,
) -> None:
    """Stream chunks, each after the answer to the one before."""
    answered = asyncio.Event()

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        for _ in range(chunks):
            yield "src", chunk
            await answered.wait()
            answered.clear()

    async for _ in client.stream_pipeline(PASS, source()):
        on_result()
        answered.set()


async def figures_at(
    marks: tuple[int, ...],
    figure: Callable[[], int],
    client: RemoteMediaClient,
    *,
    streams: int = 1,
    chunk: AudioBuffer = CHUNK,
) -> list[int]:
    """Return a figure when each number of results, over all streams, is reached."""
    results = 0
    found = []

    def on_result() -> None:
        nonlocal results
        results += 1
        if results in marks:
            found.append(figure())

    chunks = max(marks) // streams + 1
    await asyncio.gather(
        *(one_by_one(client, chunks, on_result, chunk) for _ in range(streams))
    )
    return found


async def calls_a_chunk(
    client: RemoteMediaClient, *spans: tuple[int, int], streams: int = 1
) -> list[float]:
    """Return the number of calls for each chunk, in each span of results."""
    calls = Calls()
    marks = tuple(mark for span in spans for mark in span)
    with calls.counted():
        at = await figures_at(marks, lambda: calls.count, client, streams=streams)
    return [
        (after - before) / (last - first)
        for (first, last), before, after in zip(spans, at[::2], at[1::2], strict=True)
    ]


async def test_the_number_of_calls_for_a_chunk_is_bounded(
    service: str, contract: ContractName
) -> None:
    async with RemoteMediaClient(service) as client:
        spans = await calls_a_chunk(client, (100, 200), (201, 300), (301, 400))
    # On a busy machine a socket may need several readings for an answer.
    assert min(spans) <= MOST_CALLS_A_CHUNK[contract]


async def test_the_calls_of_a_chunk_do_not_grow_with_the_stream(service: str) -> None:
    async with RemoteMediaClient(service) as client:
        early, late = await calls_a_chunk(client, (100, 300), (1100, 1300))
    assert late == pytest.approx(early, rel=0.05)


async def test_the_calls_of_a_chunk_do_not_grow_with_other_streams(
    service: str,
) -> None:
    async with RemoteMediaClient(service) as client:
        (alone,) = await calls_a_chunk(client, (100, 300))
        (among_others,) = await calls_a_chunk(client, (400, 1400), streams=STREAMS)
    # Chunks that are sent together cost less.
    assert among_others <= alone * 1.05


async def test_a_chunk_creates_no_task(service: str) -> None:
    tasks = 0

    def factory(
        loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        nonlocal tasks
        tasks += 1
        return asyncio.Task(work, loop=loop, **options)

    async with RemoteMediaClient(service) as client:
        asyncio.get_running_loop().set_task_factory(factory)
        before, after = await figures_at((100, 300), lambda: tasks, client)
    assert before > 0
    assert after == before


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("traced")
async def test_an_answered_chunk_keeps_no_memory(service: str) -> None:
    def kept() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async with RemoteMediaClient(service) as client:
        before, after = await figures_at((100, 1100), kept, client)
    assert (after - before) / 1000 <= MOST_BYTES_KEPT_A_CHUNK


@pytest.mark.usefixtures("traced")
async def test_a_chunk_has_few_copies_in_memory(service: str) -> None:
    def held_since_the_last() -> int:
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        return peak - now

    async with RemoteMediaClient(service) as client:
        *_, most = await figures_at(
            (5, 10), held_since_the_last, client, chunk=LARGE_CHUNK
        )
    copies = most / len(LARGE_CHUNK.samples)
    assert copies <= MOST_COPIES_OF_A_CHUNK


@pytest.mark.usefixtures("traced")
async def test_a_large_request_is_sent_without_a_copy(service: str) -> None:
    # The unknown node type makes the service answer with an error, which is small.
    unknown = {"id": "src", "node_type": "Unknown"}
    manifest = {"version": "v1", "metadata": {"name": "send"}, "nodes": [unknown]}
    async with RemoteMediaClient(service) as client:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with pytest.raises(RemoteMediaError, match="Unknown"):
            await client.execute_pipeline(manifest, {"src": LARGE_CHUNK})
        _, peak = tracemalloc.get_traced_memory()
    assert peak - before < len(LARGE_CHUNK.samples) / 2


async def version(client: RemoteMediaClient) -> None:
    await client.get_version()


async def execution(client: RemoteMediaClient) -> None:
    await client.execute_pipeline(PASS, {"src": CHUNK})


async def session(client: RemoteMediaClient) -> None:
    await one_by_one(client, 3, lambda: None)


async def live_session(client: RemoteMediaClient) -> None:
    async with client.open_stream(PASS) as stream:
        await stream.send("src", CHUNK)
        await stream.close()


@pytest.mark.parametrize("call", [version, execution, session, live_session])
async def test_a_call_leaves_no_reference_cycles(
    service: str, call: Callable[[RemoteMediaClient], Awaitable[None]]
) -> None:
    async with RemoteMediaClient(service) as client:
        await call(client)
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await call(client)
            # The event loop holds some objects until its next iteration.
            await asyncio.sleep(0)
            assert gc.collect() == 0
        finally:
            gc.enable()
