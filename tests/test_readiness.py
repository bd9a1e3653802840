"""Waiting for a service to be ready, and asking it for its health."""

from __future__ import annotations

import asyncio

import pytest
from grpclib.const import Status

from remotemedia import (
    CallRecord,
    ErrorType,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import CallDetails, CallError, Next
from remotemedia.readiness import CHECK, Health, until_ready
from remotemedia.testing import Fault, LocalService
from tests.support.core_server import CoreServer
from tests.support.peers import tcp_peer
from tests.support.processes import free_port


class Waits:
    """Delays that take no time, and are as long as they can be."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.delays.append(delay_s)

    def most(self, low: float, high: float) -> float:
        assert low == 0
        return high


async def test_it_is_tried_until_the_service_is_ready() -> None:
    waits = Waits()
    failures: list[RemoteMediaError] = [
        *[RemoteMediaConnectionError("down", retryable=True)] * 6,
        RemoteMediaTimeoutError("late", retryable=True),
    ]

    async def attempt() -> None:
        if failures:
            raise failures.pop()

    await until_ready(attempt, None, sleep=waits.sleep, uniform=waits.most)
    assert waits.delays == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


async def test_no_attempt_begins_after_the_time() -> None:
    waits = Waits()

    async def attempt() -> None:
        raise RemoteMediaConnectionError(
            "nobody there", status=Status.UNAVAILABLE, address="a:1", retryable=True
        )

    with pytest.raises(
        RemoteMediaTimeoutError, match=r"not ready within 0\.12 s: nobody there"
    ) as caught:
        await until_ready(attempt, 0.12, sleep=waits.sleep, uniform=waits.most)
    # The last attempt has what is left after four fifths of the rest.
    assert waits.delays[:2] == [0.05, 0.1]
    assert waits.delays[2:] == pytest.approx([0.12 * 0.8], abs=0.05)
    assert caught.value.retryable
    assert (caught.value.status, caught.value.address) == (Status.UNAVAILABLE, "a:1")
    assert isinstance(caught.value.__cause__, RemoteMediaConnectionError)


@pytest.mark.parametrize(
    "error",
    [
        RemoteMediaError("no", error_type=ErrorType.AUTHENTICATION),
        RemoteMediaConnectionError("the certificate was refused", retryable=False),
    ],
)
async def test_what_waiting_would_not_change_is_raised_at_once(
    error: RemoteMediaError,
) -> None:
    async def attempt() -> None:
        raise error

    with pytest.raises(RemoteMediaError) as caught:
        await until_ready(attempt, 60, sleep=Waits().sleep)
    assert caught.value is error


async def test_a_timeout_that_makes_no_sense() -> None:
    client = RemoteMediaClient("localhost:1")
    with pytest.raises(ValueError, match="timeout must be positive"):
        await client.wait_until_ready(0)
    with pytest.raises(TypeError, match="timeout must be a number"):
        await client.wait_until_ready("5")  # type: ignore[arg-type]  # the mistake


async def test_a_service_that_serves(local: LocalService) -> None:
    records: list[CallRecord] = []
    client = RemoteMediaClient(local.address, on_call_end=records.append)
    await client.wait_until_ready()
    await client.wait_until_ready(5)
    assert [record.operation for record in records] == ["wait_until_ready"] * 2
    # The first asked for the version as well, to connect.
    assert [record.attempts for record in records] == [2, 1]
    assert records[-1].method == CHECK
    assert await client.get_version()
    await client.disconnect()


async def test_a_service_without_the_health_service(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        await client.wait_until_ready(5)


async def test_a_service_that_comes_later() -> None:
    port = free_port()
    records: list[CallRecord] = []
    client = RemoteMediaClient(f"127.0.0.1:{port}", on_call_end=records.append)
    waiting = asyncio.create_task(client.wait_until_ready(30))
    await asyncio.sleep(0.01)
    async with LocalService(port=port):
        await waiting
        await client.disconnect()
    # The attempts that failed are no failed calls.
    (record,) = records
    assert (record.status, record.error_type) == (Status.OK, "")
    assert record.attempts > 2


async def test_waiting_in_vain_is_one_failed_call() -> None:
    records: list[CallRecord] = []
    client = RemoteMediaClient(f"127.0.0.1:{free_port()}", on_call_end=records.append)
    with pytest.raises(RemoteMediaTimeoutError, match="not ready") as caught:
        await client.wait_until_ready(0.2)
    (record,) = records
    assert record.operation == "wait_until_ready"
    assert record.status is Status.UNAVAILABLE
    assert record.request_id == caught.value.request_id


async def test_a_service_that_does_not_serve_yet(local: LocalService) -> None:
    local.is_serving = False
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(
            RemoteMediaTimeoutError, match="says that it does not serve"
        ):
            await client.wait_until_ready(0.05)
        waiting = asyncio.create_task(client.wait_until_ready(30))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        local.is_serving = True
        await waiting


async def test_a_peer_that_never_answers_is_left_in_time() -> None:
    async with tcp_peer() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}")
        with pytest.raises(
            RemoteMediaTimeoutError, match=r"within 0\.05 s: it did not"
        ):
            await client.wait_until_ready(0.05)


async def test_a_refused_token_is_no_reason_to_wait() -> None:
    async with LocalService(token="right") as service:
        client = RemoteMediaClient(service.address, token="wrong")
        with pytest.raises(RemoteMediaError, match="wrong") as caught:
            await client.wait_until_ready(30)
        assert caught.value.error_type is ErrorType.AUTHENTICATION


async def test_another_failure_of_the_check_is_raised(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        await client.disconnect()
        local.add_fault(
            Fault.status(Status.INTERNAL, "broken", method="GetVersion", times=1)
        )
        with pytest.raises(RemoteMediaError, match="broken"):
            await client.wait_until_ready(30)


async def test_a_check_that_is_refused_is_no_health(local: LocalService) -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        if call.method == CHECK:
            raise CallError(Status.PERMISSION_DENIED, "not for you")
        return await next(call)

    client = RemoteMediaClient(local.address, interceptors=[intercept])
    with pytest.raises(RemoteMediaError, match="not for you"):
        await client.wait_until_ready(30)
    await client.disconnect()


@pytest.mark.parametrize(
    ("data", "is_serving"),
    [(b"\x08\x01", True), (b"", False), (b"\x08\x02", False), (b"\x08\x03", False)],
)
def test_the_messages_of_a_check(data: bytes, is_serving: bool) -> None:
    assert Health._from_peer(data).is_serving is is_serving
    assert Health()._encode([]) == 0
