"""What stands behind a stub: it makes the calls of the four shapes over a channel.

A stub only knows methods and types. Its *caller* knows the rest: the limits of calls,
their metadata, their interceptors, their token and their retries. From the outside in,
a call passes through::

    interceptors -> token -> retries -> attempts, each of which is a ``Call``

A stub of a client has a caller of the client's, which satisfies ``StubCaller`` too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, NamedTuple, Protocol

from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc.call import Call, Message, RequestT, ResponseT
from remotemedia.grpc.compression import Compression, check_compression
from remotemedia.grpc.headers import ResponseMetadata
from remotemedia.grpc.intercepted import GRACE_S, InterceptedCall
from remotemedia.grpc.interceptors import (
    CallDetails,
    Interceptor,
    Next,
    NotRepeatableError,
    around,
    check_interceptors,
)
from remotemedia.grpc.limits import (
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
    check_count,
    deadline_after,
    earliest,
)
from remotemedia.grpc.metadata import AUTHORIZATION, NO_METADATA, Metadata, MetadataLike
from remotemedia.grpc.responses import ResponseStream
from remotemedia.grpc.retry import Retries, RetryPolicy
from remotemedia.grpc.status import CallError
from remotemedia.grpc.token import TokenSource
from remotemedia.http2 import Channel, WaitTimeoutError, check_seconds, wait_at_most


class CallArguments(NamedTuple):
    """What a call may have of its own, beside what its stub has.

    Attributes:
        timeout: seconds that the call may take; infinity for no bound.
        deadline: a point in time that bounds the call.
        metadata: merged into the stub's.
        compression: how requests are compressed; None for the stub's way.
        response_metadata: takes the metadata of a single response.
    """

    timeout: float | None = None
    deadline: Deadline | None = None
    metadata: MetadataLike | None = None
    compression: Compression | None = None
    response_metadata: ResponseMetadata | None = None


NOTHING = CallArguments()
"""The arguments of a call that has none of its own."""


class StubCaller(Protocol):
    """Makes the calls of a stub: each shape gets a method's path, and its messages."""

    def unary_unary(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> Coroutine[Any, Any, ResponseT]:
        """Make a call with one request and one response."""
        ...

    def unary_stream(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseStream[ResponseT]:
        """Make a call with one request and a stream of responses."""
        ...

    def stream_unary(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> Coroutine[Any, Any, ResponseT]:
        """Make a call with a stream of requests and one response."""
        ...

    def stream_stream(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments,
    ) -> ResponseStream[ResponseT]:
        """Make a call with a stream of requests and a stream of responses."""
        ...


class Watcher(Protocol):
    """Who is told of the attempts and the retries of one call."""

    name: str
    """The method of the client that the user called."""
    request_id: str
    """The id of the call."""

    def on_call(self, method: str) -> None:
        """The call is about to enter its interceptors."""
        ...

    def on_attempt(self, call: Call[Any, Any]) -> None:
        """An attempt is about to begin."""
        ...

    def on_retry(self, error: CallError, delay_s: float) -> None:
        """The last attempt failed, and there is another in so many seconds."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What all calls of a stub have in common; ``ServiceStub`` describes each.

    Raises:
        TypeError: a value has a wrong type.
        ValueError: a timeout or a size is not positive, or there is no such
            compression.
    """

    timeout: float | None = DEFAULT_TIMEOUT_S
    deadline: Deadline | None = None
    metadata: Metadata = NO_METADATA
    idle_timeout: float | None = DEFAULT_IDLE_TIMEOUT_S
    max_send_bytes: int | None = DEFAULT_MAX_SEND_BYTES
    max_receive_bytes: int = DEFAULT_MAX_RECEIVE_BYTES
    compression: Compression = "identity"
    interceptors: tuple[Interceptor, ...] = ()
    token: TokenSource | None = None
    retry: RetryPolicy | None = None
    wait_for_ready: bool = False

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        check_seconds("idle_timeout", self.idle_timeout)
        if self.max_send_bytes is not None:
            check_count("max_send_bytes", self.max_send_bytes)
        check_count("max_receive_bytes", self.max_receive_bytes)
        check_compression(self.compression)
        check_interceptors(self.interceptors)
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise TypeError(
                f"retry must be a remotemedia.grpc.RetryPolicy, got {self.retry!r:.80}"
            )


class Caller:
    """Makes the calls of stubs over a channel.

    Args:
        channel: where the calls go.
        options: what they have in common.
        watcher: who is told of their attempts.
        retries: makes them again; by default, as the policy in the options says.
        check: looks at a single response, and raises what it makes the call fail with.
    """

    __slots__ = ("_channel", "_check", "_options", "_retries", "_watcher")

    def __init__(
        self,
        channel: Channel,
        options: CallOptions,
        watcher: Watcher | None = None,
        retries: Retries | None = None,
        check: Callable[[Any], None] | None = None,
    ) -> None:
        self._channel = channel
        self._options = options
        self._watcher = watcher
        self._retries = retries or Retries(options.retry, channel)
        self._check = check

    def unary_unary(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments = NOTHING,
    ) -> Coroutine[Any, Any, ResponseT]:
        """Make a call with one request and one response."""
        options = self._options
        bound = self._single_response_deadline(own)
        merged = options.metadata.merged(own.metadata)
        if not options.interceptors and options.token is None:
            return self._attempts(path, request, response_type, bound, merged, own)
        details, secret = self._details(path, bound, merged, request)

        def make_call(details: CallDetails) -> Coroutine[Any, Any, ResponseT]:
            return self._attempts(
                details.method,
                details.request,
                response_type,
                details.deadline,
                _restored(details.metadata, secret),
                own,
            )

        return self._intercepted(details, secret, make_call, response_type)

    def unary_stream(
        self,
        path: str,
        request: Message,
        response_type: type[ResponseT],
        own: CallArguments = NOTHING,
    ) -> ResponseStream[ResponseT]:
        """Make a call with one request and a stream of responses."""
        return self._stream(path, response_type, own, request=request)

    async def stream_unary(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments = NOTHING,
    ) -> ResponseT:
        """Make a call with a stream of requests and one response."""
        options = self._options
        bound = self._single_response_deadline(own)
        merged = options.metadata.merged(own.metadata)
        details, secret = self._details(path, bound, merged, None)
        is_begun = False

        async def make_call(details: CallDetails) -> ResponseT:
            nonlocal is_begun
            if is_begun:
                raise NotRepeatableError(
                    "next was called again, but the requests of a stream are gone"
                )
            is_begun = True
            call = self._call(
                details.method,
                response_type,
                details.deadline,
                _restored(details.metadata, secret),
                own,
                options.idle_timeout,
                requests=requests,
            )
            try:
                return await call.read_single(own.response_metadata)
            finally:
                await call.close()

        return await self._intercepted(details, secret, make_call, response_type)

    def stream_stream(
        self,
        path: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        own: CallArguments = NOTHING,
    ) -> ResponseStream[ResponseT]:
        """Make a call with a stream of requests and a stream of responses."""
        return self._stream(path, response_type, own, requests=requests)

    def _stream(
        self,
        path: str,
        response_type: type[ResponseT],
        own: CallArguments,
        *,
        request: RequestT | None = None,
        requests: AsyncIterable[RequestT] | Iterable[RequestT] = (),
    ) -> ResponseStream[ResponseT]:
        options = self._options
        bound = earliest(options.deadline, own.deadline, deadline_after(own.timeout))
        merged = options.metadata.merged(own.metadata)
        if not options.interceptors and options.token is None:
            call = self._call(
                path,
                response_type,
                bound,
                merged,
                own,
                options.idle_timeout,
                request=request,
                requests=requests,
            )
            return ResponseStream(call)
        details, secret = self._details(path, bound, merged, request, is_stream=True)

        def open_call(details: CallDetails) -> Call[Any, ResponseT]:
            return self._call(
                details.method,
                response_type,
                details.deadline,
                _restored(details.metadata, secret),
                own,
                options.idle_timeout,
                request=details.request,
                requests=requests,
            )

        return ResponseStream(
            InterceptedCall(
                details, self._interceptors(secret), open_call, options.idle_timeout
            )
        )

    def _attempts(
        self,
        path: str,
        request: Any,
        response_type: type[ResponseT],
        deadline: Deadline | None,
        metadata: Metadata,
        own: CallArguments,
    ) -> Coroutine[Any, Any, ResponseT]:
        """Make a call with one request and one response, and again while it helps."""

        async def attempt() -> ResponseT:
            call = self._call(
                path, response_type, deadline, metadata, own, None, request=request
            )
            try:
                response = await call.read_single(own.response_metadata)
            finally:
                await call.close()
            if self._check is not None:
                self._check(response)
            return response

        watcher = self._watcher
        on_retry = None if watcher is None else watcher.on_retry
        return self._retries.run(attempt, deadline, on_retry)

    def _call(
        self,
        path: str,
        response_type: type[ResponseT],
        deadline: Deadline | None,
        metadata: Metadata,
        own: CallArguments,
        idle_timeout: float | None,
        *,
        request: Any = None,
        requests: AsyncIterable[Any] | Iterable[Any] = (),
    ) -> Call[Any, ResponseT]:
        """One attempt."""
        options = self._options
        compression = own.compression
        if compression is None:
            compression = options.compression
        else:
            check_compression(compression)
        call = Call(
            self._channel,
            path,
            response_type,
            request=request,
            requests=requests,
            deadline=deadline,
            metadata=metadata,
            compression=compression,
            idle_timeout=idle_timeout,
            max_send_bytes=options.max_send_bytes,
            max_receive_bytes=options.max_receive_bytes,
            wait_for_ready=options.wait_for_ready,
        )
        if self._watcher is not None:
            self._watcher.on_attempt(call)
        return call

    def _single_response_deadline(self, own: CallArguments) -> Deadline | None:
        options = self._options
        seconds = options.timeout if own.timeout is None else own.timeout
        return earliest(options.deadline, own.deadline, deadline_after(seconds))

    # -- interceptors

    def _details(
        self,
        path: str,
        deadline: Deadline | None,
        metadata: Metadata,
        request: Message | None,
        *,
        is_stream: bool = False,
    ) -> tuple[CallDetails, Metadata]:
        """What interceptors see of a call, and the authorization that they do not."""
        watcher = self._watcher
        if watcher is not None:
            watcher.on_call(path)
        secret = Metadata(pair for pair in metadata if pair[0] == AUTHORIZATION)
        if secret:
            metadata = Metadata(pair for pair in metadata if pair[0] != AUTHORIZATION)
        details = CallDetails(
            method=path,
            address=self._channel.address,
            metadata=metadata,
            deadline=deadline,
            request=request,
            is_stream=is_stream,
            operation="" if watcher is None else watcher.name,
            request_id="" if watcher is None else watcher.request_id,
        )
        return details, secret

    def _interceptors(self, secret: Metadata) -> tuple[Interceptor, ...]:
        """The interceptors; without the token's where the call has its secret."""
        token = self._options.token
        if token is None or secret:
            return self._options.interceptors
        return (*self._options.interceptors, token.intercept)

    async def _intercepted(
        self,
        details: CallDetails,
        secret: Metadata,
        make_call: Next,
        response_type: type[ResponseT],
    ) -> ResponseT:
        """Make a call with a single response inside the interceptors.

        Raises:
            CallError: DEADLINE_EXCEEDED, if an interceptor takes too long.
            TypeError: an interceptor returned something else than a response.
        """
        outermost = around(self._interceptors(secret), make_call)
        bound = details.deadline
        left_s = None if bound is None else bound.time_remaining() + GRACE_S
        try:
            response = await wait_at_most(left_s, outermost(details))
        except WaitTimeoutError:
            raise CallError(
                Status.DEADLINE_EXCEEDED,
                "the interceptors were not done before the deadline of the call",
            ) from None
        if not isinstance(response, response_type):
            raise TypeError(
                f"an interceptor of {details.method} returned "
                f"{type(response).__name__}; it must return what next returned, or a "
                f"{response_type.__name__} of its own"
            )
        return response


def _restored(metadata: Metadata, secret: Metadata) -> Metadata:
    """Metadata with the caller's authorization, unless there is a newer one.

    Raises:
        TypeError, ValueError: an interceptor has put something else in its place.
    """
    metadata = Metadata.of(metadata)
    if not secret or any(key == AUTHORIZATION for key, _ in metadata):
        return metadata
    return Metadata((*metadata, *secret))
