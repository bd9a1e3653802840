"""Fixtures: the two services that the client is tested against, over sockets."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from types import ModuleType

import hypothesis
import pytest
import pytest_asyncio

from conformance.oracle import grpc_modules
from remotemedia import RemoteMediaClient
from remotemedia.testing import LocalService
from tests.support import core_server

# No test fails for being slow: machines are noisy.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


# What drives calls runs on both loops; the rest has nothing to do with them.
ON_BOTH_LOOPS = {"faults", "test_call", "test_channel", "test_client", "test_stub"}
ON_BOTH_LOOPS |= {"test_stream"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The standard loop, and uvloop where it is installed."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    is_on_both = ON_BOTH_LOOPS & {item.path.stem, item.path.parent.name}
    if is_on_both and importlib.util.find_spec("uvloop"):
        factories["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return factories


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
