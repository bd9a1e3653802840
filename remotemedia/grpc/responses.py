"""The responses of a streaming call, as its caller sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from remotemedia.grpc.call import Message, ResponseT

if TYPE_CHECKING:
    from types import TracebackType

    from remotemedia.grpc.metadata import Metadata


ResponseT_co = TypeVar("ResponseT_co", bound=Message, covariant=True)


class ResponseCall(Protocol[ResponseT_co]):
    """What a stream of responses needs of its call; see the methods of ``Call``."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers."""
        ...

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers."""
        ...

    async def read(self) -> ResponseT_co | None:
        """The next response, or None after the last."""
        ...

    def stop(self, reason: BaseException | None = None) -> None:
        """End it at once."""
        ...

    def stop_from_any_thread(self) -> None:
        """End it from any thread."""
        ...

    async def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        ...


class ResponseStream(AsyncGenerator[ResponseT, None], Generic[ResponseT]):
    """The responses of a streaming call: an asynchronous generator of them.

    The call begins when the first response is asked for. It ends, and the peer sees it
    reset, when the iteration ends, fails or is cancelled, with ``aclose()``, and when
    the last reference to this object is dropped.
    """

    def __init__(self, call: ResponseCall[ResponseT]) -> None:
        self._call = call
        self.read: Callable[[], Coroutine[None, None, ResponseT | None]] = call.read
        """Read the next response, or None after the last; see ``Call.read``. Unlike the
        iteration, it can be cancelled and repeated, and an error does not end it."""

    async def __anext__(self) -> ResponseT:
        try:
            response = await self._call.read()
        except BaseException:
            await self.aclose()
            raise
        if response is None:
            await self.aclose()
            raise StopAsyncIteration
        return response

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived yet."""
        return self._call.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers, which end the call; empty before that."""
        return self._call.trailers

    @property
    def is_over(self) -> bool:
        """Whether the call is over; what arrived may still be read."""
        return self._call.is_over

    def stop(self, reason: BaseException | None = None) -> None:
        """End the call at once; ``aclose`` also waits for the caller's iterable.

        Args:
            reason: what interceptors are to see; by default, that it was cancelled.
        """
        self._call.stop(reason)

    async def aclose(self) -> None:
        """End the call, and close the caller's iterable."""
        await self._call.close()

    async def asend(self, value: None) -> ResponseT:
        """As ``__anext__``; the value is ignored."""
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
        # Garbage may be collected in any thread.
        self._call.stop_from_any_thread()
