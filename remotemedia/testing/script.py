"""Applies faults to the calls of the embedded service.

A ``FaultScript`` holds the faults that have not happened yet, and wraps the handler of
each call that one of them may concern.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import betterproto

from remotemedia.testing.effects import Call, CallOverError
from remotemedia.testing.faults import Fault

if TYPE_CHECKING:
    from grpclib.events import RecvRequest
    from grpclib.server import Stream

    from remotemedia.testing.effects import Method
    from remotemedia.testing.front import Front

    Handler: TypeAlias = Callable[[Stream[Any, Any]], Awaitable[None]]


@dataclass
class _PendingFault:
    """A fault, and how many times it is still to happen."""

    fault: Fault
    times_left: int


class FaultScript:
    """The faults that are still to happen, in order.

    Args:
        faults: what is to go wrong.
        front: the front end of the contract that the service speaks.
    """

    def __init__(self, faults: Iterable[Fault], front: Front) -> None:
        self._front = front
        self._pending: list[_PendingFault] = []
        if isinstance(faults, Fault):
            raise TypeError("faults must be a list of them: faults=[Fault.delay(1)]")
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault after the others.

        Raises:
            TypeError: it is something else.
        """
        if not isinstance(fault, Fault):
            raise TypeError(
                f"a fault comes from Fault.reset() and others, got {fault!r}"
            )
        self._pending.append(_PendingFault(fault, fault.times))

    def unfinished(self) -> list[Fault]:
        """Return the faults that have not happened as often as they say."""
        return [pending.fault for pending in self._pending if pending.times_left]

    async def on_request(self, event: RecvRequest) -> None:
        """Wrap the handler of a call that a fault may concern."""
        method = cast("Method", event.method_name.rpartition("/")[2])
        if any(
            pending.times_left and pending.fault.concerns(method)
            for pending in self._pending
        ):
            event.method_func = partial(self._run, event.method_func, method)

    async def _run(
        self, handler: Handler, method: Method, stream: Stream[Any, Any]
    ) -> None:
        try:
            await self.apply_due(Call(method, stream, self._front))
            if method == "StreamPipeline":
                # It has the part of a stream that the generated code uses.
                stream = cast(
                    "Stream[Any, Any]", _FaultyStream(stream, self, self._front)
                )
            await handler(stream)
        except CallOverError:
            pass

    async def apply_due(self, call: Call, at_chunk: int | None = None) -> None:
        """Apply every fault that is due, in order, until one ends the call.

        Raises:
            CallOverError: the call is over.
            GRPCError: the call ends with this status.
        """
        # A copy, because faults may be added while one of them waits.
        for pending in self._pending.copy():
            if pending.times_left and pending.fault.is_due(call.method, at_chunk):
                pending.times_left -= 1
                await pending.fault.effect.apply(call)


class _FaultyStream:
    """The stream of a session, with faults applied to its results."""

    def __init__(
        self, stream: Stream[Any, Any], script: FaultScript, front: Front
    ) -> None:
        self._stream = stream
        self._script = script
        self._front = front
        self._is_ready = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._stream.__aiter__()

    # A response of either contract; both have the fields that are read here.
    async def send_message(self, message: Any) -> None:
        kind = betterproto.which_one_of(message, "response")[0]
        self._is_ready = self._is_ready or kind == "ready"
        # Before the session is ready, a result reports how nodes load.
        if kind == "result" and self._is_ready:
            call = Call("StreamPipeline", self._stream, self._front, message.result)
            await self._script.apply_due(call, message.result.sequence)
        await self._stream.send_message(message)
