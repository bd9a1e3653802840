"""The link of a client to its service, which checks the version again by itself."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from grpclib.const import Status

from remotemedia import CallRecord, ErrorType, RemoteMediaClient, RemoteMediaError
from remotemedia.contracts import ContractName
from remotemedia.grpc import CallDetails, Next
from remotemedia.testing import Fault, LocalService
from tests.support.core_server import CoreServer
from tests.support.pipelines import PASS
from tests.support.waiting import until


async def test_the_version_is_checked_again_after_connecting_again(
    core: CoreServer,
) -> None:
    records: list[CallRecord] = []
    port = core.address.rpartition(":")[2]
    async with RemoteMediaClient(core.address, on_call_end=records.append) as client:
        drop_connection(client)
        assert await client.get_version()
        await until(lambda: len(records) == 3)
        names = [record.operation for record in records]
        assert sorted(names) == ["connect", "get_version", "reconnect"]

        # The service was replaced by one that speaks another version.
        core.execution.protocol = "v2"
        drop_connection(client)
        await client.get_version()
        await until(lambda: len(records) == 5)
        with pytest.raises(RemoteMediaError, match="speaks v2") as caught:
            await client.execute_pipeline(PASS)
        assert caught.value.error_type is ErrorType.VERSION_MISMATCH
        assert (caught.value.operation, caught.value.address[-5:]) == (
            "execute_pipeline",
            port,
        )

        core.execution.protocol = "v1"
        drop_connection(client)
        await client.disconnect()
        await client.connect()
        assert await client.get_version()


def drop_connection(client: RemoteMediaClient) -> None:
    """Lose the connection of a client, as when its peer goes."""
    channel = client._link.channel
    assert channel is not None
    connection = channel.pick()
    assert connection is not None
    connection.abort()


async def test_a_service_that_speaks_another_contract_now(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        contracts = [client.contract]
        core.execution.runtime = "0.4.0"
        drop_connection(client)
        await client.get_version()
        checking = client._link._checking
        assert checking is not None
        await asyncio.wait({checking})
        with pytest.raises(RemoteMediaError, match="the data contract now") as caught:
            await client.execute_pipeline(PASS)
        assert caught.value.error_type is ErrorType.VERSION_MISMATCH
        # What the text says to do.
        assert "disconnect(), and then connect()" in str(caught.value)
        contracts.append(client.contract)
        await client.disconnect()
        await client.connect()
        contracts.append(client.contract)
        assert contracts == ["audio", "audio", "data"]
    # What the user chose is not looked for again.
    async with RemoteMediaClient(core.address, contract="audio") as client:
        drop_connection(client)
        assert await client.execute_pipeline(PASS)
        checking = client._link._checking
        assert checking is not None
        await asyncio.wait({checking})
        assert await client.execute_pipeline(PASS)
        assert client.contract == "audio"


@pytest.mark.parametrize(
    ("runtime", "chosen", "warns"),
    [
        ("0.2.0", "data", True),
        ("0.4.0", "audio", True),
        ("0.2.0", "audio", False),
        ("0.4.0", None, False),
        # Nothing is known of these.
        ("", "data", False),
        ("7.0.0", "data", False),
    ],
)
async def test_a_choice_that_the_version_contradicts_is_logged(
    core: CoreServer,
    caplog: pytest.LogCaptureFixture,
    runtime: str,
    chosen: ContractName | None,
    warns: bool,
) -> None:
    core.execution.runtime = runtime
    async with RemoteMediaClient(core.address, contract=chosen):
        warnings = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(warnings) == warns
    if warns:
        text = warnings[0].getMessage()
        assert f"contract={chosen!r} was chosen for {core.address}" in text
        assert f"runtime version {runtime!r}" in text


async def test_a_check_that_fails_is_not_the_calls_failure(local: LocalService) -> None:
    records: list[CallRecord] = []
    async with RemoteMediaClient(
        local.address, on_call_end=records.append, retry=None
    ) as client:
        drop_connection(client)
        local.add_fault(Fault.status(Status.ABORTED, "not now", method="GetVersion"))
        assert await client.execute_pipeline(PASS)
        await until(lambda: len(records) == 3)
        assert {record.status for record in records[1:]} == {Status.OK, Status.ABORTED}
        assert await client.get_version()


async def test_disconnecting_ends_the_check(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        drop_connection(client)
        local.add_fault(Fault.delay(60, method="GetVersion"))
        await client.execute_pipeline(PASS)
        checking = client._link._checking
        assert checking is not None
        assert not checking.done()
    assert checking.cancelled()


async def test_a_dropped_client_is_freed_with_its_channel(local: LocalService) -> None:
    client = RemoteMediaClient(local.address)
    await client.connect()
    await client.disconnect()
    gone = weakref.ref(client)
    gc.collect()
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


async def test_each_call_has_an_id_of_its_own(local: LocalService) -> None:
    records: list[CallRecord] = []
    async with RemoteMediaClient(local.address, on_call_end=records.append) as client:
        await client.get_version()
        await client.get_version(metadata={"x-request-id": "mine"})
    ids = [record.request_id for record in records]
    assert ids[2] == "mine"
    assert len(set(ids)) == 3


async def test_connecting_is_tried_once(local: LocalService) -> None:
    local.add_fault(Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"))
    records: list[CallRecord] = []
    client = RemoteMediaClient(local.address, on_call_end=records.append)
    with pytest.raises(RemoteMediaError, match="busy"):
        await client.connect()
    assert [record.attempts for record in records] == [1]


async def test_a_check_that_an_interceptor_fails_is_no_loose_end(
    local: LocalService,
) -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        if call.operation == "reconnect":
            raise LookupError("not this one")
        return await next(call)

    loose: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: loose.append(context))
    async with RemoteMediaClient(local.address, interceptors=[intercept]) as client:
        drop_connection(client)
        assert await client.execute_pipeline(PASS)
        checking = client._link._checking
        assert checking is not None
        await asyncio.wait({checking})
        assert checking.exception() is None
    del checking
    gc.collect()
    assert loose == []
