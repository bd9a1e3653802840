"""Exceptions of a handler: of no interest once its call is over, else an error."""

from __future__ import annotations

import asyncio
import logging
from types import ModuleType
from typing import Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived

from remotemedia.testing import LocalService
from remotemedia.v1 import ExecuteRequest
from tests.testing.core_client import connect
from tests.testing.manifests import chain, node

ECHO = ExecuteRequest(manifest=chain(node("n", "Echo")))


async def test_a_bug_of_the_service_is_logged_as_an_error(
    core_modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*arguments: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("remotemedia.testing.pipeline.Pipeline.run", fail)
    async with (
        LocalService() as service,
        connect(core_modules, service.address) as client,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.execute(ECHO)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    # grpcio's poller may log that the loop of an earlier test is closed.
    ours = [record for record in caplog.records if record.name != "asyncio"]
    assert [record.levelno for record in ours] == [logging.ERROR]
    assert "a bug" in caplog.text


async def test_a_bug_after_the_call_is_over_is_logged_for_debugging(
    core_modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def fail(*arguments: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
            raise KeyError("a bug")

    caplog.set_level(logging.DEBUG, "remotemedia")
    monkeypatch.setattr("remotemedia.testing.pipeline.Pipeline.run", fail)
    async with (
        LocalService() as service,
        connect(core_modules, service.address) as client,
    ):
        call = asyncio.create_task(client.execute(ECHO))
        await began.wait()
        call.cancel()
        await ended.wait()
        await client.version()
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.DEBUG
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("timeout", "status"), [("1n", "4"), ("0m", "4"), ("soon", "2")]
)
async def test_a_deadline_that_has_passed_on_arrival_is_a_deadline(
    local: LocalService, timeout: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = local.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
    h2.initiate_connection()
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/remotemedia.v1.PipelineExecutionService/ExecutePipeline",
        ":authority": "service",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": timeout,
    }
    h2.send_headers(1, list(headers.items()))
    writer.write(h2.data_to_send())
    answer: dict[Any, Any] = {}
    while "grpc-status" not in answer:
        for event in h2.receive_data(await reader.read(65_536)):
            if isinstance(event, ResponseReceived):
                answer = dict(event.headers or ())
    writer.close()
    assert answer["grpc-status"] == status
    assert not caplog.records
