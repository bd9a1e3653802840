"""Server reflection of the embedded service, to a client of grpcio's and to grpcurl."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService

v1: Any = pytest.importorskip("grpc_reflection.v1alpha.reflection_pb2")
stubs: Any = pytest.importorskip("grpc_reflection.v1alpha.reflection_pb2_grpc")

SERVICES = [
    "grpc.health.v1.Health",
    "remotemedia.v1.PipelineExecutionService",
    "remotemedia.v1.StreamingPipelineService",
]
VERSIONS = ["v1", "v1alpha"]


async def ask(service: LocalService, version: str, *questions: Any) -> list[Any]:
    """Ask questions in one call; both versions have the same messages."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=v1.ServerReflectionRequest.SerializeToString,
            response_deserializer=v1.ServerReflectionResponse.FromString,
        )
        return [answer async for answer in call(iter(questions))]


@pytest_asyncio.fixture
async def service(contract: ContractName) -> AsyncIterator[LocalService]:
    """A service of each contract."""
    async with LocalService(contract=contract) as service:
        yield service


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_services_are_listed(service: LocalService, version: str) -> None:
    question = v1.ServerReflectionRequest(list_services="", host="h")
    (answer,) = await ask(service, version, question)
    names = [service.name for service in answer.list_services_response.service]
    assert names == SERVICES
    assert answer.valid_host == "h"
    assert answer.original_request == question


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SERVICES)
async def test_a_client_can_build_the_messages_of_a_service(
    service: LocalService, version: str, name: str
) -> None:
    question = v1.ServerReflectionRequest(file_containing_symbol=name)
    (answer,) = await ask(service, version, question)
    pool = DescriptorPool()
    for data in answer.file_descriptor_response.file_descriptor_proto:
        pool.Add(FileDescriptorProto.FromString(data))
    found = pool.FindServiceByName(name)
    for method in found.methods:
        assert GetMessageClass(method.input_type)() is not None


async def test_a_file_comes_with_its_imports(local: LocalService) -> None:
    question = v1.ServerReflectionRequest(file_by_filename="streaming.proto")
    (answer,) = await ask(local, "v1", question)
    files = [
        FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    names = [file.name for file in files]
    assert names == ["common.proto", "execution.proto", "streaming.proto"]


async def test_a_service_hands_out_the_messages_of_its_contract(
    service: LocalService, contract: ContractName
) -> None:
    question = v1.ServerReflectionRequest(file_by_filename="common.proto")
    (answer,) = await ask(service, "v1", question)
    (data,) = answer.file_descriptor_response.file_descriptor_proto
    names = {each.name for each in FileDescriptorProto.FromString(data).message_type}
    assert "AudioBuffer" in names
    assert ("DataBuffer" in names) is (contract == "data")


async def test_what_is_not_there_is_an_answer_too(local: LocalService) -> None:
    answers = await ask(
        local,
        "v1",
        v1.ServerReflectionRequest(file_containing_symbol="other.Service"),
        v1.ServerReflectionRequest(file_by_filename="other.proto"),
        v1.ServerReflectionRequest(all_extension_numbers_of_type="other.Type"),
        v1.ServerReflectionRequest(file_containing_symbol="remotemedia.v1.AudioBuffer"),
    )
    codes = [answer.error_response.error_code for answer in answers]
    assert codes == [grpc.StatusCode.NOT_FOUND.value[0]] * 3 + [0]
    assert "other.Service" in answers[0].error_response.error_message


def grpcurl() -> str | None:
    """Where Go puts it, too, which need not be on the path."""
    place = Path.home() / "go" / "bin"
    return shutil.which("grpcurl") or shutil.which("grpcurl", path=str(place))


@pytest.mark.skipif(grpcurl() is None, reason="grpcurl is not installed")
async def test_grpcurl_works_without_protos(local: LocalService) -> None:
    program = grpcurl()
    assert program is not None

    async def run(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            program,
            "-plaintext",
            *arguments[:-1],
            local.address,
            *arguments[-1].split(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    assert (await run("list")).split() == SERVICES
    assert "rpc ExecutePipeline" in await run(
        "describe remotemedia.v1.PipelineExecutionService"
    )
    assert json.loads(await run("grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    answer = json.loads(
        await run(
            "-d",
            '{"clientVersion": "v1"}',
            "remotemedia.v1.PipelineExecutionService/GetVersion",
        )
    )
    assert answer["compatible"] is True
