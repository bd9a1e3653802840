"""What is told of each call when it has ended: a record, a log line, and a hook.

When a call of a user's has ended, with all its attempts, the client makes one
``CallRecord`` of it. The record goes to the logger ``remotemedia.calls``, as one line
at level DEBUG, and to the function that the user passed as ``on_call_end``. If neither
listens, no record is made. There is none of a call that was refused before it had
anything to do with the connection, for example because its manifest is invalid.

Neither a record nor a log line has a payload, metadata or a token.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import TypeAlias

from remotemedia.grpc import Status

log: logging.Logger = logging.getLogger("remotemedia.calls")
"""One line at DEBUG for each call, and one at WARNING for each retry."""

# As the logging documentation asks of libraries: nothing is printed unless the
# application configures logging.
logging.getLogger("remotemedia").addHandler(logging.NullHandler())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """How a call went.

    Attributes:
        operation: the method that the user called, such as ``"execute_pipeline"``.
        method: the gRPC method, as ``/package.Service/Method``.
        address: the address that the last attempt went to.
        request_id: the id of the call, which the service received as the metadata
            ``x-request-id``.
        attempts: how many attempts there were; 0 if the call failed before the first,
            for example because there was no token.
        duration_s: seconds from the beginning of the call to its end. For a stream,
            that is its whole life.
        status: the gRPC status. A service can report a failure in a response that is
            OK to gRPC: see ``error_type``.
        error_type: what kind of failure it was: the name of an ``ErrorType``, or of an
            exception that is not the library's; "" for a call that succeeded.
        sent_bytes: the size of the requests, over all attempts.
        received_bytes: the size of the responses, over all attempts.
        sent_messages: how many requests were sent, over all attempts.
        received_messages: how many responses arrived, over all attempts.
        sent_chunks: how many chunks of audio a session sent.
        acknowledged_chunks: how many of them had their result read.
        dropped_chunks: how many accepted chunks never left.
    """

    operation: str
    method: str
    address: str
    request_id: str
    attempts: int
    duration_s: float
    status: Status
    error_type: str
    sent_bytes: int
    received_bytes: int
    sent_messages: int
    received_messages: int
    sent_chunks: int = 0
    acknowledged_chunks: int = 0
    dropped_chunks: int = 0

    def __str__(self) -> str:
        """The record as a line of a log."""
        parts = [
            f"{self.operation} {self.status.name}",
            f"address={self.address}",
            f"request_id={self.request_id}",
            f"attempts={self.attempts}",
            f"duration_ms={self.duration_s * 1000:.1f}",
            f"sent_bytes={self.sent_bytes}",
            f"received_bytes={self.received_bytes}",
        ]
        if self.error_type:
            parts.insert(1, f"error_type={self.error_type}")
        if self.sent_chunks or self.dropped_chunks:
            parts += [
                f"sent_chunks={self.sent_chunks}",
                f"acknowledged_chunks={self.acknowledged_chunks}",
                f"dropped_chunks={self.dropped_chunks}",
            ]
        return " ".join(parts)


OnCallEnd: TypeAlias = "Callable[[CallRecord], object]"
"""Is told of the end of each call, in the event loop of the client. It must not block,
and what it raises is logged."""


def is_wanted(on_call_end: OnCallEnd | None) -> bool:
    """Whether anybody listens."""
    return on_call_end is not None or log.isEnabledFor(logging.DEBUG)


def tell(record: CallRecord, on_call_end: OnCallEnd | None) -> None:
    """Tell whoever listens of the end of a call."""
    log.debug("%s", record, extra={"call": record})
    if on_call_end is not None:
        try:
            on_call_end(record)
        except Exception:
            log.exception("on_call_end raised")
