"""The effects of faults: what happens to a call, down to the frames on the wire."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
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
from remotemedia.testing.failures import to_stream_response
from remotemedia.v1 import (
    ChunkResult,
    ErrorResponse,
    ErrorType,
    ExecuteResponse,
    StreamResponse,
)

if TYPE_CHECKING:
    from grpclib.server import Stream

Method: TypeAlias = Literal["GetVersion", "ExecutePipeline", "StreamPipeline"]
"""A call of the contract, by its name there."""

# A number that no chunk has.
_WRONG_SEQUENCE = 2**64 - 1


class CallOverError(Exception):
    """The call is over: its method is not to send anything more."""


@dataclass(frozen=True)
class Call:
    """A call as it is struck.

    Attributes:
        method: which call of the contract it is.
        stream: the service's end of it.
        result: what is about to be sent, where the fault strikes at a chunk.
    """

    method: Method
    # A call of any method, so its messages are of any type.
    stream: Stream[Any, Any]
    result: ChunkResult = field(default_factory=ChunkResult)

    def abandon(self) -> NoReturn:
        """End it without another frame."""
        end_without_trailers(self.stream)
        raise CallOverError


class Effect(ABC):
    """What happens to a call."""

    @abstractmethod
    async def strike(self, call: Call) -> None:
        """Do it; the call goes on afterwards.

        Raises:
            CallOverError: the call does not go on. It ends with OK, unless it was
                abandoned.
            GRPCError: it ends with this status.
        """


@dataclass(frozen=True)
class Delay(Effect):
    """A wait."""

    seconds: float

    async def strike(self, call: Call) -> None:
        """Wait."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class EndWithStatus(Effect):
    """A gRPC status that is no success."""

    status: Status
    message: str

    async def strike(self, call: Call) -> None:
        """Fail the call."""
        raise GRPCError(self.status, self.message)


@dataclass(frozen=True)
class AnswerError(Effect):
    """An ``ErrorResponse`` in place of a result; the call itself ends with OK."""

    message: str
    error_type: ErrorType
    failing_node_id: str

    async def strike(self, call: Call) -> None:
        """Answer as the contract has it, for an execution or on a stream."""
        response: StreamResponse | ExecuteResponse
        if call.method == "StreamPipeline":
            error = RemoteMediaError(
                self.message,
                error_type=self.error_type,
                failing_node_id=self.failing_node_id,
            )
            response = StreamResponse(error=to_stream_response(error))
        else:
            response = ExecuteResponse(
                error=ErrorResponse(
                    error_type=self.error_type,
                    message=self.message,
                    failing_node_id=self.failing_node_id,
                )
            )
        await call.stream.send_message(response)
        raise CallOverError


@dataclass(frozen=True)
class EndEarly(Effect):
    """An end with OK, without a goodbye."""

    async def strike(self, call: Call) -> None:
        """End the call."""
        raise CallOverError


@dataclass(frozen=True)
class WrongSequence(Effect):
    """A result that claims to be of a chunk that nobody sent."""

    async def strike(self, call: Call) -> None:
        """Falsify the number."""
        call.result.sequence = _WRONG_SEQUENCE


@dataclass(frozen=True)
class Reset(Effect):
    """A RST_STREAM frame."""

    code: ErrorCodes

    async def strike(self, call: Call) -> None:
        """Reset the call."""
        await reset_stream(call.stream, self.code)
        call.abandon()


@dataclass(frozen=True)
class GoAway(Effect):
    """A GOAWAY frame, as of RFC 9113, section 6.8."""

    refuses: bool

    async def strike(self, call: Call) -> None:
        """Announce the connection's end, and take no more calls on it."""
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
        protocol.connection.flush()
        farewell = GoAwayFrame(0, last_stream_id=last).serialize()
        transport_of(call.stream).write(farewell)
        if self.refuses:
            call.abandon()


@dataclass(frozen=True)
class DropConnection(Effect):
    """The connection's end, without a word."""

    async def strike(self, call: Call) -> None:
        """Hang up, once what was sent before is out."""
        # `abort` would discard it.
        transport_of(call.stream).close()
        call.abandon()
