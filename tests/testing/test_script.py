"""Which calls a fault concerns, how many times it happens, and in which order."""

from __future__ import annotations

import asyncio

import pytest
from grpclib.const import Status

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
)
from remotemedia.testing import Fault, LocalService
from tests.testing.counting import Service, execute, serving, stream


async def test_a_fault_happens_as_many_times_as_it_says() -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", times=2)
    async with serving(fault) as (service, client):
        for call in (execute, stream):
            assert service.pending_faults == [fault]
            with pytest.raises(RemoteMediaConnectionError, match="busy"):
                await call(client)
        assert service.pending_faults == []
        await execute(client)
        await stream(client)


async def test_a_fault_at_a_chunk_happens_in_that_many_streams() -> None:
    async with serving(Fault.error("boom", at_chunk=3, times=2)) as (_, client):
        outcomes = await asyncio.gather(
            *(stream(client) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(found, RemoteMediaError) for found in outcomes) == 2
        assert outcomes.count([0, 1, 2, 3, 4]) == 3


async def test_faults_happen_in_order_until_one_ends_the_call() -> None:
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
            if text == "one":
                # It finished on the connection that it came in on.
                assert service.connections <= before
            else:
                assert service.connections.isdisjoint(before)
        await stream(client)


async def test_equal_faults_count_separately() -> None:
    async with serving(*[Fault.error("boom")] * 2) as (_, client):
        for _ in range(2):
            with pytest.raises(RemoteMediaError, match="boom"):
                await execute(client)
        await execute(client)


async def test_a_fault_may_concern_one_method_only() -> None:
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


async def test_connecting_fails_only_if_a_fault_names_its_method() -> None:
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


async def test_a_fault_may_be_added_while_the_service_runs() -> None:
    async with serving() as (service, client):
        await execute(client)
        service.add_fault(Fault.error("boom"))
        with pytest.raises(RemoteMediaError, match="boom"):
            await execute(client)
        await execute(client)


async def test_a_call_without_the_token_uses_up_no_fault() -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion")
    async with LocalService(token="s3cret", faults=[fault]) as service:
        with pytest.raises(RemoteMediaError, match="token"):
            await RemoteMediaClient(service.address).connect()
        with pytest.raises(RemoteMediaError, match="busy"):
            await RemoteMediaClient(service.address, token="s3cret").connect()


async def test_a_call_that_no_fault_concerns_is_not_wrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(Fault.reset()) as (_, client):
        with pytest.raises(RemoteMediaError, match="reset"):
            await stream(client)
        monkeypatch.delattr("remotemedia.testing.script._FaultyStream")
        assert await stream(client) == [0, 1, 2, 3, 4]


def test_what_is_no_list_of_faults_is_refused() -> None:
    with pytest.raises(TypeError, match=r"faults=\[Fault\.delay\(1\)\]"):
        LocalService(faults=Fault.go_away())  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TypeError, match=r"comes from Fault.reset\(\) .* got 'reset'"):
        LocalService(faults=["reset"])  # type: ignore[list-item]  # the mistake
