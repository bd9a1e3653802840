"""The program that the suite tests: `python -m conformance.connect.client DIR`.

The suite writes requests to standard input and reads responses from standard output, in
any order. Each is preceded by its length in four big-endian bytes. A request describes
a call; the response says what came of it. `DIR` contains the package that was generated
from the suite's protos.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import re
import ssl
import struct
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from conformance import oracle
from remotemedia.grpc import (
    DEFAULT_MAX_RECEIVE_BYTES,
    CallError,
    Channel,
    Metadata,
    ResponseMetadata,
    ResponseStream,
)

# The suite's classes are generated when it runs, so they have no static types.
Message = Any
Package = Any

PARALLEL_CALLS = 8
_LENGTH = struct.Struct(">I")
_CANCELED = 1
_GZIP = 2
_FULL_DUPLEX = 5


class Caller:
    """Makes the call that one request describes."""

    def __init__(self, package: Package, request: Message, channel: Channel) -> None:
        self._package = package
        self._request = request
        limit = request.message_receive_limit or DEFAULT_MAX_RECEIVE_BYTES
        self._stub = package.ConformanceServiceStub(
            channel,
            metadata=[
                (header.name.lower(), value)
                for header in request.request_headers
                for value in header.value
            ],
            timeout=math.inf,
            max_receive_bytes=limit,
            compression="gzip" if request.compression == _GZIP else "identity",
        )
        timeout_ms = request.timeout_ms
        self._timeout_s = None if timeout_ms is None else timeout_ms / 1000
        # What is known of the response so far; a cancellation leaves it as it is.
        self._payloads: list[Message] = []
        self._received: ResponseMetadata | ResponseStream[Message] = ResponseMetadata()
        self._sent = 0
        # How many responses were read: a full duplex call waits for one after each
        # request.
        self._read = asyncio.Semaphore(0)
        self._is_sent = asyncio.Event()
        # When the call is to be cancelled, and the number that goes with it.
        cancel = request.cancel
        self._timing = cancel.which_oneof("cancel_timing") if cancel else None
        self._timing_number = getattr(cancel, self._timing) if self._timing else 0

    async def result(self) -> Message:
        """What comes of the call, or of its cancellation."""
        calling = asyncio.ensure_future(self._call())
        cancelling = asyncio.ensure_future(self._cancel(calling))
        error = None
        try:
            await calling
        except CallError as failure:
            error = self._package.Error(
                code=failure.status.value, message=failure.message
            )
            if isinstance(failure.details, bytes):
                # A google.rpc.Status has the same fields.
                error.details = self._package.Error.FromString(failure.details).details
        except asyncio.CancelledError:
            error = self._package.Error(code=_CANCELED, message="cancelled as told")
        finally:
            cancelling.cancel()
        return self._package.ClientResponseResult(
            response_headers=self._headers(self._received.headers),
            payloads=self._payloads,
            error=error,
            response_trailers=self._headers(self._received.trailers),
            num_unsent_requests=len(self._request.request_messages) - self._sent,
        )

    async def _call(self) -> None:
        method = self._request.method
        call = getattr(self._stub, re.sub(r"(?<=.)([A-Z])", r"_\1", method).lower())
        messages = [
            getattr(self._package, f"{method}Request").FromString(any_message.value)
            for any_message in self._request.request_messages
        ]
        if method in ("ClientStream", "BidiStream"):
            requests: Any = self._requests(messages)
        else:
            (requests,) = messages
            self._sent = 1
            self._is_sent.set()
        if method in ("ServerStream", "BidiStream"):
            responses = call(requests, timeout=self._timeout_s)
            self._received = responses
            await self._read_all(responses)
        else:
            response = await call(
                requests, timeout=self._timeout_s, response_metadata=self._received
            )
            payload = getattr(response, "payload", None)
            self._payloads.append(payload or self._package.ConformancePayload())

    async def _read_all(self, responses: ResponseStream[Message]) -> None:
        async for response in responses:
            self._payloads.append(response.payload)
            self._read.release()
            is_last = len(self._payloads) == self._timing_number
            if self._timing == "after_num_responses" and is_last:
                await responses.aclose()
                raise asyncio.CancelledError

    async def _requests(self, messages: list[Message]) -> AsyncIterator[Message]:
        for message in messages:
            await asyncio.sleep(self._request.request_delay_ms / 1000)
            yield message
            self._sent += 1
            if self._request.stream_type == _FULL_DUPLEX:
                await self._read.acquire()
        self._is_sent.set()
        if self._timing == "before_close_send":
            # The call is cancelled before this iteration ends.
            await asyncio.Event().wait()

    async def _cancel(self, calling: asyncio.Future[None]) -> None:
        if not self._request.cancel or self._timing == "after_num_responses":
            return
        await self._is_sent.wait()
        if self._timing == "after_close_send_ms":
            await asyncio.sleep(self._timing_number / 1000)
        calling.cancel()

    def _headers(self, metadata: Metadata) -> list[Message]:
        return [
            self._package.Header(
                name=key,
                value=[
                    value if isinstance(value, str) else b64encode(value).decode()
                    for value in metadata.getall(key)
                ],
            )
            for key in dict(metadata)
        ]


def _tls(request: Message) -> ssl.SSLContext | bool:
    if not request.server_tls_cert:
        return False
    context = ssl.create_default_context(cadata=request.server_tls_cert.decode())
    creds = request.client_tls_creds
    if creds and creds.cert:
        # The standard library reads them from a file only.
        with NamedTemporaryFile() as file:
            file.write(creds.cert + b"\n" + creds.key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


async def answer(package: Package, request: Message) -> Message:
    """Make the call of a request, on a connection of its own."""
    try:
        async with Channel(
            f"{request.host}:{request.port}", ssl=_tls(request)
        ) as channel:
            result = await Caller(package, request, channel).result()
    except Exception as error:  # noqa: BLE001 - the suite is told, and counts it
        failure = package.ClientErrorResult(message=f"{type(error).__name__}: {error}")
        return package.ClientCompatResponse(test_name=request.test_name, error=failure)
    return package.ClientCompatResponse(test_name=request.test_name, response=result)


async def serve(source: IO[bytes], target: IO[bytes], package: Package) -> None:
    """Answer requests until the suite closes standard input."""
    free = asyncio.Semaphore(PARALLEL_CALLS)

    async def serve_one(data: bytes) -> None:
        request = package.ClientCompatRequest.FromString(data)
        response = bytes(await answer(package, request))
        target.write(_LENGTH.pack(len(response)) + response)
        target.flush()
        free.release()

    tasks = set()
    while prefix := await asyncio.to_thread(source.read, _LENGTH.size):
        (size,) = _LENGTH.unpack(prefix)
        data = await asyncio.to_thread(source.read, size)
        await free.acquire()
        task = asyncio.create_task(serve_one(data))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


def main(folder: Path) -> None:
    """Serve with the package generated into `folder`."""
    with oracle.importable(folder):
        package = importlib.import_module("connectrpc.conformance.v1")
    asyncio.run(serve(sys.stdin.buffer, sys.stdout.buffer, package))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
