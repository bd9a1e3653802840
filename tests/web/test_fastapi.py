"""The FastAPI application in the event loop of the test, which sees its tasks."""

from __future__ import annotations

import asyncio
import importlib
import socket
from asyncio import current_task
from typing import Any

import httpx
import pytest
import uvicorn

from remotemedia.testing import LocalService
from tests.support.waiting import until
from tests.web.conftest import Calls, Held
from tests.web.servers import SPEECH, WEB, Served, send


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the application, whose service the test chooses."""
    monkeypatch.syspath_prepend(str(WEB))
    return importlib.import_module("fastapi_app")


def others(known: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that run besides those that are known and this one."""
    return {task for task in asyncio.all_tasks() - known if task != current_task()}


async def test_no_task_and_no_connection_is_left(
    application: Any,
    http: httpx.AsyncClient,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = Held()
    before = asyncio.all_tasks()
    async with LocalService(nodes={"VAD": held}) as service:
        monkeypatch.setattr(application, "ADDRESS", service.address)
        config = uvicorn.Config(application.app, log_level="warning", lifespan="on")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            serving = asyncio.create_task(server.serve([listening]))
            await until(lambda: server.started)
            host = f"127.0.0.1:{listening.getsockname()[1]}"
            served = Served(host, f"http://{host}/speech", 0)
            idle = asyncio.all_tasks()
            posts = [
                asyncio.create_task(http.post(served.url, content=SPEECH))
                for _ in range(40)
            ]
            gone = [await send(served, "/speech", SPEECH) for _ in range(10)]
            await until(lambda: held.entered == 50)
            for writer in gone:
                writer.transport.abort()
            await until(lambda: calls["ExecutePipeline CANCELLED"] == 10)
            held.let(40)
            responses = await asyncio.gather(*posts)
            assert {response.status_code for response in responses} == {200}
            assert calls["ExecutePipeline OK"] == 40
            assert calls["GetVersion OK"] == 1
            await http.aclose()
            await until(lambda: not others(idle))
            server.should_exit = True
            await serving
    await until(lambda: not others(before))
