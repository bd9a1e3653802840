"""Interceptors: async functions that run around each call.

An interceptor receives the call that is about to be made, and ``next``, which makes
it::

    async def intercept(call: CallDetails, next: Next) -> object:
        started = time.monotonic()
        try:
            return await next(call.with_metadata({"x-tenant": "blue"}))
        finally:
            print(call.method, time.monotonic() - started)

The rules:

- The first interceptor of the list is the outermost. Inside the last one are the bearer
  token, then the retries, then the attempts: an interceptor sees a call once, with all
  its attempts, and it never sees the token.
- A call with a single response: ``next`` returns the response, and the interceptor
  returns a response of the same type. It may call ``next`` several times, or never.
- A stream of responses: ``next`` opens the stream, and returns None when the stream has
  ended. So the interceptor brackets the life of the stream. It does not see the
  messages, and cannot change them.
- ``next`` raises what the call fails with, a ``CallError`` in most cases. What the
  interceptor raises is what the caller gets.
- The code before and after ``next`` is bounded by the deadline of the call, and in a
  stream by its idle timeout as well. After the deadline, or after a stream was left, an
  interceptor has a few seconds to finish before it is cancelled.

A stream with interceptors runs them in a task, which ends with the stream. A call
without interceptors pays nothing for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from grpclib.metadata import Deadline

from remotemedia.grpc.metadata import Metadata, MetadataLike


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallDetails:
    """A call that is about to be made; ``dataclasses.replace`` makes a changed copy.

    Attributes:
        method: the method, as ``/package.Service/Method``.
        address: where the call goes.
        metadata: the caller's metadata, without the bearer token.
        deadline: when the call must be done; None if there is no bound.
        request: the only request; None where the requests are a stream.
        is_stream: whether the responses are a stream.
        operation: the method of the client that the user called, such as
            ``"get_version"``; "" for a stub that does not belong to a client.
        request_id: the id of the client's call, or "".
    """

    method: str
    address: str
    metadata: Metadata
    deadline: Deadline | None
    request: object
    is_stream: bool
    operation: str = ""
    request_id: str = ""

    def with_metadata(self, metadata: MetadataLike) -> CallDetails:
        """A copy with more metadata, which replaces values of the same keys.

        Raises:
            TypeError, ValueError: the metadata is not valid.
        """
        return dataclasses.replace(self, metadata=self.metadata.merged(metadata))


class NotRepeatableError(RuntimeError):
    """``next`` was called again, for a call that cannot be made again."""


Next: TypeAlias = "Callable[[CallDetails], Awaitable[object]]"
"""Makes the call: it returns the response, or None after a stream."""

Interceptor: TypeAlias = "Callable[[CallDetails, Next], Awaitable[object]]"
"""Runs around a call, and returns what ``next`` returned or a response of its own."""


def check_interceptors(interceptors: Iterable[Interceptor]) -> tuple[Interceptor, ...]:
    """Check the interceptors that a user passed.

    Raises:
        TypeError: it is not an iterable of callables.
    """
    found = tuple(interceptors) if isinstance(interceptors, Iterable) else None
    if found is None or not all(map(callable, found)):
        raise TypeError(
            "interceptors must be a list of async functions (call, next), got "
            f"{interceptors!r:.80}"
        )
    return found


def around(interceptors: Iterable[Interceptor], make_call: Next) -> Next:
    """What makes a call inside these interceptors; the first is the outermost."""
    for interceptor in reversed(tuple(interceptors)):
        make_call = _inside(interceptor, make_call)
    return make_call


def _inside(interceptor: Interceptor, make_call: Next) -> Next:
    def intercept(call: CallDetails) -> Awaitable[object]:
        made = interceptor(call, make_call)
        if not isinstance(made, Awaitable):
            raise TypeError(
                f"interceptors must be async: {interceptor!r:.200} returned "
                f"{type(made).__name__}; write it as `async def`, and await next(call)"
            )
        return made

    return intercept
