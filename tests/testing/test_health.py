"""The health service of the embedded service, to a client of grpcio's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService

health_pb2: Any = pytest.importorskip("grpc_health.v1.health_pb2")
health_pb2_grpc: Any = pytest.importorskip("grpc_health.v1.health_pb2_grpc")

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest_asyncio.fixture
async def local(contract: ContractName) -> AsyncIterator[LocalService]:
    """A service of each contract."""
    async with LocalService(contract=contract) as service:
        yield service


@pytest_asyncio.fixture
async def stub(local: LocalService) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(local.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def about(service: str = "") -> Any:
    return health_pb2.HealthCheckRequest(service=service)


@pytest.mark.parametrize(
    "service",
    [
        "",
        "remotemedia.v1.PipelineExecutionService",
        "remotemedia.v1.StreamingPipelineService",
    ],
)
async def test_every_service_serves(
    local: LocalService, stub: Any, service: str
) -> None:
    assert local.is_serving
    assert (await stub.Check(about(service))).status == SERVING
    local.is_serving = False
    assert (await stub.Check(about(service))).status == NOT_SERVING


async def test_an_unknown_service_is_not_found(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(about("other.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_changes_are_told_to_who_watches(local: LocalService, stub: Any) -> None:
    call = stub.Watch(about())
    assert (await call.read()).status == SERVING
    local.is_serving = False
    assert (await call.read()).status == NOT_SERVING
    local.is_serving = True
    assert (await call.read()).status == SERVING
    call.cancel()


async def test_watching_an_unknown_service_is_no_error(stub: Any) -> None:
    call = stub.Watch(about("other.Service"))
    assert (await call.read()).status == SERVICE_UNKNOWN
    call.cancel()
