"""Fixtures: the embedded service, and clients that share no line with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import pytest
import pytest_asyncio

from conformance.oracle import DATA_CONTRACT, Google, load
from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService
from tests.testing.core_client import CoreClient, connect
from tests.testing.data_client import DataClient, connect_data

Connect: TypeAlias = "Callable[[str], AbstractAsyncContextManager[CoreClient]]"


class Serve(Protocol):
    """Starts a service with some options, and gives a client of it."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[CoreClient]: ...


@pytest.fixture(scope="session")
def data_google() -> Google:
    """Google's messages of the data contract."""
    return load(DATA_CONTRACT)


@pytest.fixture(params=["audio", "data"])
def contract(request: pytest.FixtureRequest) -> ContractName:
    """Each contract: a test runs on both."""
    name: ContractName = request.param
    return name


@pytest.fixture
def call_service(
    contract: ContractName, core_modules: dict[str, ModuleType], data_google: Google
) -> Connect:
    """Connects a client to a service of each contract."""
    if contract == "audio":
        return partial(connect, core_modules)
    return partial(connect_data, core_modules, data_google)


@pytest.fixture
def serve(contract: ContractName, call_service: Connect) -> Serve:
    """A service of each contract."""

    @asynccontextmanager
    async def serving(**options: Any) -> AsyncIterator[CoreClient]:
        async with (
            LocalService(contract=contract, **options) as service,
            call_service(service.address) as client,
        ):
            yield client

    return serving


@pytest_asyncio.fixture
async def both(serve: Serve) -> AsyncIterator[CoreClient]:
    """A client of a service of each contract."""
    async with serve() as client:
        yield client


@pytest_asyncio.fixture
async def core_client(
    local: LocalService, core_modules: dict[str, ModuleType]
) -> AsyncIterator[CoreClient]:
    """A client of the service."""
    async with connect(core_modules, local.address) as client:
        yield client


@pytest_asyncio.fixture
async def data_client(
    core_modules: dict[str, ModuleType], data_google: Google
) -> AsyncIterator[DataClient]:
    """A client of a service of the data contract."""
    async with (
        LocalService(contract="data") as service,
        connect_data(core_modules, data_google, service.address) as client,
    ):
        yield client
