"""Carries out the faults that the embedded service was given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import betterproto

from remotemedia.testing.effects import Call, CallOverError

if TYPE_CHECKING:
    from grpclib.events import RecvRequest
    from grpclib.server import Stream

    from remotemedia.testing.effects import Method
    from remotemedia.testing.faults import Fault
    from remotemedia.v1 import StreamRequest, StreamResponse

    Handler: TypeAlias = Callable[[Stream[Any, Any]], Awaitable[None]]


@dataclass
class _Armed:
    """A fault, and how often it has still to strike."""

    fault: Fault
    left: int


class FaultScript:
    """The faults that are still to come."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._armed: list[_Armed] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put a fault after the others."""
        self._armed.append(_Armed(fault, fault.times))

    async def on_request(self, event: RecvRequest) -> None:
        """Take a call over, if there is a fault that may strike it."""
        method = cast("Method", event.method_name.rpartition("/")[2])
        if any(one.left and one.fault.may_strike(method) for one in self._armed):
            event.method_func = partial(self._run, event.method_func, method)

    async def _run(
        self, handler: Handler, method: Method, stream: Stream[Any, Any]
    ) -> None:
        try:
            await self.strike(Call(method, stream))
            if method == "StreamPipeline":
                # As much of a stream as the generated code uses.
                stream = cast("Stream[Any, Any]", _StruckStream(stream, self))
            await handler(stream)
        except CallOverError:
            pass

    async def strike(self, call: Call, at_chunk: int | None = None) -> None:
        """Have every fault strike that is due.

        Raises:
            CallOverError: the call is over.
            GRPCError: it ends with this status.
        """
        for one in self._armed.copy():
            if one.left and one.fault.is_due(call.method, at_chunk):
                one.left -= 1
                await one.fault.effect.strike(call)


class _StruckStream:
    """A session's stream on which results may be struck."""

    def __init__(
        self, stream: Stream[StreamRequest, StreamResponse], script: FaultScript
    ) -> None:
        self._stream = stream
        self._script = script

    def __aiter__(self) -> AsyncIterator[StreamRequest]:
        return self._stream.__aiter__()

    async def send_message(self, message: StreamResponse) -> None:
        if betterproto.which_one_of(message, "response")[0] == "result":
            call = Call("StreamPipeline", self._stream, message.result)
            await self._script.strike(call, message.result.sequence)
        await self._stream.send_message(message)
