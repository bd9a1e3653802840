"""Speech detection with FastAPI: for an upload, and live over a WebSocket.

    REMOTEMEDIA_ADDRESS=localhost:50051 uvicorn --app-dir examples/web fastapi_app:app
    curl --data-binary @examples/data/speech.wav localhost:8000/speech

Each process has one client, which lives as long as the application. All requests share
its connection. When the caller goes away, the call to the service is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeVar

from fastapi import (
    Depends,
    FastAPI,
    HTTPException,
    Query,
    Request,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse
from speech import (
    ADDRESS,
    MANIFEST,
    MAX_BODY_BYTES,
    TIMEOUT_S,
    NotAudioError,
    Speech,
    answer,
    problem,
    read_wav,
)

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
)

T = TypeVar("T")

_log = logging.getLogger("speech")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Keep a client for as long as the application runs."""
    client = RemoteMediaClient(ADDRESS, timeout=TIMEOUT_S)
    yield {"client": client}
    await client.disconnect()


app = FastAPI(lifespan=lifespan)


async def connected(connection: HTTPConnection) -> RemoteMediaClient:
    """Return the client; it connects with the first request.

    So the application starts although the service does not run yet.
    """
    client: RemoteMediaClient = connection.state.client
    await client.connect()
    return client


Client = Annotated[RemoteMediaClient, Depends(connected)]


@app.exception_handler(RemoteMediaError)
@app.exception_handler(NotAudioError)
async def on_error(
    request: Request, error: RemoteMediaError | NotAudioError
) -> JSONResponse:
    """Answer with the HTTP status that belongs to a failure."""
    status, body = problem(error)
    _log.warning("%d: %s", status, error)
    return JSONResponse(body, status)


async def body_of(request: Request) -> bytes:
    """Read the body, and no more of it than is allowed."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413)
    return bytes(body)


async def unless_gone(request: Request, call: Coroutine[Any, Any, T]) -> T:
    """Await a call, and cancel it when the caller of the request goes away.

    The body of the request must have been read: what comes after it is the end.
    """
    calling = asyncio.ensure_future(call)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({calling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise HTTPException(499)  # nobody reads it, but it is in the access log
        return calling.result()
    finally:
        calling.cancel()
        leaving.cancel()
        await asyncio.wait({calling, leaving})


@app.post("/speech")
async def speech(request: Request, client: Client) -> Speech:
    """Say whether there is speech in a WAV file."""
    body = await body_of(request)
    audio = await asyncio.to_thread(read_wav, body)
    result = await unless_gone(
        request,
        # Running this pipeline twice does no harm, so it may be tried again.
        client.execute_pipeline(MANIFEST, {"vad": audio}, idempotent=True),
    )
    return answer(audio, result)


async def microphone(
    socket: WebSocket, sample_rate: int
) -> AsyncIterator[tuple[str, AudioBuffer]]:
    """Yield what comes over a WebSocket, until an empty message says that it ends.

    Raises:
        WebSocketDisconnect: the caller went away.
        WebSocketException: a message is not audio.
    """
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        samples = message.get("bytes")
        if samples is None or len(samples) % 2:
            raise WebSocketException(1007, "send binary messages of 16-bit samples")
        if not samples:
            return
        buffer = AudioBuffer(
            samples=samples,
            sample_rate=sample_rate,
            channels=1,
            format=AudioFormat.I16,
        )
        yield "vad", buffer


@app.websocket("/live")
async def live(
    socket: WebSocket,
    client: Client,
    sample_rate: Annotated[int, Query(ge=8_000, le=192_000)] = 16_000,
) -> None:
    """Say for each chunk of live audio whether there is speech in it.

    The caller sends 16-bit mono samples in binary messages, and an empty message at the
    end. No more than five chunks are with the service at a time. Beyond that nothing is
    read from the socket, so whoever sends faster than the service works has to wait.
    """
    await socket.accept()
    try:
        async with client.open_stream(
            MANIFEST, microphone(socket, sample_rate), max_in_flight_chunks=5
        ) as stream:
            async for result in stream:
                heard = result.json("vad")
                await socket.send_json({"sequence": result.sequence, **heard})
        await socket.close()
    except WebSocketDisconnect:
        pass  # the session was reset when the context was left
    except RemoteMediaError as error:
        _log.warning("live: %s", error)
        is_passing = isinstance(error, RemoteMediaConnectionError)
        with suppress(WebSocketDisconnect):
            await socket.close(1013 if is_passing else 1011, error.error_type.name)
