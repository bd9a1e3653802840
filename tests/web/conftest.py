"""A caller of the applications, and what the service saw of their calls."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from remotemedia.testing import NodeCall, NodeReturn


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the applications."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as http:
        yield http


@pytest.fixture
def calls(caplog: pytest.LogCaptureFixture) -> Calls:
    """What the service has to say of its calls that ended."""
    caplog.set_level(logging.DEBUG, "remotemedia.testing")
    return Calls(caplog)


class Calls:
    """Counts the calls that ended, by method and status, from the service's log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __getitem__(self, method_and_status: str) -> int:
        return Counter(
            " ".join(record.getMessage().split("/")[-1].split()[:2])
            for record in self._caplog.records
            if record.name == "remotemedia.testing.call_log"
        )[method_and_status]


class Held:
    """A node that holds each call until it is let through."""

    def __init__(self) -> None:
        self.entered = 0
        self._room = asyncio.Semaphore(0)

    def let(self, count: int) -> None:
        """Let so many calls through."""
        for _ in range(count):
            self._room.release()

    async def __call__(self, call: NodeCall) -> NodeReturn:
        self.entered += 1
        await self._room.acquire()
        return {"has_speech": False, "energy_db": -120.0}
