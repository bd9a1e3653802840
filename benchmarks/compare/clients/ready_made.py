"""The floor of any client on grpclib: its own API, and bytes made beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.encoding.base import CodecBase

from benchmarks.compare.clients import requests

_EXECUTION = "/remotemedia.v1.PipelineExecutionService"
_STREAMING = "/remotemedia.v1.StreamingPipelineService"
# The first byte of a response: the tag of its only field.
_READY, _RESULT = b"\x0a", b"\x12"
_CHUNKS_BETWEEN_YIELDS = 8


class Verbatim(CodecBase):
    """A codec that does nothing."""

    @property
    def __content_subtype__(self) -> str:
        return "proto"

    def encode(self, message: bytes, message_type: Any) -> bytes:
        """The message."""
        return message

    def decode(self, data: bytes, message_type: Any) -> bytes:
        """The data."""
        return data


class ReadyMade:
    """grpclib's channel and methods."""

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
        """The service's version, were it decoded."""
        await self._version(requests.VERSION)
        return ""

    async def execute(self, audio: bytes) -> int:
        """Send audio, and count the bytes of what comes back."""
        response = await self._execute(requests.execute(audio))
        return len(response or b"")

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send chunks, read each result, and close the session."""
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
