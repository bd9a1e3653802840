"""Faults for the embedded service, as a user describes them: :class:`Fault`."""

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
    """Something that goes wrong in a ``LocalService``, a given number of times.

    Each kind of fault has a static method that makes it::

        async def test_a_session_that_breaks() -> None:
            faults = [Fault.reset(at_chunk=2)]
            async with LocalService(faults=faults) as service:
                async with RemoteMediaClient(service.address) as client:
                    received = []
                    with pytest.raises(RemoteMediaError):
                        async for chunk in client.stream_pipeline(MANIFEST, audio()):
                            received.append(chunk.sequence)
                    assert received == [0, 1]
                    # The fault happens once, so the next stream succeeds.
                    async for chunk in client.stream_pipeline(MANIFEST, audio()):
                        ...

    A fault without `at_chunk` happens before the service looks at the request, so
    the call is not processed. A fault with `at_chunk` happens on a stream, after that
    chunk was processed and before its result is sent; earlier results are sent.

    If several faults are due, they happen in the order in which they were given, until
    one of them ends the call; the others remain for the next call.

    Attributes:
        effect: what happens.
        method: the method that the fault concerns; None for ``ExecutePipeline`` and
            ``StreamPipeline``. ``GetVersion``, which clients call to connect, must be
            named.
        at_chunk: the number of the chunk at which the fault happens, from 0; None for
            the call itself.
        times: how many times the fault happens.
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
        """The call, or the result, is delayed by a number of seconds.

        The wait ends early if the client or the deadline ends the call.
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
        """The call ends with a gRPC status and a message.

        Raises:
            TypeError: it is not a ``remotemedia.grpc.Status``.
            ValueError: the status is OK.
        """
        if not isinstance(status, Status):
            raise TypeError(
                f"status must be a remotemedia.grpc.Status, such as "
                f"Status.UNAVAILABLE, got {status!r:.80}"
            )
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
        """The service sends an ``ErrorResponse`` and ends the call with OK.

        On a stream of the audio contract, the type of the response is INTERNAL and its
        text begins with a prefix for `error_type`, as the contract says.

        Raises:
            ValueError: the method is ``GetVersion``, whose response has no error.
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
        """The call is reset (RST_STREAM) with an HTTP/2 error code.

        REFUSED_STREAM tells the client that the call was not processed;
        ``RemoteMediaClient`` then repeats the call by itself.
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

        Calls in progress finish, and new calls need a new connection. If `refuses` is
        true, this call and the later ones on the connection are not processed;
        ``RemoteMediaClient`` then repeats them by itself.

        Raises:
            ValueError: `refuses` is true and `at_chunk` is given: a call that has
                chunks has been accepted already.
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
        """The connection closes, and every call on it fails."""
        return Fault(DropConnection(), method, at_chunk, times)

    @staticmethod
    def end_early(*, at_chunk: int | None = None, times: int = 1) -> Fault:
        """A stream ends with OK but without ``closed``, or even without ``ready``."""
        return Fault(EndEarly(), "StreamPipeline", at_chunk, times)

    @staticmethod
    def bad_sequence(*, at_chunk: int, times: int = 1) -> Fault:
        """A result has the sequence number of a chunk that was never sent.

        For the service, the session continues.
        """
        return Fault(WrongSequence(), "StreamPipeline", at_chunk, times)

    def is_due(self, method: Method, at_chunk: int | None) -> bool:
        """Whether the fault happens at this chunk, or at the call if that is None."""
        return at_chunk == self.at_chunk and self.concerns(method)

    def concerns(self, method: Method) -> bool:
        """Whether the fault may happen in a call of this method."""
        if self.at_chunk is not None:
            return method == "StreamPipeline"
        return method == self.method or (self.method is None and method != "GetVersion")
