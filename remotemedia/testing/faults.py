"""Faults that a user has the embedded service commit: :class:`Fault`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia.testing.effects import (
    AnswerError,
    Delay,
    DropConnection,
    Effect,
    EndEarly,
    EndWithStatus,
    GoAway,
    Method,
    Reset,
    WrongSequence,
)
from remotemedia.v1 import ErrorType


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in a ``LocalService``, so many times and no more.

    Made with one of the static methods, each of which is one kind of fault::

        async def test_a_session_that_breaks() -> None:
            faults = [Fault.reset(at_chunk=2)]
            async with LocalService(faults=faults) as service:
                async with RemoteMediaClient(service.address) as client:
                    received = []
                    with pytest.raises(RemoteMediaError):
                        async for chunk in client.stream_pipeline(MANIFEST, audio()):
                            received.append(chunk.sequence)
                    assert received == [0, 1]
                    # Once only: now the service behaves.
                    async for chunk in client.stream_pipeline(MANIFEST, audio()):
                        ...

    A fault without `at_chunk` strikes before the service looks at the request, so
    the call is not processed. One with `at_chunk` strikes on a stream, when that
    chunk is processed and its result is to be sent; the results before it are sent.

    Of several faults, all that are due strike in the order they were given in, until
    one ends the call; the rest wait for the next call.

    Attributes:
        effect: what happens.
        method: the call that it strikes; None for ``ExecutePipeline`` and
            ``StreamPipeline``. ``GetVersion``, with which clients connect, is struck
            only where it is named.
        at_chunk: number of the chunk that it strikes at, from 0; None for the call
            itself.
        times: how often it strikes.
    """

    effect: Effect
    method: Method | None = None
    at_chunk: int | None = None
    times: int = 1

    def __post_init__(self) -> None:
        if self.method not in (None, *get_args(Method)):
            raise ValueError(
                f"method is {self.method!r}; it must be one of "
                f"{', '.join(get_args(Method))}, or None"
            )
        if self.at_chunk is not None:
            if self.method not in (None, "StreamPipeline"):
                raise ValueError(
                    f"at_chunk is {self.at_chunk}, but {self.method} has no chunks; "
                    "leave out one of the two"
                )
            if self.at_chunk < 0:
                raise ValueError(f"at_chunk is {self.at_chunk}; chunks count from 0")
        if self.times < 1:
            raise ValueError(f"times is {self.times}; it must be at least 1")

    @staticmethod
    def delay(
        seconds: float,
        *,
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The call, or the result, is late by so many seconds.

        A call that ends meanwhile, by its deadline or by its client, ends the wait.
        """
        return Fault(Delay(seconds), method, at_chunk, times)

    @staticmethod
    def status(
        status: Status,
        message: str = "",
        *,
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The call ends with a gRPC status, and a message that goes with it.

        Raises:
            ValueError: the status is OK.
        """
        if status is Status.OK:
            raise ValueError("OK is no failure; Fault.end_early ends a stream with OK")
        return Fault(EndWithStatus(status, message), method, at_chunk, times)

    @staticmethod
    def error(
        message: str,
        *,
        error_type: ErrorType = ErrorType.INTERNAL,
        failing_node_id: str = "",
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The service answers with an ``ErrorResponse``, and ends the call with OK.

        On a stream the response says INTERNAL, and its text begins with what that
        means, as the contract has it. NODE_EXECUTION comes with the node's id.

        Raises:
            ValueError: the method is ``GetVersion``, which has no such answer.
        """
        if method == "GetVersion":
            raise ValueError("GetVersion answers no errors; use Fault.status")
        effect = AnswerError(message, error_type, failing_node_id)
        return Fault(effect, method, at_chunk, times)

    @staticmethod
    def reset(
        code: ErrorCodes = ErrorCodes.INTERNAL_ERROR,
        *,
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The call is reset (RST_STREAM), with an HTTP/2 error code.

        REFUSED_STREAM tells the client that the call was not processed: ours makes
        it again by itself.
        """
        return Fault(Reset(code), method, at_chunk, times)

    @staticmethod
    def go_away(
        *,
        refuses: bool = False,
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The service announces the end of the connection (GOAWAY).

        Calls under way finish, and new ones need a new connection. Where it refuses,
        the call itself and those that came after it on the connection were too late:
        our client makes them again by itself.

        Raises:
            ValueError: a call is to be refused at a chunk, when it was accepted.
        """
        if refuses and at_chunk is not None:
            raise ValueError(
                "a call is refused before its first chunk; leave out refuses or "
                "at_chunk"
            )
        return Fault(GoAway(refuses), method, at_chunk, times)

    @staticmethod
    def drop_connection(
        *,
        method: Method | None = None,
        at_chunk: int | None = None,
        times: int = 1,
    ) -> Fault:
        """The connection is lost, and every call on it."""
        return Fault(DropConnection(), method, at_chunk, times)

    @staticmethod
    def end_early(*, at_chunk: int | None = None, times: int = 1) -> Fault:
        """A stream ends with OK, but without ``closed``; or without even ``ready``."""
        return Fault(EndEarly(), "StreamPipeline", at_chunk, times)

    @staticmethod
    def bad_sequence(*, at_chunk: int, times: int = 1) -> Fault:
        """A result carries the number of a chunk that was never sent.

        The session goes on as far as the service is concerned.
        """
        return Fault(WrongSequence(), "StreamPipeline", at_chunk, times)

    def is_due(self, method: Method, at_chunk: int | None) -> bool:
        """Whether it strikes here: at this chunk, or at the call where that is None."""
        return at_chunk == self.at_chunk and self.may_strike(method)

    def may_strike(self, method: Method) -> bool:
        """Whether it strikes calls of this method, or their chunks."""
        if self.at_chunk is not None:
            return method == "StreamPipeline"
        return method == self.method or (self.method is None and method != "GetVersion")
