"""Stubs of any service without asyncio: ``RemoteMediaClient.stub``."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    overload,
)

from remotemedia.blocking.derive import Blocking
from remotemedia.blocking.loop import wait_for
from remotemedia.blocking.stream import Responses
from remotemedia.grpc import Message, ResponseStream, ServiceStub
from remotemedia.session import ThreadIterator

P = ParamSpec("P")
T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound=Message)
StubT = TypeVar("StubT", bound=ServiceStub)


class Stub(Blocking[StubT], Generic[StubT]):
    """Calls the methods of a generated stub, and waits for what they return.

    The method comes first, as the stub's class has it, and then its arguments::

        greeter = client.stub(GreeterStub)
        reply = greeter(GreeterStub.say_hello, HelloRequest(name="you"), timeout=5)
        for number in greeter(GreeterStub.count, HelloRequest(name="you")):
            ...

    Type checkers know the arguments and the result of each. A generated stub is
    asynchronous, and Python has no type for "the same methods without ``await``".
    """

    if not TYPE_CHECKING:
        # Type checkers know that there are no methods of this name.

        def __getattr__(self, name: str) -> Any:
            cls = type(self.__dict__.get("_asynchronous")).__name__
            raise AttributeError(
                f"{name!r} is not called on this object: where it is a method of the "
                f"service, write stub({cls}.{name}, …)"
            )

    @overload
    def __call__(
        self,
        method: Callable[Concatenate[StubT, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...

    @overload
    def __call__(
        self,
        method: Callable[Concatenate[StubT, P], ResponseStream[ResponseT]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Responses[ResponseT]: ...

    def __call__(
        self, method: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> object:
        """Make a call.

        Args:
            method: a method of the stub's class, such as ``GreeterStub.say_hello``.
            args: what it takes. Plain iterables of requests may block: they are
                iterated in a thread of their own.
            kwargs: what it takes by name.

        Returns:
            The response, or an iterator over the responses.

        Raises:
            TypeError: it is not a method of the stub's class.
            RemoteMediaError: the call failed.
        """
        cls = type(self._asynchronous)
        name = getattr(method, "__name__", "")
        if getattr(cls, name, None) is not method:
            raise TypeError(
                f"method must be one of the class {cls.__name__}, such as "
                f"{cls.__name__}.{name or 'method'}, got {method!r:.80}"
            )

        # The first argument after the stub is what is sent. A list cannot block.
        bound = inspect.signature(method).bind(self._asynchronous, *args, **kwargs)
        _, sent, *_ = bound.arguments
        requests = bound.arguments[sent]
        if isinstance(requests, Iterable) and not isinstance(requests, (list, tuple)):
            bound.arguments[sent] = _in_thread(requests)

        async def call() -> object:
            made = method(*bound.args, **bound.kwargs)
            return Responses(made) if isinstance(made, ResponseStream) else await made

        return wait_for(call())


async def _in_thread(requests: Iterable[T]) -> AsyncGenerator[T, None]:
    iterator = ThreadIterator(requests)
    try:
        async for request in iterator:
            yield request
    finally:
        await iterator.aclose()
