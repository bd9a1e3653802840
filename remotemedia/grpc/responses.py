"""The responses of a streaming call, as its caller sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Generic

from remotemedia.grpc.call import Call, RequestT, ResponseT

if TYPE_CHECKING:
    from types import TracebackType


class ResponseStream(AsyncGenerator[ResponseT, None], Generic[ResponseT]):
    """The responses of a streaming call: an asynchronous generator of them.

    The call begins with the first response that is asked for. It ends, and the peer
    sees it reset, as the iteration ends, fails or is cancelled, with ``aclose()``,
    and as nothing refers to this object any more.
    """

    def __init__(self, call: Call[RequestT, ResponseT]) -> None:
        self._call = call
        self._is_started = False
        self._is_closed = False

    async def read(self) -> ResponseT | None:
        """The next response, or None after the last; it can be cancelled and repeated.

        Raises:
            CallError: the call failed. Every response that came before is
                delivered first.
            BaseException: what the caller's iterable raised.
        """
        if self._is_closed:
            return None
        if not self._is_started:
            self._is_started = True
            self._call.start()
        return await self._call.read()

    def stop(self) -> None:
        """End the call at once; ``aclose`` also waits for the caller's iterable."""
        if self._is_started:
            self._call.stop()

    async def aclose(self) -> None:
        """End the call, and close the caller's iterable."""
        if not self._is_closed:
            self._is_closed = True
            if self._is_started:
                await self._call.close()

    async def __anext__(self) -> ResponseT:
        try:
            response = await self.read()
        except BaseException:
            await self.aclose()
            raise
        if response is None:
            await self.aclose()
            raise StopAsyncIteration
        return response

    async def asend(self, value: None) -> ResponseT:
        """As ``__anext__``: a call takes nothing from its reader."""
        return await self.__anext__()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,
    ) -> ResponseT:
        """End the call, and raise the exception."""
        await self.aclose()
        raise typ

    def __del__(self) -> None:
        # Garbage may be collected anywhere; a call is stopped in its own loop.
        if self._is_started and not self._is_closed:
            loop = self._call.loop
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._call.stop)
