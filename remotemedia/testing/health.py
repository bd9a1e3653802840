"""The standard health service of the embedded service: ``grpc.health.v1``.

Orchestrators, load balancers and ``grpcurl`` ask it whether a service is ready to
serve. Its messages are not part of the contract; they are declared here with
betterproto alone.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import betterproto
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

SERVICE = "grpc.health.v1.Health"


class ServingStatus(betterproto.Enum):
    """What the health service says of a service."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


@dataclass(eq=False, repr=False)
class HealthCheckRequest(betterproto.Message):
    """A question about one service; about all of them, if there is no name."""

    service: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class HealthCheckResponse(betterproto.Message):
    """The answer."""

    status: int = betterproto.enum_field(1)


class HealthService:
    """Says whether the embedded service serves; ``LocalService.is_serving`` decides.

    Args:
        services: the full names of the services that it knows.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = {"", *services}
        self._is_serving = True
        self._changed = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        """Whether the services serve."""
        return self._is_serving

    @is_serving.setter
    def is_serving(self, is_serving: bool) -> None:
        self._is_serving = is_serving
        self._changed.set()
        self._changed = asyncio.Event()

    def _status(self, service: str) -> int:
        if service not in self._services:
            return ServingStatus.SERVICE_UNKNOWN
        if not self._is_serving:
            return ServingStatus.NOT_SERVING
        return ServingStatus.SERVING

    async def check(
        self, stream: Stream[HealthCheckRequest, HealthCheckResponse]
    ) -> None:
        """Answer once.

        Raises:
            GRPCError: NOT_FOUND, if there is no such service.
        """
        request = await stream.recv_message()
        status = self._status(request.service if request else "")
        if status == ServingStatus.SERVICE_UNKNOWN:
            raise GRPCError(Status.NOT_FOUND, "there is no service of that name")
        await stream.send_message(HealthCheckResponse(status=status))

    async def watch(
        self, stream: Stream[HealthCheckRequest, HealthCheckResponse]
    ) -> None:
        """Answer now, and again with every change, until the client goes."""
        request = await stream.recv_message()
        service = request.service if request else ""
        while True:
            changed = self._changed
            await stream.send_message(HealthCheckResponse(status=self._status(service)))
            await changed.wait()

    def __mapping__(self) -> dict[str, Handler]:
        """Return the handler of each route, for grpclib."""
        return {
            f"/{SERVICE}/Check": Handler(
                self.check,
                Cardinality.UNARY_UNARY,
                HealthCheckRequest,
                HealthCheckResponse,
            ),
            f"/{SERVICE}/Watch": Handler(
                self.watch,
                Cardinality.UNARY_STREAM,
                HealthCheckRequest,
                HealthCheckResponse,
            ),
        }
