"""Limits of size and time: huge messages, small windows, unusual timeouts."""

from __future__ import annotations

import asyncio

import h2.events
import pytest
from h2.settings import SettingCodes

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaTimeoutError,
)
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    VersionRequest,
    VersionResponse,
)
from tests.faults.tools import drained, endless, is_version
from tests.support.calls import stub
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS, tone
from tests.support.waiting import GUARD_S, until

# -- sizes


@pytest.mark.parametrize("window", ["small", "large"])
async def test_a_huge_request(window: str) -> None:
    """32 MiB pass through windows of 64 kB."""
    log: list[h2.events.Event] = []
    exchanges: list[Exchange] = []
    big = VersionRequest(client_version="v" * 2**25)

    async def answer() -> None:
        await until(
            lambda: any(isinstance(event, h2.events.StreamEnded) for event in log)
        )
        is_version(exchanges[0])
        exchanges[0].flush()

    async with (
        h2_peer(
            exchanges.append,
            log,
            settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**24}
            if window == "large"
            else {},
        ) as port,
        stub(PipelineExecutionServiceStub, port, max_send_bytes=None) as service,
    ):
        answering = asyncio.create_task(answer())
        assert (await asyncio.wait_for(service.get_version(big), GUARD_S)).compatible
        await answering


async def test_a_huge_response() -> None:
    """32 MiB pass through a stream window of 1 MiB."""
    body = bytes(VersionResponse(compatibility_message="m" * 2**25))

    def script(exchange: Exchange) -> None:
        exchange.headers()
        asyncio.get_running_loop().create_task(send(exchange))

    async def send(exchange: Exchange) -> None:
        data = b"\0" + len(body).to_bytes(4, "big") + body
        connection, id_ = exchange.connection, exchange.stream_id
        start = 0
        while start < len(data):
            size = min(connection.local_flow_control_window(id_), 16_384)
            if size:
                exchange.data(data[start : start + size])
                start += size
                exchange.flush()
            else:
                await asyncio.sleep(0)
        exchange.trailers()
        exchange.flush()

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        answer = await asyncio.wait_for(service.get_version(VersionRequest()), GUARD_S)
        assert len(answer.compatibility_message) == 2**25


async def test_a_response_over_the_limit_is_not_buffered() -> None:
    """It is refused by its length prefix: the call is reset after the first frames."""
    sent = 0

    def script(exchange: Exchange) -> None:
        if exchange.stream_id > 1:
            is_version(exchange)
            return
        exchange.headers()
        exchange.data(b"\0" + (2**28).to_bytes(4, "big"))
        asyncio.get_running_loop().create_task(flood(exchange))

    async def flood(exchange: Exchange) -> None:
        nonlocal sent
        connection, id_ = exchange.connection, exchange.stream_id
        while id_ in connection.streams and not connection.streams[id_].closed:
            if connection.local_flow_control_window(id_) > 16_384:
                exchange.data(bytes(16_384))
                sent += 16_384
                exchange.flush()
            await asyncio.sleep(0)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port, max_receive_bytes=10**6) as service,
    ):
        with pytest.raises(Exception, match="268435456 bytes, over the limit"):
            await service.get_version(VersionRequest())
        assert (await service.get_version(VersionRequest())).compatible
    assert sent < 10**6


# -- time


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e9, 1e-9])
async def test_unusual_timeouts(core: CoreServer, timeout: float | None) -> None:
    async with RemoteMediaClient(core.address) as client:
        try:
            await client.get_version(timeout=timeout)
            received = 0
            async for _ in client.stream_pipeline(
                PASS, [("src", tone(160))] * 3, timeout=timeout
            ):
                received += 1
            assert received == 3
        except RemoteMediaTimeoutError:
            assert timeout == 1e-9


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e9])
async def test_unusual_timeouts_of_a_client(
    core: CoreServer, timeout: float | None
) -> None:
    async with RemoteMediaClient(
        core.address, timeout=timeout, connect_timeout=timeout
    ) as client:
        await client.get_version()
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone(160))
            await stream.close()


async def test_every_session_of_a_burst_opens(local: LocalService) -> None:
    """More sessions open at once than the server's first SETTINGS allow."""
    async with RemoteMediaClient(local.address) as client:

        async def session() -> int:
            count = 0
            async for _ in client.stream_pipeline(PASS, [("src", tone(16))] * 2):
                count += 1
            return count

        counts = await asyncio.gather(*[session() for _ in range(150)])
    assert counts == [2] * 150


async def test_an_endless_source_under_a_deadline(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        received: list[int] = []
        with pytest.raises(RemoteMediaTimeoutError) as caught:
            await drained(
                client.stream_pipeline(PASS, endless(), timeout=0.1), received
            )
        assert received == list(range(len(received)))
        assert received
        assert caught.value.elapsed_s < 5.0
        await until(lambda: core.streaming.running == 0)
