"""A lower bound for any client on grpclib: requests that were encoded beforehand.

It uses grpclib's own client API, and decodes no response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.encoding.base import CodecBase

from benchmarks.compare.clients import requests

_EXECUTION = "/remotemedia.v1.PipelineExecutionService"
_STREAMING = "/remotemedia.v1.StreamingPipelineService"
# The first byte of a response is the tag of its only field.
_READY, _RESULT = b"\x0a", b"\x12"
_CHUNKS_BETWEEN_YIELDS = 8


class Verbatim(CodecBase):
    """A codec for messages that are bytes already."""

    @property
    def __content_subtype__(self) -> str:
        return "proto"

    def encode(self, message: bytes, message_type: Any) -> bytes:
        """Return the message as it is."""
        return message

    def decode(self, data: bytes, message_type: Any) -> bytes:
        """Return the data as it is."""
        return data


class ReadyMade:
    """grpclib's channel and its method objects."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        host, port = address.split(":")
        self._channel = channel = Channel(host, int(port), codec=Verbatim())
        self._version: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(
            channel, f"{_EXECUTION}/GetVersion", bytes, bytes
        )
        self._execute: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(
            channel, f"{_EXECUTION}/ExecutePipeline", bytes, bytes
        )
        self._stream: StreamStreamMethod[bytes, bytes] = StreamStreamMethod(
            channel, f"{_STREAMING}/StreamPipeline", bytes, bytes
        )
        await self.version()

    async def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    async def version(self) -> str:
        """Call GetVersion. The response is not decoded."""
        await self._version(requests.VERSION)
        return ""

    async def execute(self, audio: bytes) -> int:
        """Execute a pipeline, and return the size of the encoded response."""
        response = await self._execute(requests.execute(audio))
        return len(response or b"")

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send the chunks, read every result, and close it."""
        ready = asyncio.Event()
        async with self._stream.open() as stream:
            await stream.send_request()

            async def send() -> None:
                await stream.send_message(requests.INIT)
                await ready.wait()
                sent = 0
                async for data in audio:
                    await stream.send_message(requests.chunk(data))
                    sent += 1
                    if sent % _CHUNKS_BETWEEN_YIELDS == 0:
                        await asyncio.sleep(0)
                await stream.send_message(requests.CLOSE, end=True)

            sender = asyncio.create_task(send())
            async for response in stream:
                kind = response[:1]
                if kind == _RESULT:
                    on_result()
                elif kind == _READY:
                    ready.set()
            await sender


make = ReadyMade
