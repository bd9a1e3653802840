"""Each kind of fault, as the client sees it."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import textwrap
import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, cast

import pytest
import trustme
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia import (
    ErrorType,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.contracts import ContractName
from remotemedia.testing import Fault, NodeCall, NodeOutput
from remotemedia.testing.effects import Reset
from tests.support.pipelines import pipeline, tone
from tests.testing import counting
from tests.testing.counting import COUNT, Service, audio, execute, serving, stream

REFUSED = ErrorCodes.REFUSED_STREAM
CALM = ErrorCodes.ENHANCE_YOUR_CALM
NODE = ErrorType.NODE_EXECUTION
# Far longer than any test, so that a wait that is not cancelled hangs.
FOR_EVER = 1_000.0

# The faults that end a call, and the error that the client raises for each: its class,
# status and type, and a part of its message. None of these errors is retryable.
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


def check(error: RemoteMediaError, ending: Ending) -> None:
    cls, status, error_type, text = ending
    assert type(error) is cls
    assert error.status is status
    assert error.error_type is error_type
    assert text in error.message
    assert error.failing_node_id == ("src" if error_type is NODE else "")
    assert not error.retryable


# Faults that end a call


@every_ending
async def test_an_execution_fails(
    make: Callable[..., Fault], ending: Ending, contract: ContractName
) -> None:
    async with serving(make(), contract=contract) as (service, client):
        with pytest.raises(RemoteMediaError) as caught:
            await execute(client)
        check(caught.value, ending)
        assert service.processed == 0
        await execute(client)


@every_ending
async def test_opening_a_stream_fails(
    make: Callable[..., Fault], ending: Ending, contract: ContractName
) -> None:
    async with serving(make(), contract=contract) as (service, client):
        with pytest.raises(RemoteMediaError) as caught:
            await stream(client)
        check(caught.value, ending)
        assert service.processed == 0
        assert await stream(client) == [0, 1, 2, 3, 4]


@every_ending
@pytest.mark.parametrize("at_chunk", [0, 3])
async def test_a_stream_fails_at_a_chunk(
    make: Callable[..., Fault], ending: Ending, at_chunk: int, contract: ContractName
) -> None:
    async with serving(make(at_chunk=at_chunk), contract=contract) as (_, client):
        received: list[int] = []
        with pytest.raises(RemoteMediaError) as caught:
            await stream(client, received)
        check(caught.value, ending)
        assert received == list(range(at_chunk))
        assert await stream(client) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("at_chunk", [0, 3])
async def test_a_bad_sequence_is_blamed_on_the_server(
    at_chunk: int, contract: ContractName
) -> None:
    async with serving(Fault.bad_sequence(at_chunk=at_chunk), contract=contract) as (
        _,
        client,
    ):
        received: list[int] = []
        with pytest.raises(RemoteMediaError, match="the server broke the session's"):
            await stream(client, received)
        assert received == list(range(at_chunk))
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_an_early_end_at_a_chunk(contract: ContractName) -> None:
    async with serving(Fault.end_early(at_chunk=3), contract=contract) as (_, client):
        async with client.open_stream(COUNT) as session:
            for node_id, buffer in audio():
                await session.send(node_id, buffer)
            assert [chunk.sequence async for chunk in session] == [0, 1, 2]
        assert session.closed is None
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_an_early_end_before_the_session_is_open(contract: ContractName) -> None:
    async with serving(Fault.end_early(), contract=contract) as (_, client):
        with pytest.raises(RemoteMediaError, match="before the session was open"):
            await stream(client)
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_a_lost_connection_takes_every_call_with_it(
    contract: ContractName,
) -> None:
    async with serving(Fault.drop_connection(at_chunk=0), contract=contract) as (
        _,
        client,
    ):
        async with client.open_stream(COUNT) as other:
            with pytest.raises(RemoteMediaConnectionError):
                await stream(client)
            with pytest.raises(RemoteMediaConnectionError):
                await anext(other)
        assert await stream(client) == [0, 1, 2, 3, 4]


async def test_what_was_sent_before_the_connection_closes_arrives(
    contract: ContractName,
) -> None:
    # Frames of an unknown type, and more of them than the system buffers.
    padding = (b"\0\x40\0\xff\0" + bytes(4) + bytes(2**14)) * 512

    async def pad(call: NodeCall) -> NodeOutput:
        if call.sequence == 0:
            (connection,) = service.connections
            connection.transport.set_write_buffer_limits(2 * len(padding))
            connection.transport.write(padding)
        return NodeOutput(call.audio)

    service = Service(
        Fault.drop_connection(at_chunk=1), nodes={"Pad": pad}, contract=contract
    )
    async with service, RemoteMediaClient(service.address) as client:
        results = client.stream_pipeline(pipeline("src", "Pad"), [*audio()])
        assert (await anext(results)).sequence == 0
        with pytest.raises(RemoteMediaConnectionError):
            await anext(results)


async def test_faults_happen_over_tls_too(contract: ContractName) -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    faults = [Fault.drop_connection(at_chunk=3), Fault.go_away(refuses=True)]
    async with (
        Service(*faults, ssl=server_side, contract=contract) as service,
        RemoteMediaClient(service.address, ssl=client_side) as client,
    ):
        # The first attempt is refused, the second loses its connection.
        received: list[int] = []
        with pytest.raises(RemoteMediaConnectionError):
            await stream(client, received)
        assert received == [0, 1, 2]
        assert await stream(client) == [0, 1, 2, 3, 4]


# Faults that a call survives


@pytest.mark.parametrize("fault", [Fault.reset(REFUSED), Fault.go_away(refuses=True)])
@pytest.mark.parametrize("call", [execute, stream])
async def test_a_refused_call_is_made_again(
    fault: Fault, call: Any, contract: ContractName
) -> None:
    async with serving(fault, contract=contract) as (service, client):
        await call(client)
        # Nothing was processed twice.
        assert service.processed == (1 if call is execute else 5)


async def test_later_calls_on_a_refused_connection_are_made_again(
    contract: ContractName,
) -> None:
    async with serving(Fault.go_away(refuses=True), contract=contract) as (
        service,
        client,
    ):
        await asyncio.gather(*(execute(client) for _ in range(10)))
        assert service.processed == 10


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_call_after_a_goaway_uses_a_new_connection(
    refuses: bool, contract: ContractName
) -> None:
    async with serving(Fault.go_away(refuses=refuses), contract=contract) as (
        service,
        client,
    ):
        before = service.connections
        assert len(before) == 1
        await execute(client)
        await execute(client)
        assert service.connections.isdisjoint(before)


async def test_calls_in_progress_continue_after_a_goaway(
    contract: ContractName,
) -> None:
    async with (
        serving(Fault.go_away(at_chunk=3), contract=contract) as (service, client),
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


# Delays


@pytest.mark.parametrize("fault", [Fault.delay(0.05), Fault.delay(0.05, at_chunk=3)])
async def test_a_delay_is_a_wait(fault: Fault, contract: ContractName) -> None:
    async with serving(fault, contract=contract) as (_, client):
        started = time.monotonic()
        assert await stream(client) == [0, 1, 2, 3, 4]
        assert time.monotonic() - started > 0.049


async def test_a_delay_lasts_until_the_deadline_at_most(contract: ContractName) -> None:
    async with serving(Fault.delay(FOR_EVER), contract=contract) as (service, client):
        with pytest.raises(RemoteMediaTimeoutError):
            await client.execute_pipeline(COUNT, {"src": tone()}, timeout=0.1)
        assert service.processed == 0
        await execute(client)


async def test_a_delayed_result_does_not_delay_other_sessions(
    contract: ContractName,
) -> None:
    async with serving(Fault.delay(FOR_EVER, at_chunk=3), contract=contract) as (
        _,
        client,
    ):
        before = asyncio.all_tasks()
        results = client.stream_pipeline(COUNT, audio())
        assert [(await anext(results)).sequence for _ in range(3)] == [0, 1, 2]
        delayed = asyncio.create_task(anext(results))
        assert await stream(client) == [0, 1, 2, 3, 4]
        assert not delayed.done()
        delayed.cancel()
        await asyncio.wait({delayed})
        await results.aclose()
        # The service learns of it, and ends the wait.
        for _ in range(1_000):
            if asyncio.all_tasks() == before:
                break
            await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == before


async def test_stopping_does_not_wait_for_a_delay(contract: ContractName) -> None:
    async with serving(Fault.delay(FOR_EVER, at_chunk=0), contract=contract) as (
        service,
        client,
    ):
        streaming = asyncio.create_task(stream(client))
        await service.began.wait()
        await asyncio.wait_for(service.stop(), 5)
        with pytest.raises(RemoteMediaConnectionError):
            await streaming


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
def test_a_contradictory_fault_is_refused(make: Callable[[], Fault], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Reset(CALM)),
        Fault.delay(1),
        Fault.status(Status.UNAVAILABLE),
        Fault.error("tired"),
        Fault.reset(),
        Fault.go_away(),
        Fault.drop_connection(),
        Fault.end_early(),
        Fault.bad_sequence(at_chunk=0),
    ],
)
def test_a_fault_happens_once_by_default(fault: Fault) -> None:
    assert fault.times == 1


def test_a_fault_cannot_be_changed() -> None:
    fault = Fault.reset()
    with pytest.raises(FrozenInstanceError):
        fault.times = 2  # type: ignore[misc]  # on purpose


async def test_the_example_runs() -> None:
    _, _, example = (inspect.getdoc(Fault) or "").partition("::\n")
    example, _, _ = example.partition("\nA fault without")
    names = {
        **globals(),
        **vars(counting),
        "MANIFEST": COUNT | pipeline("src", "PassThrough"),
    }
    exec(textwrap.dedent(example), names)
    await names["test_a_session_that_breaks"]()


def test_a_status_is_a_member() -> None:
    with pytest.raises(TypeError, match=r"Status.UNAVAILABLE, got 'UNAVAILABLE'"):
        Fault.status("UNAVAILABLE")  # type: ignore[arg-type]  # the mistake
