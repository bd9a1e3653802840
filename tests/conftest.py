"""Fixtures: the two services that the client is tested against, over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType

import hypothesis
import pytest
import pytest_asyncio

from remotemedia import RemoteMediaClient
from remotemedia.testing import LocalService
from tests import core_server
from tests.oracle import grpc_modules

# No test fails for being slow: machines are noisy.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def core_modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    """What plain protoc makes of the protos, for grpcio."""
    return grpc_modules(tmp_path_factory.mktemp("grpcio"))


@pytest_asyncio.fixture
async def core(
    core_modules: dict[str, ModuleType],
) -> AsyncIterator[core_server.CoreServer]:
    """A service on grpcio's C core."""
    async with core_server.serve(core_modules) as server:
        yield server


@pytest_asyncio.fixture
async def local() -> AsyncIterator[LocalService]:
    """The embedded service."""
    async with LocalService() as service:
        yield service


@pytest_asyncio.fixture(params=["local", "core"])
async def address(
    request: pytest.FixtureRequest, core_modules: dict[str, ModuleType]
) -> AsyncIterator[str]:
    """Where a service listens: each test runs against both."""
    if request.param == "local":
        async with LocalService() as service:
            yield service.address
    else:
        async with core_server.serve(core_modules) as server:
            yield server.address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[RemoteMediaClient]:
    """A client, connected to each service in turn."""
    async with RemoteMediaClient(address) as client:
        yield client
