"""The base of the generated stubs: the four shapes of a gRPC call."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING

from remotemedia.grpc.call import Call, Message, RequestT, ResponseT
from remotemedia.grpc.compression import Compression, check_compression
from remotemedia.grpc.limits import (
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
    check_count,
    deadline_after,
    earliest,
)
from remotemedia.grpc.metadata import Metadata
from remotemedia.grpc.responses import ResponseStream
from remotemedia.grpc.retry import retry_refused
from remotemedia.http2 import Channel, check_seconds

if TYPE_CHECKING:
    from grpclib.metadata import Deadline

    from remotemedia.grpc.headers import ResponseMetadata
    from remotemedia.grpc.metadata import MetadataLike


class ServiceStub:
    """Base class of the generated stubs.

    A call fails with ``CallError``, whatever the reason. Calls are bounded and
    cancellable, and leave nothing behind.

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

    Raises:
        TypeError: the channel is not a ``remotemedia.grpc.Channel``, a timeout is not a
            number, or a size is not an int.
        ValueError: a timeout or a size is not positive, or there is no such
            compression.
    """

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
    ) -> None:
        if not isinstance(channel, Channel):
            cls = type(channel)
            raise TypeError(
                f"channel is a {cls.__module__}.{cls.__qualname__}; make one with "
                "remotemedia.grpc.Channel('host:port')"
            )
        check_seconds("timeout", timeout)
        check_seconds("idle_timeout", idle_timeout)
        if max_send_bytes is not None:
            check_count("max_send_bytes", max_send_bytes)
        check_count("max_receive_bytes", max_receive_bytes)
        check_compression(compression)
        self.channel = channel
        self.timeout = timeout
        self.deadline = deadline
        self.metadata: Metadata = Metadata.of(metadata)
        self.idle_timeout = idle_timeout
        self.max_send_bytes = max_send_bytes
        self.max_receive_bytes = max_receive_bytes
        self.compression: Compression = compression

    async def _unary_unary(
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
    ) -> ResponseT:
        bound = self._single_response_deadline(timeout, deadline)

        async def attempt() -> ResponseT:
            call = self._call(
                path,
                response_type,
                bound,
                metadata,
                compression,
                None,
                request=request,
            )
            try:
                return await call.read_single(response_metadata)
            finally:
                await call.close()

        return await retry_refused(attempt, bound)

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
        bound = earliest(self.deadline, deadline, deadline_after(timeout))
        return ResponseStream(
            self._call(
                path,
                response_type,
                bound,
                metadata,
                compression,
                self.idle_timeout,
                request=request,
            )
        )

    async def _stream_unary(
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
    ) -> ResponseT:
        bound = self._single_response_deadline(timeout, deadline)
        call = self._call(
            path,
            response_type,
            bound,
            metadata,
            compression,
            self.idle_timeout,
            requests=requests,
        )
        try:
            return await call.read_single(response_metadata)
        finally:
            await call.close()

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
        bound = earliest(self.deadline, deadline, deadline_after(timeout))
        return ResponseStream(
            self._call(
                path,
                response_type,
                bound,
                metadata,
                compression,
                self.idle_timeout,
                requests=requests,
            )
        )

    def _call(
        self,
        path: str,
        response_type: type[ResponseT],
        deadline: Deadline | None,
        metadata: MetadataLike | None,
        compression: Compression | None,
        idle_timeout: float | None,
        *,
        request: RequestT | None = None,
        requests: AsyncIterable[RequestT] | Iterable[RequestT] = (),
    ) -> Call[RequestT, ResponseT]:
        if compression is None:
            compression = self.compression
        else:
            check_compression(compression)
        return Call(
            self.channel,
            path,
            response_type,
            request=request,
            requests=requests,
            deadline=deadline,
            metadata=self.metadata.merged(metadata),
            compression=compression,
            idle_timeout=idle_timeout,
            max_send_bytes=self.max_send_bytes,
            max_receive_bytes=self.max_receive_bytes,
        )

    def _single_response_deadline(
        self, timeout: float | None, deadline: Deadline | None
    ) -> Deadline | None:
        seconds = self.timeout if timeout is None else timeout
        return earliest(self.deadline, deadline, deadline_after(seconds))
