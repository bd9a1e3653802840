"""Fixtures: the embedded service, and a client that shares no line with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType

import pytest_asyncio

from remotemedia.testing import LocalService
from tests.testing.core_client import CoreClient, connect


@pytest_asyncio.fixture
async def core_client(
    local: LocalService, core_modules: dict[str, ModuleType]
) -> AsyncIterator[CoreClient]:
    """A client of the service."""
    async with connect(core_modules, local.address) as client:
        yield client
