"""Server reflection of the embedded service, for clients such as ``grpcurl``.

It answers which services there are, and hands out the compiled protos that define a
name. There are two versions of the service with the same messages, ``v1`` and
``v1alpha``; clients ask for either. The messages are declared here with betterproto
alone, since they are not part of the contract.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import betterproto
from grpclib.const import Cardinality, Handler, Status
from grpclib.server import Stream

from remotemedia.testing.descriptors import FILES

SERVICES = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)

_FILE_OF_SYMBOL = {symbol: name for name in FILES for symbol in FILES[name].symbols}


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
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted(services)

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
            name = _FILE_OF_SYMBOL.get(name, "")
        if name not in FILES:
            error = ReflectionError(
                Status.NOT_FOUND.value, f"there is no {value!r} in this service"
            )
            return ReflectionResponse(error_response=error)
        descriptors = [FILES[found].descriptor for found in _with_imports(name)]
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


def _with_imports(name: str) -> Iterator[str]:
    """The file, and before it every file that it needs, each once."""
    seen: dict[str, None] = {}

    def visit(file: str) -> None:
        if file not in seen:
            for imported in FILES[file].imports:
                visit(imported)
            seen[file] = None

    visit(name)
    yield from seen
