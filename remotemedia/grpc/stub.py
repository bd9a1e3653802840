"""The base of the generated stubs: the four shapes of a gRPC call."""

from __future__ import annotations

from collections.abc import AsyncIterable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from remotemedia.grpc.call import Message, RequestT, ResponseT
from remotemedia.grpc.caller import CallArguments, Caller, CallOptions, StubCaller
from remotemedia.grpc.compression import Compression
from remotemedia.grpc.interceptors import Interceptor, check_interceptors
from remotemedia.grpc.limits import (
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
)
from remotemedia.grpc.metadata import Metadata
from remotemedia.grpc.responses import ResponseStream
from remotemedia.grpc.retry import RetryPolicy
from remotemedia.http2 import Channel

if TYPE_CHECKING:
    from grpclib.metadata import Deadline
    from typing_extensions import Self

    from remotemedia.grpc.headers import ResponseMetadata
    from remotemedia.grpc.metadata import MetadataLike


class ServiceStub:
    """Base class of the generated stubs.

    A call fails with ``CallError``, whatever the reason. Calls are bounded and
    cancellable, and leave nothing behind. All that a stub has besides its methods is
    private, so that no method of a service can hide it.

    Args:
        channel: where the calls go.
        timeout: seconds that a call with a single response may take, connecting
            included; infinity for no bound. A stream of responses is bounded by the
            timeout given with the call, and by ``idle_timeout``.
        deadline: a point in time that bounds every call.
        metadata: sent with every call; a call's own is merged into it.
        idle_timeout: seconds that a stream may go without a frame from the peer or a
            message to it; None for no bound. It is detected after one to two times
            this value.
        max_send_bytes: the largest request; None for no limit.
        max_receive_bytes: the largest response. A larger one is refused by its length,
            before it is received, and a compressed one before it is expanded.
        compression: how requests are compressed, ``"gzip"`` or ``"identity"`` (not at
            all), unless a call has its own. Responses are taken either way.
        interceptors: async functions that run around every call, the first outermost;
            see ``remotemedia.grpc.Interceptor``.
        retry: when a failed call with a single request and a single response is made
            again. The peer may process such a call twice, so pass a policy only to a
            stub for methods that are idempotent. Without it, a call is made again only
            if the peer certainly did not process it.
        wait_for_ready: whether calls wait, until their deadline, where no connection
            can be made, instead of failing (``doc/wait-for-ready.md`` of gRPC).

    Raises:
        TypeError: the channel is not a ``remotemedia.grpc.Channel``, a timeout is not a
            number, a size is not an int, or another argument has a wrong type.
        ValueError: a timeout or a size is not positive, or there is no such
            compression.
    """

    _caller: StubCaller

    def __init__(
        self,
        channel: Channel,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        idle_timeout: float | None = DEFAULT_IDLE_TIMEOUT_S,
        max_send_bytes: int | None = DEFAULT_MAX_SEND_BYTES,
        max_receive_bytes: int = DEFAULT_MAX_RECEIVE_BYTES,
        compression: Compression = "identity",
        interceptors: Iterable[Interceptor] = (),
        retry: RetryPolicy | None = None,
        wait_for_ready: bool = False,
    ) -> None:
        if not isinstance(channel, Channel):
            cls = type(channel)
            raise TypeError(
                f"channel is a {cls.__module__}.{cls.__qualname__}; make one with "
                "remotemedia.grpc.Channel('host:port'); a client makes stubs itself, "
                f"with client.stub({type(self).__name__})"
            )
        options = CallOptions(
            timeout=timeout,
            deadline=deadline,
            metadata=Metadata.of(metadata),
            idle_timeout=idle_timeout,
            max_send_bytes=max_send_bytes,
            max_receive_bytes=max_receive_bytes,
            compression=compression,
            interceptors=check_interceptors(interceptors),
            retry=retry,
            wait_for_ready=wait_for_ready,
        )
        self._caller = Caller(channel, options)

    @classmethod
    def _over(cls, caller: StubCaller) -> Self:
        """A stub whose calls are made by this caller."""
        stub = cls.__new__(cls)
        stub._caller = caller
        return stub

    def _unary_unary(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
    ) -> Coroutine[Any, Any, ResponseT]:
        own = CallArguments(timeout, deadline, metadata, compression, response_metadata)
        return self._caller.unary_unary(path, request, response_type, own)

    def _unary_stream(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
    ) -> ResponseStream[ResponseT]:
        own = CallArguments(timeout, deadline, metadata, compression)
        return self._caller.unary_stream(path, request, response_type, own)

    def _stream_unary(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
    ) -> Coroutine[Any, Any, ResponseT]:
        own = CallArguments(timeout, deadline, metadata, compression, response_metadata)
        return self._caller.stream_unary(path, requests, response_type, own)

    def _stream_stream(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
    ) -> ResponseStream[ResponseT]:
        own = CallArguments(timeout, deadline, metadata, compression)
        return self._caller.stream_stream(path, requests, response_type, own)
