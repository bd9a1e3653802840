"""A service that counts what it processes, and calls to it by our client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from remotemedia import AudioBuffer, RemoteMediaClient
from remotemedia.contracts import ContractName
from remotemedia.testing import Fault, LocalService, NodeCall, NodeOutput
from tests.support.pipelines import pipeline, tone

COUNT = pipeline("src", "Count")


class Service(LocalService):
    """A service that counts what its node ``Count`` processes."""

    def __init__(self, *faults: Fault, **options: Any) -> None:
        nodes = {"Count": self._count, **options.pop("nodes", {})}
        super().__init__(nodes=nodes, faults=faults, **options)
        self.processed = 0
        self.began = asyncio.Event()

    async def _count(self, call: NodeCall) -> NodeOutput:
        self.began.set()
        self.processed += 1
        return NodeOutput(call.audio)

    @property
    def connections(self) -> set[Any]:
        assert self._server is not None
        return set(self._server.connections)


@asynccontextmanager
async def serving(
    *faults: Fault, contract: ContractName = "audio"
) -> AsyncIterator[tuple[Service, RemoteMediaClient]]:
    async with (
        Service(*faults, contract=contract) as service,
        RemoteMediaClient(service.address, timeout=5) as client,
    ):
        yield service, client


def audio(count: int = 5, frames: int = 160) -> Iterator[tuple[str, AudioBuffer]]:
    for _ in range(count):
        yield "src", tone(frames)


async def stream(
    client: RemoteMediaClient, received: list[int] | None = None
) -> list[int]:
    """Stream five chunks, and return the sequence numbers of the results."""
    received = [] if received is None else received
    async for chunk in client.stream_pipeline(COUNT, audio()):
        received.append(chunk.sequence)
    return received


async def execute(client: RemoteMediaClient) -> None:
    result = await client.execute_pipeline(COUNT, {"src": tone()})
    assert result.audio_outputs["src"] == tone()
