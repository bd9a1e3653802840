"""The calls of ``client.stub(…)``: a stub of any service, with the client's promises.

Each call is an operation of the client's: it has an id, its failures are raised as
``RemoteMediaError``, and its end is told to the log and the user's hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from remotemedia.grpc import (
    Caller,
    CallError,
    Message,
    Metadata,
    MetadataLike,
    ResponseStream,
    Status,
)
from remotemedia.operation import Operation

if TYPE_CHECKING:
    from remotemedia.grpc import CallArguments

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

Begin: TypeAlias = (
    "Callable[[str, MetadataLike | None, bool], tuple[Operation, Caller, Metadata]]"
)
"""Begins a call: from its name, its metadata, and whether it has many responses."""


class ClientCaller:
    """Makes the calls of a stub that belongs to a client.

    Args:
        begin: begins a call on the client's connection.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    async def unary_unary(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseT:
        """Make a call with one request and one response."""
        operation, caller, merged = self._begin(_name(path), own.metadata, False)
        with operation:
            return await caller.unary_unary(
                path, request, response_type, own._replace(metadata=merged)
            )

    def unary_stream(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseStream[ResponseT]:
        """Make a call with one request and a stream of responses."""
        operation, caller, merged = self._begin(_name(path), own.metadata, True)
        responses = caller.unary_stream(
            path, request, response_type, own._replace(metadata=merged)
        )
        return ResponseStream(_ClientCall(responses, operation))

    async def stream_unary(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseT:
        """Make a call with a stream of requests and one response."""
        operation, caller, merged = self._begin(_name(path), own.metadata, False)
        with operation:
            return await caller.stream_unary(
                path, requests, response_type, own._replace(metadata=merged)
            )

    def stream_stream(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseStream[ResponseT]:
        """Make a call with a stream of requests and a stream of responses."""
        operation, caller, merged = self._begin(_name(path), own.metadata, True)
        responses = caller.stream_stream(
            path, requests, response_type, own._replace(metadata=merged)
        )
        return ResponseStream(_ClientCall(responses, operation))


class _ClientCall(Generic[ResponseT]):
    """The call of a stream whose failures are raised as ``RemoteMediaError``."""

    def __init__(
        self, responses: ResponseStream[ResponseT], operation: Operation
    ) -> None:
        self._responses = responses
        self._operation = operation
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_over(self) -> bool:
        return self._responses.is_over

    async def read(self) -> ResponseT | None:
        self._loop = asyncio.get_running_loop()
        with self._operation:
            try:
                response = await self._responses.read()
            except asyncio.CancelledError:
                # The next read goes on where this one stopped.
                raise
            except BaseException as error:
                self._operation.end(error)
                raise
            if response is None:
                self._operation.end(None)
            return response

    @property
    def headers(self) -> Metadata:
        return self._responses.headers

    @property
    def trailers(self) -> Metadata:
        return self._responses.trailers

    def stop(self, reason: BaseException | None = None) -> None:
        self._responses.stop(reason)
        self._operation.end(reason or CallError(Status.CANCELLED, "it was left"))

    def stop_from_any_thread(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    async def close(self) -> None:
        self.stop()
        await self._responses.aclose()


def _name(path: str) -> str:
    """The name of a method: ``SayHello``, of ``/greeter.Greeter/SayHello``."""
    return path.rpartition("/")[2]
