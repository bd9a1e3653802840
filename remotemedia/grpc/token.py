"""The bearer token of calls: fixed, or fetched by a function of the user's.

A ``TokenSource`` is an interceptor. It calls the user's function when the first call
needs a token, before the token expires, and once when the peer refuses a call with
UNAUTHENTICATED; then the call is made again with the new token. All calls that need a
token at the same time wait for one call of the function. Each of them can be cancelled
without disturbing the others; the function is cancelled when nobody waits for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from grpclib.const import Status

from remotemedia.grpc.interceptors import CallDetails, Next, NotRepeatableError
from remotemedia.grpc.metadata import AUTHORIZATION, Metadata, authorization
from remotemedia.grpc.status import CallError
from remotemedia.http2 import WaitTimeoutError, wait_at_most

# A token is replaced this long before it expires, or after nine tenths of its life.
_EARLY_S = 30.0
# How long the function may take for a call that has no deadline, as a stream may.
_LONGEST_FETCH_S = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A bearer token that expires.

    Neither its ``repr`` nor a pickle shows it: it cannot be pickled.

    Attributes:
        value: the token, without ``Bearer``.
        expires_at: when it expires, in seconds since the epoch, as ``time.time()``
            counts them; None if that is not known.
    """

    value: str = dataclasses.field(repr=False)
    expires_at: float | None = None

    def __reduce__(self) -> str:
        raise TypeError("a token is a secret, and cannot be pickled")


_YEAR_S = 365 * 24 * 3600

TokenFunction: TypeAlias = "Callable[[], str | Token | Awaitable[str | Token]]"
"""Returns a bearer token. A plain function runs in a thread, so it may block."""


class TokenSource:
    """The tokens that a user's function returns, as an interceptor.

    Args:
        function: returns a token; see ``TokenFunction``.
        clock: the time, in seconds since the epoch.
    """

    def __init__(
        self, function: TokenFunction, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._function = function
        self._clock = clock
        self._token: Token | None = None
        self._replace_at = 0.0
        self._fetch: asyncio.Task[Token] | None = None
        self._waiting = 0

    async def intercept(self, call: CallDetails, next: Next) -> object:
        """Make a call with a token, and once more with a new one if it was refused.

        A call that brings an authorization of its own is left alone.

        Raises:
            CallError: the call failed; DEADLINE_EXCEEDED, if there was no token in
                time.
            TypeError, ValueError: the user's function returned no valid token.
            Exception: what the user's function raised.
        """
        if any(key == AUTHORIZATION for key, _ in call.metadata):
            return await next(call)
        token = await self._current(call)
        try:
            return await next(_with_token(call, token))
        except CallError as error:
            if error.status is not Status.UNAUTHENTICATED:
                raise
            if self._token is token:
                # Otherwise another call has replaced it already.
                self._token = None
            if call.request is None:
                # Its requests may be gone; who made it may make another.
                raise
            rejection = error
            token = await self._current(call)
        try:
            return await next(_with_token(call, token))
        except NotRepeatableError:
            # The stream had delivered responses before it was rejected.
            raise rejection from None
        except CallError as error:
            if error.status is Status.UNAUTHENTICATED and self._token is token:
                self._token = None
            raise

    async def _current(self, call: CallDetails) -> Token:
        """The token; it is fetched if there is none, or if it is about to expire."""
        token = self._token
        if token is not None and self._clock() < self._replace_at:
            return token
        left_s = _LONGEST_FETCH_S
        if call.deadline is not None:
            left_s = min(left_s, call.deadline.time_remaining())
        try:
            return await wait_at_most(left_s, self._fetched())
        except WaitTimeoutError:
            raise CallError(
                Status.DEADLINE_EXCEEDED,
                "the token function did not return in time",
                unprocessed=True,
            ) from None

    async def _fetched(self) -> Token:
        """A new token, from one call of the function for all who wait."""
        fetch = self._fetch
        if fetch is None:
            fetch = self._fetch = asyncio.get_running_loop().create_task(self._call())
            fetch.add_done_callback(self._on_fetched)
        self._waiting += 1
        try:
            return await asyncio.shield(fetch)
        finally:
            self._waiting -= 1
            if not self._waiting and not fetch.done():
                fetch.cancel()
                self._fetch = None

    def _on_fetched(self, fetch: asyncio.Task[Token]) -> None:
        if self._fetch is fetch:
            self._fetch = None
        if not fetch.cancelled():
            # Retrieve the exception, or the event loop would log that nobody did.
            fetch.exception()

    async def _call(self) -> Token:
        function = self._function
        if _is_async(function):
            found = function()
        else:
            found = await asyncio.to_thread(_called, function)
        if inspect.isawaitable(found):
            found = await found
        token = Token(found) if isinstance(found, str) else found
        if not isinstance(token, Token):
            raise TypeError(
                "the token function must return a str or a remotemedia.grpc.Token, got "
                f"{type(token).__name__}"
            )
        authorization(token.value)
        replace_at = float("inf")
        if token.expires_at is not None:
            if not isinstance(token.expires_at, (int, float)):
                raise TypeError(
                    "expires_at of a token must be a number of seconds since the "
                    f"epoch, got {type(token.expires_at).__name__}"
                )
            now_s = self._clock()
            if token.expires_at < _YEAR_S < now_s:
                raise ValueError(
                    f"expires_at of a token is {token.expires_at:g}, in 1970: it is a "
                    f"point in time, such as time.time() + {token.expires_at:g}"
                )
            lifetime_s = token.expires_at - now_s
            replace_at = token.expires_at - min(_EARLY_S, lifetime_s / 10)
        self._token, self._replace_at = token, replace_at
        return token


def _with_token(call: CallDetails, token: Token) -> CallDetails:
    pairs = (*call.metadata, authorization(token.value))
    return dataclasses.replace(call, metadata=Metadata(pairs))


def _is_async(function: TokenFunction) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object's own `__call__`
    )


def _called(function: TokenFunction) -> str | Token | Awaitable[str | Token]:
    try:
        return function()
    except StopIteration as error:
        # A future cannot carry it, so that the call would never end.
        raise RuntimeError("the token function raised StopIteration") from error
