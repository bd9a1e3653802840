"""The effects of faults: what happens to a call, down to the frames on the wire."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from remotemedia.errors import RemoteMediaError
from remotemedia.http2.compat import (
    cancel_calls_after,
    end_without_trailers,
    h2_connection,
    ignore_new_calls,
    protocol_of,
    reset_stream,
    stream_id,
    transport_of,
)
from remotemedia.v1 import ErrorType

if TYPE_CHECKING:
    from grpclib.server import Stream

    from remotemedia.testing.front import Front

Method: TypeAlias = Literal["GetVersion", "ExecutePipeline", "StreamPipeline"]
"""A method of the contract's services, by its name in the protos."""

# A sequence number that no chunk has.
_WRONG_SEQUENCE = 2**64 - 1


class CallOverError(Exception):
    """A fault has ended the call; its handler must not send anything more."""


@dataclass(frozen=True)
class Call:
    """A call that a fault is applied to.

    Attributes:
        method: the call's method.
        stream: the service's end of the call.
        front: the front end of the contract that the call is made by.
        result: the result that is about to be sent, for a fault at a chunk.
    """

    method: Method
    # The types of the messages depend on the method and the contract.
    stream: Stream[Any, Any]
    front: Front
    result: Any = None

    def abandon(self) -> NoReturn:
        """End the call without sending another frame.

        Raises:
            CallOverError: always.
        """
        end_without_trailers(self.stream)
        raise CallOverError


class Effect(ABC):
    """What a fault does to a call."""

    @abstractmethod
    async def apply(self, call: Call) -> None:
        """Apply the effect. If this returns, the call continues.

        Raises:
            CallOverError: the call is over. It ends with OK, unless it was abandoned.
            GRPCError: the call ends with this status.
        """


@dataclass(frozen=True)
class Delay(Effect):
    """The service waits before it continues."""

    seconds: float

    async def apply(self, call: Call) -> None:
        """Wait."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class EndWithStatus(Effect):
    """The call ends with a gRPC status other than OK."""

    status: Status
    message: str

    async def apply(self, call: Call) -> None:
        """Fail the call with the status."""
        raise GRPCError(self.status, self.message)


@dataclass(frozen=True)
class AnswerError(Effect):
    """The service sends an ``ErrorResponse`` and ends the call with OK."""

    message: str
    error_type: ErrorType
    failing_node_id: str

    async def apply(self, call: Call) -> None:
        """Send the error in the form that the contract has for this method."""
        error = RemoteMediaError(
            self.message,
            error_type=self.error_type,
            failing_node_id=self.failing_node_id,
        )
        if call.method == "StreamPipeline":
            await call.stream.send_message(call.front.stream_error(error))
        else:
            await call.stream.send_message(call.front.execution_error(error))
        raise CallOverError


@dataclass(frozen=True)
class EndEarly(Effect):
    """The call ends with OK, but without its last message."""

    async def apply(self, call: Call) -> None:
        """End the call."""
        raise CallOverError


@dataclass(frozen=True)
class WrongSequence(Effect):
    """The result has the sequence number of a chunk that was never sent."""

    async def apply(self, call: Call) -> None:
        """Change the number."""
        call.result.sequence = _WRONG_SEQUENCE


@dataclass(frozen=True)
class Reset(Effect):
    """The service resets the call with a RST_STREAM frame."""

    code: ErrorCodes

    async def apply(self, call: Call) -> None:
        """Reset the call."""
        await reset_stream(call.stream, self.code)
        call.abandon()


@dataclass(frozen=True)
class GoAway(Effect):
    """The service sends a GOAWAY frame (RFC 9113, section 6.8)."""

    refuses: bool
    """Whether the frame refuses this call and the later ones on the connection."""

    async def apply(self, call: Call) -> None:
        """Announce the end of the connection, and ignore new calls on it."""
        this = stream_id(call.stream)
        protocol = protocol_of(call.stream)
        ignore_new_calls(protocol)
        if self.refuses:
            cancel_calls_after(protocol, this)
            # Streams that clients open have odd numbers.
            last = max(this - 2, 0)
        else:
            last = h2_connection(protocol).highest_inbound_stream_id
        # Written past h2, which sends nothing more after a GOAWAY frame of its own.
        farewell = GoAwayFrame(0, last_stream_id=last).serialize()
        transport_of(call.stream).write(farewell)
        if self.refuses:
            call.abandon()


@dataclass(frozen=True)
class DropConnection(Effect):
    """The service closes the connection without a GOAWAY frame."""

    async def apply(self, call: Call) -> None:
        """Close the connection after everything that was sent has left."""
        # `abort` would discard it.
        transport_of(call.stream).close()
        call.abandon()
