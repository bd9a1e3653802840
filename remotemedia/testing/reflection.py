"""Server reflection of the embedded service, for clients such as ``grpcurl``.

It answers which services there are, and hands out the compiled protos that define a
name. There are two versions of the service with the same messages, ``v1`` and
``v1alpha``; clients ask for either. The messages are declared here with betterproto
alone, since they are not part of the contract.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import betterproto
from grpclib.const import Cardinality, Handler, Status
from grpclib.server import Stream

SERVICES = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)


class DescribedFile(NamedTuple):
    """A proto file, compiled."""

    descriptor: bytes
    """A ``google.protobuf.FileDescriptorProto``, encoded, without comments."""
    imports: tuple[str, ...]
    symbols: tuple[str, ...]
    """The full names of all that it defines."""


@dataclass(eq=False, repr=False)
class ReflectionRequest(betterproto.Message):
    """One question. Of the others that the protocol has, none concerns proto3."""

    host: str = betterproto.string_field(1)
    file_by_filename: str = betterproto.string_field(3, group="message_request")
    file_containing_symbol: str = betterproto.string_field(4, group="message_request")
    list_services: str = betterproto.string_field(7, group="message_request")


@dataclass(eq=False, repr=False)
class FileDescriptors(betterproto.Message):
    """Compiled protos."""

    file_descriptor_proto: list[bytes] = betterproto.bytes_field(1)


@dataclass(eq=False, repr=False)
class ServiceName(betterproto.Message):
    """The full name of a service."""

    name: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class ServiceNames(betterproto.Message):
    """The services that there are."""

    service: list[ServiceName] = betterproto.message_field(1)


@dataclass(eq=False, repr=False)
class ReflectionError(betterproto.Message):
    """Why a question has no answer; a gRPC status and its message."""

    error_code: int = betterproto.int32_field(1)
    error_message: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class ReflectionResponse(betterproto.Message):
    """The answer to one question."""

    valid_host: str = betterproto.string_field(1)
    original_request: ReflectionRequest = betterproto.message_field(2)
    file_descriptor_response: FileDescriptors = betterproto.message_field(
        4, group="message_response"
    )
    list_services_response: ServiceNames = betterproto.message_field(
        6, group="message_response"
    )
    error_response: ReflectionError = betterproto.message_field(
        7, group="message_response"
    )


class ReflectionService:
    """Describes the services of the embedded service.

    Args:
        services: their full names.
        files: the compiled protos that define them, by name.
    """

    def __init__(
        self, services: Iterable[str], files: Mapping[str, DescribedFile]
    ) -> None:
        self._services = sorted(services)
        self._files = files
        self._file_of_symbol = {
            symbol: name for name, file in files.items() for symbol in file.symbols
        }

    async def info(self, stream: Stream[ReflectionRequest, ReflectionResponse]) -> None:
        """Answer each question in turn."""
        async for request in stream:
            response = self._answer(request)
            response.valid_host = request.host
            response.original_request = request
            await stream.send_message(response)

    def _answer(self, request: ReflectionRequest) -> ReflectionResponse:
        kind, value = betterproto.which_one_of(request, "message_request")
        if kind == "list_services":
            names = [ServiceName(name=name) for name in self._services]
            return ReflectionResponse(list_services_response=ServiceNames(names))
        name = str(value)
        if kind != "file_by_filename":
            name = self._file_of_symbol.get(name, "")
        if name not in self._files:
            error = ReflectionError(
                Status.NOT_FOUND.value, f"there is no {value!r} in this service"
            )
            return ReflectionResponse(error_response=error)
        found = _with_imports(name, self._files)
        descriptors = [self._files[file].descriptor for file in found]
        return ReflectionResponse(file_descriptor_response=FileDescriptors(descriptors))

    def __mapping__(self) -> dict[str, Handler]:
        """Return the handler of each route, for grpclib."""
        return {
            f"/{service}/ServerReflectionInfo": Handler(
                self.info,
                Cardinality.STREAM_STREAM,
                ReflectionRequest,
                ReflectionResponse,
            )
            for service in SERVICES
        }


def _with_imports(name: str, files: Mapping[str, DescribedFile]) -> Iterator[str]:
    """The file, and before it every file that it needs, each once."""
    seen: dict[str, None] = {}

    def visit(file: str) -> None:
        if file not in seen:
            for imported in files[file].imports:
                visit(imported)
            seen[file] = None

    visit(name)
    yield from seen
