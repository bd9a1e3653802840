"""Whether a service is ready to serve, and waiting until it is.

A service that has the standard health service (``grpc.health.v1``) says itself whether
it serves. One that does not have it is ready when it answers GetVersion, which
``connect`` has asked by then.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from remotemedia.errors import (
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import (
    CallArguments,
    Caller,
    CallError,
    MetadataLike,
    RetryPolicy,
    Status,
    WaitTimeoutError,
    deadline_after,
    wait_at_most,
)

if TYPE_CHECKING:
    from typing_extensions import Self

CHECK = "/grpc.health.v1.Health/Check"

_BACKOFF = RetryPolicy(initial_backoff_s=0.05, max_backoff_s=1.0)


# Of the time that is left, so much passes before the last attempt.
_BEFORE_THE_LAST = 0.8


class Health:
    """Both messages of a check, which are too small to generate code for.

    A ``HealthCheckRequest`` about the whole service has nothing in it. A
    ``HealthCheckResponse`` has one field, the enum ``ServingStatus`` with number 1.

    Args:
        data: a ``HealthCheckResponse``, encoded.
    """

    def __init__(self, data: bytes = b"") -> None:
        # The tag of field 1 as a varint, and SERVING.
        self.is_serving: bool = data.startswith(b"\x08\x01")

    def _encode(self, out: object) -> int:
        return 0

    @classmethod
    def _from_peer(cls, data: bytes) -> Self:
        """Decode a ``HealthCheckResponse``."""
        return cls(data)


async def check_health(
    caller: Caller, *, timeout: float, metadata: MetadataLike
) -> None:
    """Ask the service whether it serves.

    Args:
        caller: makes the call.
        timeout: of the call, in seconds.
        metadata: of the call.

    Raises:
        CallError: UNAVAILABLE, if the service says that it does not serve; otherwise,
            what the call failed with.
    """
    try:
        answer = await caller.unary_unary(
            CHECK, Health(), Health, CallArguments(timeout, metadata=metadata)
        )
    except CallError as error:
        if error.status is not Status.UNIMPLEMENTED:
            raise
        # It has no health service, and has answered GetVersion.
        return
    if not answer.is_serving:
        raise CallError(Status.UNAVAILABLE, "the service says that it does not serve")


async def until_ready(
    attempt: Callable[[], Coroutine[Any, Any, None]],
    timeout: float | None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
) -> None:
    """Try until the service is ready.

    Args:
        attempt: connects, and asks whether the service serves.
        timeout: in seconds; None for no bound.
        sleep: waits for so many seconds.
        uniform: draws a number from an interval.

    Raises:
        TypeError, ValueError: the timeout makes no sense.
        RemoteMediaTimeoutError: the service was not ready in time; the text says why.
        RemoteMediaError: it refuses this client, which waiting would not change.
    """
    deadline = deadline_after(timeout)
    attempts = 0
    is_last = False
    last: RemoteMediaError | None = None
    while True:
        left_s = None if deadline is None else deadline.time_remaining()
        try:
            return await wait_at_most(left_s, attempt())
        except WaitTimeoutError:
            error = last or RemoteMediaTimeoutError("it did not answer")
            delay_s = math.inf
        except (RemoteMediaConnectionError, RemoteMediaTimeoutError) as failure:
            if not failure.retryable:
                raise
            error = last = failure
            delay_s = uniform(0.0, _BACKOFF.longest_delay_s(attempts))
            attempts += 1
        left_s = None if deadline is None else deadline.time_remaining()
        if is_last or delay_s == math.inf:
            raise RemoteMediaTimeoutError(
                f"the service was not ready within {timeout:g} s: {error.message}",
                status=error.status,
                retryable=True,
                address=error.address,
                operation="wait_until_ready",
                request_id=error.request_id,
            ) from error
        if left_s is not None and left_s <= delay_s:
            # The last attempt comes shortly before the end, not long before it.
            delay_s, is_last = left_s * _BEFORE_THE_LAST, True
        await sleep(delay_s)
