"""Scripted faults, as our client meets them."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trustme
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia import (
    AudioBuffer,
    ErrorType,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.testing import Fault, LocalService, NodeCall, NodeOutput
from tests.support.pipelines import pipeline, tone

COUNT = pipeline("src", "Count")

REFUSED = ErrorCodes.REFUSED_STREAM
CALM = ErrorCodes.ENHANCE_YOUR_CALM
NODE = ErrorType.NODE_EXECUTION
# Far longer than any test: what is not cancelled hangs.
FOR_EVER = 1_000.0

# What ends a call, by a name, and what our client makes of it: the class, the status,
# the type and a part of the message; `retryable` is False for all.
Ending = tuple[type[RemoteMediaError], Status | None, ErrorType, str]
ENDINGS: dict[str, tuple[Callable[..., Fault], Ending]] = {
    "unavailable": (
        lambda **where: Fault.status(Status.UNAVAILABLE, "busy", **where),
        (RemoteMediaConnectionError, Status.UNAVAILABLE, ErrorType.INTERNAL, "busy"),
    ),
    "invalid": (
        lambda **where: Fault.status(Status.INVALID_ARGUMENT, "no", **where),
        (RemoteMediaError, Status.INVALID_ARGUMENT, ErrorType.VALIDATION, "no"),
    ),
    "error": (
        lambda **where: Fault.error("boom", **where),
        (RemoteMediaError, None, ErrorType.INTERNAL, "boom"),
    ),
    "typed error": (
        lambda **where: Fault.error(
            "boom", error_type=NODE, failing_node_id="src", **where
        ),
        (RemoteMediaError, None, NODE, "boom"),
    ),
    "reset": (
        Fault.reset,
        (RemoteMediaError, Status.INTERNAL, ErrorType.INTERNAL, "error code 2"),
    ),
    "calm": (
        lambda **where: Fault.reset(CALM, **where),
        (
            RemoteMediaError,
            Status.RESOURCE_EXHAUSTED,
            ErrorType.RESOURCE_LIMIT,
            "error code 11",
        ),
    ),
    "drop": (
        Fault.drop_connection,
        (
            RemoteMediaConnectionError,
            Status.UNAVAILABLE,
            ErrorType.INTERNAL,
            "connection was lost",
        ),
    ),
}
every_ending = pytest.mark.parametrize(
    ("make", "ending"), ENDINGS.values(), ids=list(ENDINGS)
)


class Service(LocalService):
    """A service that counts what its node ``Count`` processes."""

    def __init__(self, *faults: Fault, **options: Any) -> None:
        nodes = {"Count": self._count, **options.pop("nodes", {})}
        super().__init__(nodes=nodes, faults=faults, **options)
        self.processed = 0
        self.began = asyncio.Event()

    async def _count(self, call: NodeCall) -> NodeOutput:
        self.began.set()
        self.processed += 1
        return NodeOutput(call.audio)

    @property
    def connections(self) -> set[Any]:
        assert self._server is not None
        return set(self._server.connections)


@asynccontextmanager
async def serving(*faults: Fault) -> AsyncIterator[tuple[Service, RemoteMediaClient]]:
    async with (
        Service(*faults) as service,
        RemoteMediaClient(service.address, timeout=5) as client,
    ):
        yield service, client


def audio(count: int = 5, frames: int = 160) -> Iterator[tuple[str, AudioBuffer]]:
    for _ in range(count):
        yield "src", tone(frames)


async def stream(
    client: RemoteMediaClient, received: list[int] | None = None
) -> list[int]:
    """Stream five chunks, and note the results."""
    received = [] if received is None else received
    async for chunk in client.stream_pipeline(COUNT, audio()):
        received.append(chunk.sequence)
    return received


async def execute(client: RemoteMediaClient) -> None:
    result = await client.execute_pipeline(COUNT, {"src": tone()})
    assert result.audio_outputs["src"] == tone()


def check(error: RemoteMediaError, ending: Ending) -> None:
    cls, status, error_type, text = ending
    assert type(error) is cls
    assert error.status is status
    assert error.error_type is error_type
    assert text in error.message
    assert error.failing_node_id == ("src" if error_type is NODE else "")
    assert not error.retryable


# -- what ends a call


@every_ending
async def test_at_an_execution(make: Callable[..., Fault], ending: Ending) -> None:
    async with serving(make()) as (service, client):
        with pytest.raises(RemoteMediaError) as caught:
            await execute(client)
        check(caught.value, ending)
        assert service.processed == 0
        await execute(client)


@every_ending
async def test_at_the_opening_of_a_stream(
    make: Callable[..., Fault], ending: Ending
) -> None:
    async with serving(make()) as (service, client):
        with pytest.raises(RemoteMediaError) as caught:
            await stream(client)
        check(caught.value, ending)
        assert service.processed == 0
        assert await stream(client) == [0, 1, 2, 3, 4]


@every_ending
@pytest.mark.parametrize("at_chunk", [0, 3])
async def test_at_a_chunk(
    make: Callable[..., Fault], ending: Ending, at_chunk: int
) -> None:
    async with serving(make(at_chunk=at_chunk)) as (_, client):
        received: list[int] = []
        with pytest.raises(RemoteMediaError) as caught:
            await stream(client, received)
        check(caught.value, ending)
        assert received == list(range(at_chunk))
        assert await stream(client) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("at_chunk", [0, 3])
async def test_a_bad_sequence_is_the_server_s_fault(at_chunk: int) -> None:
    async with serving(Fault.bad_sequence(at_chunk=at_chunk)) as (_, client):
        received: list[int] = []
        with pytest.raises(RemoteMediaError, match="the server broke the session's"):
            await stream(client, received)
        assert received == list(range(at_chunk))
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_an_early_end_at_a_chunk() -> None:
    async with serving(Fault.end_early(at_chunk=3)) as (_, client):
        async with client.open_stream(COUNT) as session:
            for node_id, buffer in audio():
                await session.send(node_id, buffer)
            assert [chunk.sequence async for chunk in session] == [0, 1, 2]
        assert session.closed is None
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_an_early_end_before_the_session_is_open() -> None:
    async with serving(Fault.end_early()) as (_, client):
        with pytest.raises(RemoteMediaError, match="before the session was open"):
            await stream(client)
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_a_lost_connection_takes_every_call_with_it() -> None:
    async with serving(Fault.drop_connection(at_chunk=0)) as (_, client):
        async with client.open_stream(COUNT) as other:
            with pytest.raises(RemoteMediaConnectionError):
                await stream(client)
            with pytest.raises(RemoteMediaConnectionError):
                await anext(other)
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_what_was_sent_is_not_lost_with_the_connection() -> None:
    # Frames of a type that HTTP/2 does not know, and more than a system buffers.
    padding = (b"\0\x40\0\xff\0" + bytes(4) + bytes(2**14)) * 512

    async def pad(call: NodeCall) -> NodeOutput:
        if call.sequence == 0:
            (connection,) = service.connections
            connection.transport.set_write_buffer_limits(2 * len(padding))
            connection.transport.write(padding)
        return NodeOutput(call.audio)

    service = Service(Fault.drop_connection(at_chunk=1), nodes={"Pad": pad})
    async with service, RemoteMediaClient(service.address) as client:
        results = client.stream_pipeline(pipeline("src", "Pad"), audio())
        assert (await anext(results)).sequence == 0
        with pytest.raises(RemoteMediaConnectionError):
            await anext(results)


async def test_over_tls_too() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    faults = [Fault.drop_connection(at_chunk=3), Fault.go_away(refuses=True)]
    async with (
        Service(*faults, ssl=server_side) as service,
        RemoteMediaClient(service.address, ssl=client_side) as client,
    ):
        # The first try is refused, the second breaks, and the third is well.
        received: list[int] = []
        with pytest.raises(RemoteMediaConnectionError):
            await stream(client, received)
        assert received == [0, 1, 2]
        assert await stream(client) == [0, 1, 2, 3, 4]


# -- what a call outlasts


@pytest.mark.parametrize("fault", [Fault.reset(REFUSED), Fault.go_away(refuses=True)])
@pytest.mark.parametrize("call", [execute, stream])
async def test_a_refused_call_is_made_again(fault: Fault, call: Any) -> None:
    async with serving(fault) as (service, client):
        await call(client)
        # Nothing was processed twice.
        assert service.processed == (1 if call is execute else 5)


async def test_calls_that_came_after_a_refused_one_are_made_again_too() -> None:
    async with serving(Fault.go_away(refuses=True)) as (service, client):
        await asyncio.gather(*(execute(client) for _ in range(10)))
        assert service.processed == 10


@pytest.mark.parametrize("refuses", [False, True])
async def test_going_away_needs_a_new_connection(refuses: bool) -> None:
    async with serving(Fault.go_away(refuses=refuses)) as (service, client):
        before = service.connections
        assert len(before) == 1
        await execute(client)
        await execute(client)
        assert service.connections.isdisjoint(before)


async def test_calls_under_way_outlast_going_away() -> None:
    async with (
        serving(Fault.go_away(at_chunk=3)) as (service, client),
        client.open_stream(COUNT) as older,
    ):
        (old,) = service.connections
        assert await stream(client) == [0, 1, 2, 3, 4]
        assert service.connections == {old}
        await older.send("src", tone())
        assert (await anext(older)).sequence == 0
        await execute(client)
        assert service.connections > {old}
        assert await older.close()


# -- delays


@pytest.mark.parametrize("fault", [Fault.delay(0.05), Fault.delay(0.05, at_chunk=3)])
async def test_a_delay_is_a_wait(fault: Fault) -> None:
    async with serving(fault) as (_, client):
        started = time.monotonic()
        assert await stream(client) == [0, 1, 2, 3, 4]
        assert time.monotonic() - started > 0.049


async def test_a_delay_runs_into_the_deadline() -> None:
    async with serving(Fault.delay(FOR_EVER)) as (service, client):
        with pytest.raises(RemoteMediaTimeoutError):
            await client.execute_pipeline(COUNT, {"src": tone()}, timeout=0.1)
        assert service.processed == 0
        await execute(client)


async def test_a_delayed_result_keeps_no_other_waiting() -> None:
    async with serving(Fault.delay(FOR_EVER, at_chunk=3)) as (_, client):
        before = asyncio.all_tasks()
        results = client.stream_pipeline(COUNT, audio())
        assert [(await anext(results)).sequence for _ in range(3)] == [0, 1, 2]
        delayed = asyncio.create_task(anext(results))
        assert await stream(client) == [0, 1, 2, 3, 4]
        assert not delayed.done()
        delayed.cancel()
        await asyncio.wait({delayed})
        await results.aclose()
        # The service hears of it, and gives the wait up.
        for _ in range(1_000):
            if asyncio.all_tasks() == before:
                break
            await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == before


async def test_stopping_does_not_wait_for_a_delay() -> None:
    async with serving(Fault.delay(FOR_EVER, at_chunk=0)) as (service, client):
        streaming = asyncio.create_task(stream(client))
        await service.began.wait()
        await asyncio.wait_for(service.stop(), 5)
        with pytest.raises(RemoteMediaConnectionError):
            await streaming


# -- which calls, and how often


async def test_a_fault_strikes_so_many_times() -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", times=2)
    async with serving(fault) as (_, client):
        for call in (execute, stream):
            with pytest.raises(RemoteMediaConnectionError, match="busy"):
                await call(client)
        await execute(client)
        await stream(client)


async def test_a_chunk_is_struck_in_so_many_streams() -> None:
    async with serving(Fault.error("boom", at_chunk=3, times=2)) as (_, client):
        outcomes = await asyncio.gather(
            *(stream(client) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(found, RemoteMediaError) for found in outcomes) == 2
        assert outcomes.count([0, 1, 2, 3, 4]) == 3


async def test_faults_strike_in_their_order_until_one_ends_the_call() -> None:
    faults = [
        Fault.go_away(),
        Fault.error("one"),
        Fault.error("two"),
        Fault.error("three", at_chunk=1),
    ]
    async with serving(*faults) as (service, client):
        before = service.connections
        for text in ("one", "two", "three"):
            with pytest.raises(RemoteMediaError, match=text):
                await stream(client)
            assert service.connections.isdisjoint(before) is (text != "one")
        await stream(client)


async def test_equal_faults_are_two() -> None:
    async with serving(*[Fault.error("boom")] * 2) as (_, client):
        for _ in range(2):
            with pytest.raises(RemoteMediaError, match="boom"):
                await execute(client)
        await execute(client)


async def test_a_method_that_is_named() -> None:
    faults = [
        Fault.error("run", method="ExecutePipeline"),
        Fault.error("stream", method="StreamPipeline"),
    ]
    async with serving(*faults) as (_, client):
        await client.get_version()
        with pytest.raises(RemoteMediaError, match="stream"):
            await stream(client)
        with pytest.raises(RemoteMediaError, match="run"):
            await execute(client)


async def test_connecting_fails_only_where_it_is_named() -> None:
    faults = [
        Fault.reset(),
        Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"),
    ]
    async with Service(*faults) as service:
        client = RemoteMediaClient(service.address)
        with pytest.raises(RemoteMediaConnectionError, match="busy"):
            await client.connect()
        async with client:
            with pytest.raises(RemoteMediaError, match="reset"):
                await execute(client)


async def test_a_fault_for_a_service_that_runs() -> None:
    async with serving() as (service, client):
        await execute(client)
        service.add_fault(Fault.error("boom"))
        with pytest.raises(RemoteMediaError, match="boom"):
            await execute(client)
        await execute(client)


async def test_who_shows_no_token_meets_no_fault() -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion")
    async with LocalService(token="s3cret", faults=[fault]) as service:
        with pytest.raises(RemoteMediaError, match="token"):
            await RemoteMediaClient(service.address).connect()
        with pytest.raises(RemoteMediaError, match="busy"):
            await RemoteMediaClient(service.address, token="s3cret").connect()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Fault.reset(times=0), "times is 0"),
        (lambda: Fault.reset(at_chunk=-1), "chunks count from 0"),
        (lambda: Fault.reset(method="GetVersion", at_chunk=1), "has no chunks"),
        (lambda: Fault.reset(method=cast("Any", "Nope")), "one of GetVersion, Exec"),
        (lambda: Fault.status(Status.OK), "end_early"),
        (lambda: Fault.error("x", method="GetVersion"), "use Fault.status"),
        (lambda: Fault.go_away(refuses=True, at_chunk=1), "before its first chunk"),
    ],
)
def test_a_fault_that_makes_no_sense(make: Callable[[], Fault], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


async def test_the_example_runs() -> None:
    _, _, example = (inspect.getdoc(Fault) or "").partition("::\n")
    example, _, _ = example.partition("\nA fault without")
    names = {**globals(), "MANIFEST": COUNT | pipeline("src", "PassThrough")}
    exec(textwrap.dedent(example), names)
    await names["test_a_session_that_breaks"]()


async def test_without_faults_a_call_is_served_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(Fault.reset()) as (_, client):
        with pytest.raises(RemoteMediaError, match="reset"):
            await stream(client)
        monkeypatch.delattr("remotemedia.testing.script._FaultyStream")
        assert await stream(client) == [0, 1, 2, 3, 4]
