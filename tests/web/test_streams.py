"""Live results: over a WebSocket, and line by line."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from grpclib.const import Status
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from remotemedia import ErrorType
from remotemedia.testing import Fault, LocalService
from tests.support.pipelines import tone
from tests.support.processes import free_port
from tests.support.waiting import until
from tests.web.conftest import Calls, Held
from tests.web.servers import FASTAPI, FLASK, SPEECH, send, serving

CHUNK = bytes(3200)  # 100 ms of silence


async def read_all(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


async def test_chunks_over_websockets_at_once(calls: Calls) -> None:
    loud = (tone().to_float32() * 32767).astype("<i2").tobytes()

    async def talk(url: str) -> None:
        async with connect(url, proxy=None) as socket:
            for chunk in (CHUNK, loud, CHUNK, b""):
                await socket.send(chunk)
            answers = [json.loads(message) async for message in socket]
            assert [answer["sequence"] for answer in answers] == [0, 1, 2]
            heard = [answer["has_speech"] for answer in answers]
            assert heard == [False, True, False]
        assert socket.close_code == 1000

    async with (
        LocalService() as service,
        serving(FASTAPI, service.address) as served,
    ):
        url = f"ws://{served.host}/live?sample_rate=16000"
        await asyncio.gather(*(talk(url) for _ in range(20)))
        await until(lambda: calls["StreamPipeline OK"] == 20)
        assert calls["GetVersion OK"] == 1


async def test_a_websocket_that_breaks_off(calls: Calls) -> None:
    held = Held()
    async with (
        LocalService(nodes={"VAD": held}) as service,
        serving(FASTAPI, service.address) as served,
    ):
        async with connect(f"ws://{served.host}/live", proxy=None) as socket:
            await socket.send(CHUNK)
            await until(lambda: held.entered == 1)
            socket.transport.abort()
        await until(lambda: calls["StreamPipeline CANCELLED"] == 1)


@pytest.mark.parametrize("message", ["text", b"odd"])
async def test_what_is_no_audio(message: str | bytes, calls: Calls) -> None:
    async with (
        LocalService() as service,
        serving(FASTAPI, service.address) as served,
        connect(f"ws://{served.host}/live", proxy=None) as socket,
    ):
        await socket.send(message)
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
        assert socket.close_code == 1007
        await until(lambda: calls["StreamPipeline CANCELLED"] == 1)


async def test_a_websocket_whose_service_fails() -> None:
    async with (
        LocalService() as service,
        serving(FASTAPI, service.address) as served,
    ):
        for fault, code, reason in (
            (Fault.reset(at_chunk=1), 1011, "INTERNAL"),
            (Fault.error("it broke", error_type=ErrorType.VALIDATION), 1011, "VALID"),
            (Fault.drop_connection(at_chunk=1), 1013, "INTERNAL"),
        ):
            service.add_fault(fault)
            async with connect(f"ws://{served.host}/live", proxy=None) as socket:
                await socket.send(CHUNK)
                await socket.send(CHUNK)
                with pytest.raises(ConnectionClosedError):
                    await read_all(socket)
                assert socket.close_code == code
                assert (socket.close_reason or "").startswith(reason)
        await service.stop()
        async with connect(f"ws://{served.host}/live", proxy=None) as socket:
            with pytest.raises(ConnectionClosedError):
                await read_all(socket)
            assert socket.close_code == 1013


async def test_a_websocket_without_a_service() -> None:
    async with serving(FASTAPI, f"127.0.0.1:{free_port()}") as served:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://{served.host}/live", proxy=None)
        assert caught.value.response.status_code == 503


async def test_lines_of_results(http: httpx.AsyncClient, calls: Calls) -> None:
    async def lines() -> list[dict[str, object]]:
        response = await http.post(f"{served.url}/lines", content=SPEECH)
        assert response.status_code == 200
        return [json.loads(line) for line in response.text.splitlines()]

    async with (
        LocalService() as service,
        serving(FLASK, service.address) as served,
    ):
        for found in await asyncio.gather(*(lines() for _ in range(20))):
            assert [line["sequence"] for line in found] == list(range(56))
            assert {line["has_speech"] for line in found} == {True, False}

        # A failure before the first result has a status, one after it has a line.
        service.add_fault(Fault.status(Status.UNAVAILABLE, "busy"))
        response = await http.post(f"{served.url}/lines", content=SPEECH)
        assert response.status_code == 503
        service.add_fault(Fault.reset(at_chunk=2))
        *found, last = await lines()
        assert [line["sequence"] for line in found] == [0, 1]
        assert (last["error"], last["message"]) == ("INTERNAL", "the service failed")
        assert calls["StreamPipeline OK"] == 20


async def test_a_reader_of_lines_who_goes_away(calls: Calls) -> None:
    held = Held()
    async with (
        LocalService(nodes={"VAD": held}) as service,
        serving(FLASK, service.address) as served,
    ):
        writer = await send(served, "/speech/lines", SPEECH)
        held.let(3)
        await until(lambda: held.entered == 4)
        writer.transport.abort()
        # The server notices when it writes what is found next.
        held.let(3)
        await until(lambda: calls["StreamPipeline CANCELLED"] == 1)
        assert held.entered < 10
