"""One call of a user's: what fails in it, how often it is tried, and how it ended.

The client and the streams run their code inside ``with operation:``. The context
converts the gRPC layer's errors into ``RemoteMediaError`` and adds the facts of the
call: which method it was, where it went, its id and how long it took.

The gRPC layer tells the operation of every attempt and retry. When the call has ended,
the operation makes a record of it for the log and the user's hook: a call with a single
response has ended when its context is left, a stream when its owner says so (``end``).
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from typing import TYPE_CHECKING, Any

from remotemedia.errors import RemoteMediaError, from_call_error
from remotemedia.grpc import Call, CallError, Status
from remotemedia.record import CallRecord, OnCallEnd, is_wanted, log, tell

if TYPE_CHECKING:
    from types import TracebackType


_CANNOT_DECODE = "failed to decode Protobuf message"
"""What a service says of a request in messages that are not its own."""


class Operation:
    """One call of the user's, as a reusable context manager.

    A ``CallError`` leaves the context as a ``RemoteMediaError``; every other exception
    leaves it unchanged. A stream enters the context once for each of its steps.

    Args:
        name: the method that the user called.
        address: the address of the service, or all addresses of several.
        is_idempotent: True if the call may be repeated even after the service
            processed it.
        is_stream: whether it goes on after its context is left, until ``end``.
        on_call_end: the user's function that is told of its end.

    Attributes:
        request_id: the id of the call.
        iterable_error: the exception that the caller's own iterable raised, if any. It
            leaves the context unchanged, whatever its type.
        attempts: how many attempts there were.
        other_contract: the set of messages that the service may speak instead of the
            one of the call; "" for a call that is the same in both.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        is_idempotent: bool = False,
        is_stream: bool = False,
        on_call_end: OnCallEnd | None = None,
    ) -> None:
        self.name: str = name
        self.address = address
        self.is_idempotent = is_idempotent
        self.request_id: str = os.urandom(16).hex()
        self.iterable_error: BaseException | None = None
        self.attempts: int = 0
        self.other_contract: str = ""
        self._is_stream = is_stream
        self._on_call_end = on_call_end
        self._started_s = time.monotonic()
        self._is_ended = False
        self._method = ""
        # The attempt that is under way, and the sums of those before: bytes and
        # messages that were sent, bytes and messages that were received.
        self._call: Call[Any, Any] | None = None
        self._sums = (0, 0, 0, 0)

    def __enter__(self) -> None:
        """Enter the context; all the work happens on leaving it."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Convert the exception, if there is one and it is not the caller's own.

        Raises:
            RemoteMediaError: the call failed.
        """
        if not self._is_stream:
            self.end(exc)
        if exc is self.iterable_error:
            return
        if isinstance(exc, CallError):
            error = from_call_error(exc)
            if self.other_contract and _CANNOT_DECODE in error.message:
                error.message += (
                    ". The service may speak the other set of messages: "
                    f"RemoteMediaClient(…, contract={self.other_contract!r})"
                )
            # The plain class stands for failures that would happen again.
            if (
                self.is_idempotent
                and type(error) is not RemoteMediaError
                and exc.pushback_s != math.inf
            ):
                error.retryable = True
            if error.status is Status.UNIMPLEMENTED:
                method = self._method if self._call is None else self._call.path
                error.message += f" ({method} at {self._where})"
            self._add_call_facts(error)
            raise error from exc
        if isinstance(exc, RemoteMediaError):
            self._add_call_facts(exc)

    # -- what the gRPC layer tells

    def on_call(self, method: str) -> None:
        """The call is about to enter its interceptors."""
        self._method = method

    def on_attempt(self, call: Call[Any, Any]) -> None:
        """An attempt is about to begin."""
        self.attempts += 1
        if self._call is not None:
            self._sums = self._counts()
        self._call = call

    def on_retry(self, error: CallError, delay_s: float) -> None:
        """The last attempt failed, and there is another in so many seconds."""
        log.warning(
            "%s at %s failed with %s, and is made again in %.0f ms: attempt %d, "
            "request_id=%s",
            self.name,
            self._where,
            error.status.name,
            delay_s * 1000,
            self.attempts,
            self.request_id,
        )

    # -- the end

    def end(
        self,
        error: BaseException | None,
        *,
        sent_chunks: int = 0,
        acknowledged_chunks: int = 0,
        dropped_chunks: int = 0,
    ) -> None:
        """The call has ended; nothing happens if that was known.

        Args:
            error: what it failed with, or None.
            sent_chunks: how many chunks of audio were sent.
            acknowledged_chunks: how many had their result read.
            dropped_chunks: how many were accepted, and never sent.
        """
        call = self._call
        if self._is_ended or (call is None and not self._method):
            return
        self._is_ended = True
        if is_wanted(self._on_call_end):
            sent_bytes, received_bytes, sent_messages, received_messages = (
                self._counts()
            )
            record = CallRecord(
                operation=self.name,
                method=self._method if call is None else call.path,
                address=self._where,
                request_id=self.request_id,
                attempts=self.attempts,
                duration_s=time.monotonic() - self._started_s,
                status=status_of(error),
                error_type=error_type_of(error),
                sent_bytes=sent_bytes,
                received_bytes=received_bytes,
                sent_messages=sent_messages,
                received_messages=received_messages,
                sent_chunks=sent_chunks,
                acknowledged_chunks=acknowledged_chunks,
                dropped_chunks=dropped_chunks,
            )
            tell(record, self._on_call_end)

    @property
    def _where(self) -> str:
        """The address that the last attempt went to; before that, all there are."""
        return (self._call.address if self._call is not None else "") or self.address

    def _counts(self) -> tuple[int, int, int, int]:
        call, sums = self._call, self._sums
        if call is None:
            return sums
        return (
            sums[0] + call.sent_bytes,
            sums[1] + call.received_bytes,
            sums[2] + call.sent_messages,
            sums[3] + call.received_messages,
        )

    def _add_call_facts(self, error: RemoteMediaError) -> None:
        """Say which call failed, unless an inner operation has said so already."""
        if not error.operation:
            error.operation, error.address = self.name, self._where
            error.request_id = self.request_id
            error.elapsed_s = time.monotonic() - self._started_s


def status_of(error: BaseException | None) -> Status:
    """The gRPC status that a call ended with."""
    if error is None:
        return Status.OK
    if isinstance(error, (CallError, RemoteMediaError)) and error.status is not None:
        return error.status
    if isinstance(error, TimeoutError):
        return Status.DEADLINE_EXCEEDED
    if isinstance(error, RemoteMediaError):
        # The service reported it in a response.
        return Status.OK
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return Status.CANCELLED
    return Status.UNKNOWN


def error_type_of(error: BaseException | None) -> str:
    """The kind of a failure: the name of an ``ErrorType`` or of an exception; or ""."""
    if error is None:
        return ""
    if isinstance(error, CallError):
        error = from_call_error(error)
    if isinstance(error, RemoteMediaError):
        return error.error_type.name or "INTERNAL"
    return type(error).__name__
