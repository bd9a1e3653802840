"""What the service logs: nothing of what clients do; once what a node fails with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from remotemedia import (
    AudioBuffer,
    RemoteMediaClient,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.testing import LocalService, NodeCall
from tests.support.pipelines import pipeline, tone

PASS = pipeline("src", "PassThrough")
WAIT = pipeline("src", "Wait")
# Larger than a window of HTTP/2, so that the service is in the middle of sending one.
LARGE = 400_000


@pytest.fixture(autouse=True)
def quiet(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Fail if anything is logged as a warning or worse, or written to stderr."""
    caplog.set_level(logging.INFO)
    yield
    loud = [
        record
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING
        # The client says when it makes a call again.
        if record.name not in ("remotemedia.calls", "remotemedia.connections")
    ]
    assert not loud
    assert capfd.readouterr().err == ""


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async def wait(call: NodeCall) -> None:
        await asyncio.Event().wait()

    async with LocalService(nodes={"Wait": wait}) as service:
        yield service


def chunks(frames: int, count: int = 100) -> Iterator[tuple[str, AudioBuffer]]:
    audio = tone(frames)
    for _ in range(count):
        yield "src", audio


async def stream(
    client: RemoteMediaClient, frames: int, node_type: str = "PassThrough", **more: Any
) -> None:
    manifest = pipeline("src", node_type)
    async for _ in client.stream_pipeline(manifest, chunks(frames), **more):
        pass


async def run_loop(steps: int) -> None:
    """Let the other tasks run for a number of steps of the loop."""
    for _ in range(steps):
        await asyncio.sleep(0)


async def settle(service: LocalService) -> None:
    """Wait until the service has handled everything that it received."""
    async with RemoteMediaClient(service.address) as client:
        await client.get_version()


@pytest.mark.parametrize("frames", [160, 16_000, LARGE])
@pytest.mark.parametrize("results", [1, 3])
async def test_a_break(service: LocalService, frames: int, results: int) -> None:
    async with RemoteMediaClient(service.address) as client:
        for _ in range(5):
            left = results
            async for _ in client.stream_pipeline(PASS, chunks(frames)):
                left -= 1
                if not left:
                    break
    await settle(service)


@pytest.mark.parametrize("steps", [0, 10, 30, 100, 300])
@pytest.mark.parametrize("frames", [160, LARGE])
async def test_a_cancelled_stream(
    service: LocalService, frames: int, steps: int
) -> None:
    async with RemoteMediaClient(service.address) as client:
        streams = [asyncio.create_task(stream(client, frames)) for _ in range(3)]
        await run_loop(steps)
        for task in streams:
            task.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await client.get_version()


async def test_a_cancelled_execution(service: LocalService) -> None:
    async with RemoteMediaClient(service.address) as client:
        task = asyncio.create_task(client.execute_pipeline(WAIT))
        await run_loop(100)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.get_version()


@pytest.mark.parametrize("timeout", [1e-5, 1e-3, 0.004, 0.01, 0.02, 0.05])
async def test_a_deadline(service: LocalService, timeout: float) -> None:
    async with RemoteMediaClient(service.address) as client:
        for call in (
            client.execute_pipeline(WAIT, timeout=timeout),
            client.execute_pipeline(PASS, {"src": tone(LARGE)}, timeout=timeout),
        ):
            with suppress(RemoteMediaTimeoutError):
                await call
        with suppress(RemoteMediaTimeoutError):
            await stream(client, LARGE, timeout=timeout)
        await client.get_version()


@pytest.mark.parametrize("steps", [10, 30, 100, 300])
async def test_a_client_that_goes_away(service: LocalService, steps: int) -> None:
    client = RemoteMediaClient(service.address)
    await client.connect()
    streams = [asyncio.create_task(stream(client, LARGE)) for _ in range(3)]
    await run_loop(steps)
    await client.disconnect()
    await asyncio.gather(*streams, return_exceptions=True)
    await settle(service)


@pytest.mark.parametrize("bytes_sent", [b"", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_connection_that_is_none_of_ours(
    service: LocalService, bytes_sent: bytes
) -> None:
    host, port = service.address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(bytes_sent)
    await writer.drain()
    writer.transport.abort()
    await settle(service)


@pytest.mark.parametrize("steps", [0, 10, 30, 100, 300])
async def test_stopping_while_sending(service: LocalService, steps: int) -> None:
    async with RemoteMediaClient(service.address) as client:
        calls = [
            asyncio.create_task(client.execute_pipeline(WAIT)),
            *(asyncio.create_task(stream(client, LARGE)) for _ in range(3)),
        ]
        await run_loop(steps)
        await service.stop()
        await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_node_that_fails_is_logged_once(
    caplog: pytest.LogCaptureFixture, is_stream: bool
) -> None:
    def fail(call: NodeCall) -> None:
        raise OSError("disk full")

    async with (
        LocalService(nodes={"Fail": fail}) as service,
        RemoteMediaClient(service.address) as client,
    ):
        call: Awaitable[Any] = (
            stream(client, 160, "Fail")
            if is_stream
            else client.execute_pipeline(pipeline("src", "Fail"))
        )
        with pytest.raises(RemoteMediaError, match="disk full"):
            await call
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.name.startswith("remotemedia.testing")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)
