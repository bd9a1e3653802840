"""Makes a blocking method of an asynchronous one, with the same signature.

Type checkers and ``inspect.signature`` see the parameters and the result of the
asynchronous method, so nothing is written twice and nothing can drift apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from remotemedia.blocking.loop import wait_for

P = ParamSpec("P")
T = TypeVar("T")
AsyncT = TypeVar("AsyncT")
AsyncT_co = TypeVar("AsyncT_co", covariant=True)
MadeT = TypeVar("MadeT")
CallT = TypeVar("CallT", bound=Callable[..., object])
BlockingT = TypeVar("BlockingT", bound="Blocking[Any]")


class Blocking(Generic[AsyncT_co]):
    """Base class of the blocking classes: each object stands for an asynchronous one.

    Args:
        asynchronous: the object that does the work, on the background loop.
    """

    def __init__(self, asynchronous: AsyncT_co) -> None:
        self._asynchronous = asynchronous

    if not TYPE_CHECKING:
        # As in the asynchronous client, which says what to write instead of `with`.

        async def __aenter__(self) -> None:
            raise TypeError(
                "this is blocking: write `with`, or take remotemedia.RemoteMediaClient"
            )

        async def __aexit__(self, *exc_info: object) -> None:
            pass

    def __repr__(self) -> str:
        return f"<blocking {self._asynchronous!r}>"


def described(source: Callable[..., object]) -> Callable[[CallT], CallT]:
    """Give a function the signature of another one, or of a class, in its place."""

    def decorate(body: CallT) -> CallT:
        return _described(body, body, source)

    return decorate


def waits_for(
    method: Callable[Concatenate[AsyncT, P], Coroutine[Any, Any, T]],
) -> Callable[[Callable[[BlockingT], None]], Callable[Concatenate[BlockingT, P], T]]:
    """Make a method that calls an asynchronous one, and waits for its result.

    The decorated method gives it its name and docstring; it has no code of its own.
    """

    def decorate(
        body: Callable[[BlockingT], None],
    ) -> Callable[Concatenate[BlockingT, P], T]:
        def call(self: BlockingT, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return wait_for(method(self._asynchronous, *args, **kwargs))

        return _described(call, body, method)

    return decorate


def makes(
    method: Callable[Concatenate[AsyncT, P], MadeT], wrapper: Callable[[MadeT], T]
) -> Callable[[Callable[[BlockingT], None]], Callable[Concatenate[BlockingT, P], T]]:
    """Make a method that wraps what a plain method of the asynchronous object returns.

    The method is called on the background loop, as it may need to know its loop.
    """

    def decorate(
        body: Callable[[BlockingT], None],
    ) -> Callable[Concatenate[BlockingT, P], T]:
        def call(self: BlockingT, /, *args: P.args, **kwargs: P.kwargs) -> T:
            async def made() -> MadeT:
                return method(self._asynchronous, *args, **kwargs)

            return wrapper(wait_for(made()))

        return _described(call, body, method)

    return decorate


def _described(
    call: CallT, body: Callable[..., object], source: Callable[..., object]
) -> CallT:
    """Give a function the name and docstring of one, and the signature of another."""
    if call is not body:
        update_wrapper(call, body)
    annotated = source.__init__ if inspect.isclass(source) else source
    call.__annotations__ = dict(annotated.__annotations__)
    signature = inspect.signature(source)
    if inspect.isclass(source):
        this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        signature = signature.replace(parameters=[this, *signature.parameters.values()])
    call.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
    call.__doc__ = (
        f"{inspect.getdoc(body)}\n\nThe arguments, the result and the errors are those "
        f"of ``{source.__module__.partition('.')[0]}.{source.__qualname__}``."
    )
    return call
