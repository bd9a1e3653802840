"""Uploads to each application: many at once, failures, and callers that go away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
from grpclib.const import Status

from remotemedia import ErrorType
from remotemedia.testing import Fault, LocalService
from tests.support.waiting import until
from tests.web.conftest import Calls, Held
from tests.web.servers import (
    DJANGO,
    FLASK,
    SPEECH,
    Application,
    every_application,
    send,
    serving,
)


@every_application
async def test_fifty_at_once_share_a_connection(
    application: Application, http: httpx.AsyncClient, calls: Calls
) -> None:
    async def burst() -> None:
        posts = [http.post(served.url, content=SPEECH) for _ in range(50)]
        for response in await asyncio.gather(*posts):
            assert response.status_code == 200, response.text
            assert response.json()["has_speech"] is True
            assert 5.5 < response.json()["duration_s"] < 5.6

    async with (
        LocalService() as service,
        serving(application, service.address) as served,
    ):
        await http.post(served.url, content=SPEECH)
        await until(lambda: served.has_workers(application.workers))
        open_files = served.open_files()
        await burst()
        await burst()
        assert calls["ExecutePipeline OK"] == 101
        # A client asks for the version when it connects: once in each process.
        assert 1 <= calls["GetVersion OK"] <= application.workers
        await http.aclose()
        # Nothing is left of the requests. (The second worker may have connected.)
        await until(lambda: served.open_files() <= open_files + 10)


@every_application
async def test_each_failure_has_its_status(
    application: Application, http: httpx.AsyncClient
) -> None:
    faults = [
        (422, Fault.error("no such node", error_type=ErrorType.VALIDATION)),
        (413, Fault.error("too long", error_type=ErrorType.RESOURCE_LIMIT)),
        (502, Fault.error("it broke", error_type=ErrorType.NODE_EXECUTION)),
        (502, Fault.status(Status.UNAUTHENTICATED, "no token")),
        (502, Fault.status(Status.INTERNAL, "bug")),
        (504, Fault.status(Status.DEADLINE_EXCEEDED, "late")),
        (503, Fault.status(Status.UNAVAILABLE, "busy", times=5)),
        # It may be processed twice, so it is made again on a new connection.
        (200, Fault.drop_connection()),
    ]
    async with (
        LocalService() as service,
        serving(application, service.address) as served,
    ):
        for status, fault in faults:
            service.add_fault(fault)
            response = await http.post(served.url, content=SPEECH)
            assert response.status_code == status, response.text
            if status in (413, 422):
                assert response.json()["message"] in ("no such node", "too long")
            elif status != 200:
                # What went wrong inside is for the log, where the id finds it.
                assert response.json()["request_id"]
                assert response.json()["message"].startswith("the service ")
        response = await http.post(served.url, content=b"RIFF, and no more")
        assert (response.status_code, response.json()["error"]) == (422, "VALIDATION")
        response = await http.post(served.url, content=SPEECH)
        assert response.status_code == 200
        with suppress(httpx.TransportError):  # it is refused while it is being sent
            response = await http.post(served.url, content=bytes(5_000_000))
            assert response.status_code in (400, 413)


@every_application
async def test_the_application_may_start_before_the_service(
    application: Application, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "service.sock"
    async with serving(application, f"unix:{path}") as served:
        response = await http.post(served.url, content=SPEECH)
        assert response.status_code == 503
        assert response.json()["message"] == "the service cannot be reached; try again"
        for _ in range(2):  # the second is another service, as after a deployment
            async with LocalService(path=path):
                response = await http.post(served.url, content=SPEECH)
                while response.status_code == 503:  # the client backs off
                    response = await http.post(served.url, content=SPEECH)
                assert response.status_code == 200


@every_application
async def test_a_caller_who_goes_away(
    application: Application, http: httpx.AsyncClient, calls: Calls
) -> None:
    held = Held()
    async with (
        LocalService(nodes={"VAD": held}) as service,
        serving(application, service.address) as served,
    ):
        gone = [await send(served, application.path, SPEECH) for _ in range(3)]
        await until(lambda: held.entered == 3)
        for writer in gone:
            writer.transport.abort()
        if application in (FLASK, DJANGO):
            # A WSGI handler is not told; its calls end on their own.
            held.let(4)
            await until(lambda: calls["ExecutePipeline OK"] == 3)
        else:
            await until(lambda: calls["ExecutePipeline CANCELLED"] == 3)
            held.let(4)
        response = await http.post(served.url, content=SPEECH)
        assert response.json()["energy_db"] == -120.0
