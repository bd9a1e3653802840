"""The service's options, its lifetime, and the check of the token."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from pathlib import Path
from types import ModuleType

import grpc
import pytest
import trustme
from grpclib.const import Status

from remotemedia.contracts import ContractName
from remotemedia.testing import Fault, LocalService
from remotemedia.testing.limits import MAX_REQUEST_BYTES
from remotemedia.v1 import ExecuteRequest
from tests.support.pipelines import tone
from tests.testing.conftest import Serve
from tests.testing.core_client import CoreClient, connect
from tests.testing.manifests import chain, node

PASS = chain(node("src", "PassThrough"))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_it_listens_on_a_free_port_while_it_runs(
    core_modules: dict[str, ModuleType],
) -> None:
    async with LocalService() as service:
        host, port = service.address.split(":")
        assert host == "127.0.0.1"
        async with connect(core_modules, service.address) as client:
            assert (await client.version()).compatible
    assert is_free(int(port))


async def test_the_same_port_again(core_modules: dict[str, ModuleType]) -> None:
    async with LocalService() as first:
        port = int(first.address.rpartition(":")[2])
        async with connect(core_modules, first.address) as client:
            await client.version()
    second = LocalService(port=port)
    for _ in range(2):
        async with second, connect(core_modules, second.address) as client:
            assert second.address == first.address
            assert (await client.version()).compatible


async def test_two_services_in_one_process(core_modules: dict[str, ModuleType]) -> None:
    async with LocalService(nodes={"One": id}) as one, LocalService() as two:
        types = []
        for service in (one, two):
            async with connect(core_modules, service.address) as client:
                info = (await client.version()).version_info
                types.append("One" in info.supported_node_types)
    assert types == [True, False]


async def test_a_unix_socket(
    tmp_path: Path, core_modules: dict[str, ModuleType]
) -> None:
    path = tmp_path / "service.sock"
    async with LocalService(path=path) as service:
        assert service.address == f"unix:{path}"
        async with connect(core_modules, service.address) as client:
            assert (await client.version()).compatible
    assert not path.exists()


async def test_a_unix_socket_that_somebody_removed(tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    async with LocalService(path=path):
        path.unlink()


async def test_ipv6(core_modules: dict[str, ModuleType]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with LocalService(host="::1") as service:
        assert service.address.startswith("[::1]:")
        async with connect(core_modules, service.address) as client:
            assert (await client.version()).compatible


async def test_tls(core_modules: dict[str, ModuleType], contract: ContractName) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    async with LocalService(ssl=context, contract=contract) as service:
        address = service.address.replace("127.0.0.1", "localhost")
        async with grpc.aio.secure_channel(address, credentials) as channel:
            assert (await CoreClient(core_modules, channel).version()).compatible


@pytest.mark.parametrize(
    ("shown", "admitted"),
    [
        ("Bearer s3cret", True),
        ("Bearer s3cre", False),
        ("bearer s3cret", False),
        ("s3cret", False),
        (None, False),
    ],
)
async def test_the_token(serve: Serve, shown: str | None, admitted: bool) -> None:
    metadata = [("authorization", shown)] if shown else []
    async with serve(token="s3cret") as client:
        stream = client.open(metadata=metadata)
        if admitted:
            assert (await client.version(metadata=metadata)).compatible
            await stream.init(PASS)
            await stream.read("ready")
            stream.call.cancel()
            return
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.version(metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        details = caught.value.details() or ""
        assert ("wrong" if shown else "missing") in details
        assert "s3cre" not in details
        assert await stream.call.code() is grpc.StatusCode.UNAUTHENTICATED


def test_before_it_starts_there_is_no_address() -> None:
    with pytest.raises(RuntimeError, match="before it starts"):
        _ = LocalService().address


async def test_a_running_service_cannot_be_started_again(local: LocalService) -> None:
    with pytest.raises(RuntimeError, match="runs already"):
        await local.start()


async def test_a_fault_may_be_added_while_it_runs(
    local: LocalService, core_client: CoreClient
) -> None:
    local.add_fault(Fault.status(Status.ABORTED, method="GetVersion"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await core_client.version()
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert (await core_client.version()).compatible


async def test_stopping_twice_is_no_error(local: LocalService) -> None:
    await local.stop()
    await local.stop()


async def test_a_taken_port_leaves_nothing_behind(local: LocalService) -> None:
    before = asyncio.all_tasks()
    port = int(local.address.rpartition(":")[2])
    with pytest.raises(OSError, match=r"in use"):
        await LocalService(port=port).start()
    assert asyncio.all_tasks() == before


async def test_the_size_of_requests_is_limited(
    core_modules: dict[str, ModuleType],
) -> None:
    request = ExecuteRequest(manifest=PASS, audio_inputs={"src": tone(2_000)})
    size = len(bytes(request))
    for limit, is_accepted in ((size, True), (size - 1, False)):
        async with (
            LocalService(max_request_bytes=limit) as service,
            connect(core_modules, service.address) as client,
        ):
            if is_accepted:
                await client.execute(request)
                continue
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.execute(request)
        assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert f"where {limit} is the limit" in (caught.value.details() or "")


async def test_requests_may_be_larger_than_the_contract_s_limit(
    core_modules: dict[str, ModuleType],
) -> None:
    audio = tone(2 * MAX_REQUEST_BYTES // 4)
    request = ExecuteRequest(manifest=PASS, audio_inputs={"src": audio})
    async with LocalService(max_request_bytes=3 * MAX_REQUEST_BYTES) as service:
        unlimited = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(service.address, unlimited) as channel:
            result = await CoreClient(core_modules, channel).execute(request)
    assert result.audio_outputs["src"].num_samples == audio.num_samples


@pytest.mark.parametrize("limit", [0, -1])
def test_the_size_of_requests_must_be_positive(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_request_bytes is {limit}"):
        LocalService(max_request_bytes=limit)
    LocalService(max_request_bytes=1)


def test_sessions_are_idle_for_as_long_as_the_contract_says() -> None:
    default = inspect.signature(LocalService).parameters["idle_timeout"].default
    assert default == 300


@pytest.mark.parametrize("ssl", [True, "cert.pem"])
def test_ssl_is_a_context(ssl: object) -> None:
    with pytest.raises(TypeError, match="needs an SSLContext of the server side"):
        LocalService(ssl=ssl)  # type: ignore[arg-type]  # that is what is tested
