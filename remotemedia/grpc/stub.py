"""The base of the generated stubs: the four shapes of a gRPC call."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import (
    AsyncIterable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from typing import TYPE_CHECKING, TypeAlias, cast

from grpclib.const import Cardinality
from grpclib.metadata import Deadline

from remotemedia.grpc.call import Call, Message, RequestT, ResponseT
from remotemedia.grpc.responses import ResponseStream
from remotemedia.grpc.status import CallError

if TYPE_CHECKING:
    from grpclib.client import Channel

__all__ = ["CallError", "MetadataLike", "ResponseStream", "ServiceStub"]

MetadataLike: TypeAlias = (
    "Mapping[str, str | bytes] | Collection[tuple[str, str | bytes]]"
)

_Pair: TypeAlias = "tuple[str, str | bytes]"

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
# How often a call is made that the peer refuses: for about five seconds.
_MAX_ATTEMPTS = 12


class ServiceStub:
    """Base class of the generated stubs.

    A call fails with ``CallError``, whatever the reason. Safe by itself: a stub needs
    no facade to be bounded, cancellable and leak-free.

    Args:
        channel: where the calls go.
        timeout: seconds that a call with a single response may take, connecting
            included; infinity for no bound. A stream of responses is bounded by
            the timeout given with the call, and by ``idle_timeout``.
        deadline: a point in time that bounds every call.
        metadata: sent with every call; a call's own is merged into it.
        idle_timeout: seconds that a stream may go without a byte from the peer or a
            message to it; noticed after twice as long at the latest.
        max_send_bytes: the largest request; None for no limit.
        max_receive_bytes: the largest response. It is refused by its length,
            before it is received.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        timeout: float | None = 30.0,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
        idle_timeout: float | None = 300.0,
        max_send_bytes: int | None = 4 * 1024 * 1024,
        max_receive_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self.channel = channel
        self.timeout = timeout
        self.deadline = deadline
        self.metadata: list[_Pair] = metadata_pairs(metadata)
        self.idle_timeout = idle_timeout
        self.max_send_bytes = max_send_bytes
        self.max_receive_bytes = max_receive_bytes

    async def _unary_unary(
        self,
        route: str,
        request: Message,
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseT:
        bound = self._bound(self.timeout if timeout is None else timeout, deadline)
        delays = retry_delays()
        while True:
            call = self._call(
                route,
                Cardinality.UNARY_UNARY,
                [request],
                type(request),
                response_type,
                bound,
                metadata,
            )
            call.start()
            try:
                return await call.read_only()
            except CallError as error:
                delay = next(delays, math.inf)
                left = math.inf if bound is None else bound.time_remaining()
                # A try that has no time to be answered would only hide the refusal.
                if not error.is_refused or not 2 * delay < left:
                    raise
            finally:
                await call.close()
            await asyncio.sleep(delay)

    def _unary_stream(
        self,
        route: str,
        request: Message,
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseStream[ResponseT]:
        call = self._call(
            route,
            Cardinality.UNARY_STREAM,
            [request],
            type(request),
            response_type,
            self._bound(timeout, deadline),
            metadata,
        )
        return ResponseStream(call)

    async def _stream_unary(
        self,
        route: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        request_type: type[RequestT],
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseT:
        call = self._call(
            route,
            Cardinality.STREAM_UNARY,
            requests,
            request_type,
            response_type,
            self._bound(self.timeout if timeout is None else timeout, deadline),
            metadata,
        )
        call.start()
        try:
            return await call.read_only()
        finally:
            await call.close()

    def _stream_stream(
        self,
        route: str,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        request_type: type[RequestT],
        response_type: type[ResponseT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseStream[ResponseT]:
        call = self._call(
            route,
            Cardinality.STREAM_STREAM,
            requests,
            request_type,
            response_type,
            self._bound(timeout, deadline),
            metadata,
        )
        return ResponseStream(call)

    def _call(
        self,
        route: str,
        cardinality: Cardinality,
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        request_type: type[RequestT],
        response_type: type[ResponseT],
        deadline: Deadline | None,
        metadata: MetadataLike | None,
    ) -> Call[RequestT, ResponseT]:
        is_stream = cardinality.client_streaming or cardinality.server_streaming
        return Call(
            self.channel.request(
                route,
                cardinality,
                request_type,
                response_type,
                deadline=deadline,
                metadata=_merged(self.metadata, metadata),
            ),
            requests,
            response_type,
            cardinality,
            timeout=None if deadline is None else deadline.time_remaining(),
            idle_timeout=self.idle_timeout if is_stream else None,
            max_send_bytes=self.max_send_bytes,
            max_receive_bytes=self.max_receive_bytes,
        )

    def _bound(
        self, timeout: float | None, deadline: Deadline | None
    ) -> Deadline | None:
        """The earliest of all that bounds a call, or None."""
        bounds = (self.deadline, deadline, deadline_after(timeout))
        return min((bound for bound in bounds if bound is not None), default=None)


def retry_delays() -> Iterator[float]:
    """Seconds to wait between the tries of a call that was refused."""
    for attempt in range(_MAX_ATTEMPTS):
        yield min(0.01 * 2**attempt, 1.0) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def deadline_after(timeout: float | None) -> Deadline | None:
    """The point in time so many seconds from now; None for None and infinity.

    Raises:
        ValueError: the timeout is not positive.
    """
    if timeout is None or timeout == math.inf:
        return None
    if not timeout > 0:
        raise ValueError(f"timeout must be positive, got {timeout!r}")
    return Deadline.from_timeout(timeout)


def metadata_pairs(metadata: MetadataLike | None) -> list[tuple[str, str | bytes]]:
    """Metadata in one of its forms as a list of pairs.

    Raises:
        ValueError: a key or a value is none that a header can carry. The text does
            not show the value, which may be a secret.
    """
    if metadata is None:
        return []
    if isinstance(metadata, Mapping):
        pairs = list(cast("Mapping[str, str | bytes]", metadata).items())
    else:
        pairs = list(metadata)
    for key, value in pairs:
        if not _KEY.fullmatch(key) or key.startswith("grpc-"):
            raise ValueError(
                f"metadata {key!r}: a key has lower-case letters, digits, '_', '-' and "
                "'.', and does not begin with 'grpc-'"
            )
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ValueError(f"metadata {key!r}: the value must be bytes")
        elif not (isinstance(value, str) and _VALUE.fullmatch(value)):
            raise ValueError(f"metadata {key!r}: the value must be printable ASCII")
    return pairs


def _merged(ours: list[_Pair], theirs: MetadataLike | None) -> list[_Pair]:
    """All of ``theirs``, and of ``ours`` what is not named there."""
    last = metadata_pairs(theirs)
    replaced = {key for key, _ in last}
    return [pair for pair in ours if pair[0] not in replaced] + last
