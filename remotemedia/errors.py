"""What can go wrong, as one exception type, and the table that leads to it.

::

    Exception
    └── RemoteMediaError                what every failed call raises
        ├── RemoteMediaConnectionError  also a ConnectionError: there is no peer
        └── RemoteMediaTimeoutError     also a TimeoutError: the deadline passed

The service reports a failure in three ways: as a gRPC status, as an
``ErrorResponse`` in place of a result, and on a stream as an ``ErrorResponse``
whose type is always INTERNAL and whose text begins with what it means.
``KINDS`` is the one table for all three. The embedded service reads it in the
other direction, so both ends say the same.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from grpclib.const import Status

from remotemedia.grpc.status import CallError
from remotemedia.v1 import ErrorResponse, ErrorType

if TYPE_CHECKING:
    from types import TracebackType


class RemoteMediaError(Exception):
    """A call failed.

    Attributes:
        message: what went wrong, and where known what to do; also ``str(error)``.
        error_type: the kind of failure.
        failing_node_id: id of the node that failed, or "" where none is to blame.
        context: more from the service, as JSON text; may be "".
        stack_trace: stack trace of the service; may be "".
        status: the gRPC status, or None where the failure did not come as one.
        details: the raw bytes of ``grpc-status-details-bin``, or None.
        retryable: whether the same call may safely be made again: the service
            surely did not process this one.
        address: the service's address, or "".
        operation: the call that failed, such as ``"execute_pipeline"``, or "".
        request_id: the client's name for the call, which the service got as the
            metadata ``x-request-id``; or "".
        elapsed_s: seconds from the start of the call to its failure.

    It pickles, and carries no token.
    """

    def __init__(
        self,
        message: str,
        *,
        error_type: ErrorType = ErrorType.INTERNAL,
        failing_node_id: str = "",
        context: str = "",
        stack_trace: str = "",
        status: Status | None = None,
        details: bytes | None = None,
        retryable: bool = False,
        address: str = "",
        operation: str = "",
        request_id: str = "",
        elapsed_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        self.failing_node_id = failing_node_id
        self.context = context
        self.stack_trace = stack_trace
        self.status = status
        self.details = details
        self.retryable = retryable
        self.address = address
        self.operation = operation
        self.request_id = request_id
        self.elapsed_s = elapsed_s

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        told = [repr(self.message), f"error_type={self.error_type!r}"]
        for name in ("failing_node_id", "status", "operation", "address"):
            value = getattr(self, name)
            if value:
                told.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(told)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


class RemoteMediaConnectionError(RemoteMediaError, ConnectionError):
    """The service could not be reached, or the connection to it was lost."""


class RemoteMediaTimeoutError(RemoteMediaError, TimeoutError):
    """The deadline passed before the call was done."""


def _rebuild(
    cls: type[RemoteMediaError], message: str, state: dict[str, Any]
) -> RemoteMediaError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class Kind(NamedTuple):
    """One kind of failure, and each way the service says it."""

    error_type: ErrorType
    statuses: tuple[Status, ...]
    """The gRPC statuses that mean it; the first is the one a service sends."""
    stream_prefix: str
    """How the text of an error on a stream begins; ``{node}`` is a node id."""


KINDS: tuple[Kind, ...] = (
    Kind(ErrorType.VALIDATION, (Status.INVALID_ARGUMENT,), "Validation error: "),
    # The status is INTERNAL's too: `Node <id>: ` in the message tells them apart.
    Kind(ErrorType.NODE_EXECUTION, (), "Node execution error in {node}: "),
    Kind(
        ErrorType.RESOURCE_LIMIT,
        (Status.RESOURCE_EXHAUSTED, Status.OUT_OF_RANGE),
        "Resource limit exceeded: ",
    ),
    Kind(
        ErrorType.AUTHENTICATION,
        (Status.UNAUTHENTICATED, Status.PERMISSION_DENIED),
        "Authentication failed: ",
    ),
    Kind(
        ErrorType.VERSION_MISMATCH,
        (Status.FAILED_PRECONDITION, Status.UNIMPLEMENTED),
        "Version mismatch: ",
    ),
    Kind(ErrorType.INTERNAL, (Status.INTERNAL,), "Internal error: "),
)

_KIND_OF_TYPE = {kind.error_type: kind for kind in KINDS}
_TYPE_OF_STATUS = {
    status: kind.error_type for kind in KINDS for status in kind.statuses
}
_CLASS_OF_STATUS: dict[Status, type[RemoteMediaError]] = {
    Status.UNAVAILABLE: RemoteMediaConnectionError,
    Status.DEADLINE_EXCEEDED: RemoteMediaTimeoutError,
}

_NODE_ID = r"(?P<node>[A-Za-z0-9_-]+)"
_NODE_FAILED = re.compile(f"Node {_NODE_ID}: ")
_STREAM_PREFIXES = [
    (re.compile(kind.stream_prefix.replace("{node}", _NODE_ID)), kind.error_type)
    for kind in KINDS
]


def from_call_error(error: CallError) -> RemoteMediaError:
    """What a failed call means to the user."""
    message = error.message or f"the service answered {error.status.name}"
    error_type = _TYPE_OF_STATUS.get(error.status, ErrorType.INTERNAL)
    node_id = ""
    if error.status is Status.INTERNAL and (found := _NODE_FAILED.match(message)):
        error_type, node_id = ErrorType.NODE_EXECUTION, found["node"]
    cls = _CLASS_OF_STATUS.get(error.status, RemoteMediaError)
    return cls(
        message,
        error_type=error_type,
        failing_node_id=node_id,
        status=error.status,
        details=error.details if isinstance(error.details, bytes) else None,
        # Only these pass by themselves.
        retryable=error.status in _CLASS_OF_STATUS and error.unprocessed,
    )


def from_response(error: ErrorResponse) -> RemoteMediaError:
    """What an error that came in place of a result means to the user.

    A type other than INTERNAL is believed. INTERNAL, which a stream says of
    every failure, and no type at all are decided by how the text begins.
    """
    error_type, node_id = error.error_type, error.failing_node_id
    if error_type in (ErrorType.INTERNAL, ErrorType.UNSPECIFIED):
        error_type = ErrorType.INTERNAL
        for prefix, meant in [
            *_STREAM_PREFIXES,
            (_NODE_FAILED, ErrorType.NODE_EXECUTION),
        ]:
            if found := prefix.match(error.message):
                error_type = meant
                node_id = node_id or found.groupdict().get("node", "")
                break
    return RemoteMediaError(
        error.message or "the service reported an error without a message",
        error_type=error_type,
        failing_node_id=node_id,
        context=error.context,
        stack_trace=error.stack_trace,
    )


def to_status(error: RemoteMediaError) -> tuple[Status, str]:
    """How a service reports an error of a unary call: status and message."""
    if error.error_type is ErrorType.NODE_EXECUTION:
        return Status.INTERNAL, f"Node {error.failing_node_id}: {error.message}"
    kind = _KIND_OF_TYPE.get(error.error_type)
    return (kind.statuses[0] if kind else Status.INTERNAL), error.message


def to_stream_response(error: RemoteMediaError) -> ErrorResponse:
    """How a service reports an error on a stream: all INTERNAL, told by the text."""
    kind = _KIND_OF_TYPE.get(error.error_type, _KIND_OF_TYPE[ErrorType.INTERNAL])
    prefix = kind.stream_prefix.format(node=error.failing_node_id)
    return ErrorResponse(
        error_type=ErrorType.INTERNAL,
        message=prefix + error.message,
        failing_node_id=error.failing_node_id,
        context=error.context,
    )


class Operation:
    """A user's call: a context that lets only ``RemoteMediaError`` out where it fails.

    The caller's own exceptions pass unchanged. Entered again and again, for every
    step of a stream.

    Args:
        name: the method that the user called.
        address: where the call goes.
        is_idempotent: whether it may be repeated even if the service processed it.

    Attributes:
        request_id: the client's name for the call.
        callers_error: what the caller's own iterable raised. It passes unchanged,
            even if it looks like a failure of this call.
    """

    def __init__(self, name: str, address: str, *, is_idempotent: bool = False) -> None:
        self.name = name
        self.address = address
        self.is_idempotent = is_idempotent
        self.request_id: str = os.urandom(16).hex()
        self.callers_error: BaseException | None = None
        self._started = time.monotonic()

    def __enter__(self) -> None:
        """Nothing to do: what counts is how the context is left."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is self.callers_error:
            return
        if isinstance(exc, CallError):
            error = from_call_error(exc)
            error.retryable |= (
                self.is_idempotent and type(error) is not RemoteMediaError
            )
            raise self._signed(error) from exc
        if isinstance(exc, RemoteMediaError):
            self._signed(exc)

    def _signed(self, error: RemoteMediaError) -> RemoteMediaError:
        if not error.operation:
            error.operation, error.address = self.name, self.address
            error.request_id = self.request_id
            error.elapsed_s = time.monotonic() - self._started
        return error
