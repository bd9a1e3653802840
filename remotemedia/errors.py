"""The exceptions that a failed call raises, and the table that leads to them.

::

    Exception
    └── RemoteMediaError                any failed call
        ├── RemoteMediaConnectionError  also a ConnectionError: no usable connection
        └── RemoteMediaTimeoutError     also a TimeoutError: the deadline passed

The service reports a failure in one of three ways: as a gRPC status, as an
``ErrorResponse`` in place of a result, or, on a stream, as an ``ErrorResponse`` whose
type is always INTERNAL and whose text begins with a prefix that names the real type.
``KINDS`` has one row for each kind of failure and serves all three. This module reads
the table as a client does; the embedded service reads the same table to write what a
client reads, so both ends agree.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from grpclib.const import Status

from remotemedia.grpc import NO_METADATA, CallError, Metadata, printable
from remotemedia.v1 import ErrorResponse, ErrorType


class RemoteMediaError(Exception):
    """A call failed.

    The exception can be pickled, and it never contains a token.

    Attributes:
        message: what went wrong and, if known, what to do. ``str(error)`` adds the id
            of the call.
        error_type: the kind of failure.
        failing_node_id: the id of the node that failed, or "" if no node is to blame.
        context: more information from the service, as JSON text; may be "".
        stack_trace: the service's stack trace; may be "".
        status: the gRPC status, or None if the failure was not reported as one.
        details: the raw bytes of ``grpc-status-details-bin``, or None.
        headers: the metadata of the response headers; empty if none arrived.
        trailers: the metadata of the trailers; empty if none arrived. On a stream,
            an error that the service reports in a message comes before them.
        retryable: True if it is safe to make the same call again: the service has
            not processed this one, or the call changes nothing. False where it would
            not help: the service said so, or a certificate was refused.
        address: the service's address, or "".
        operation: the method that failed, such as ``"execute_pipeline"``, or "".
        request_id: the id of the call, which the service received as the metadata
            ``x-request-id``; or "".
        elapsed_s: seconds from the start of the call to its failure.
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
        headers: Metadata = NO_METADATA,
        trailers: Metadata = NO_METADATA,
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
        self.headers = headers
        self.trailers = trailers
        self.retryable = retryable
        self.address = address
        self.operation = operation
        self.request_id = request_id
        self.elapsed_s = elapsed_s

    def __str__(self) -> str:
        if not self.request_id:
            return self.message
        return f"{self.message} [request_id={self.request_id}]"

    def __repr__(self) -> str:
        parts = [repr(self.message), f"error_type={self.error_type!r}"]
        for name in ("failing_node_id", "status", "operation", "address"):
            value = getattr(self, name)
            if value:
                parts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


class RemoteMediaConnectionError(RemoteMediaError, ConnectionError):
    """The service could not be reached, or the connection to it was lost."""


class RemoteMediaTimeoutError(RemoteMediaError, TimeoutError):
    """The deadline passed before the call was complete."""


def _rebuild(
    cls: type[RemoteMediaError], message: str, state: dict[str, Any]
) -> RemoteMediaError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class Kind(NamedTuple):
    """One kind of failure, and how the service reports it."""

    error_type: ErrorType
    statuses: tuple[Status, ...]
    """The gRPC statuses that mean this kind; a service sends the first of them."""
    stream_prefix: str
    """The text that an error on a stream begins with; ``{node}`` is a node id."""


KINDS: tuple[Kind, ...] = (
    Kind(ErrorType.VALIDATION, (Status.INVALID_ARGUMENT,), "Validation error: "),
    # Reported as INTERNAL, with a message that begins with `Node <id>: `.
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

_TYPE_OF_STATUS = {
    status: kind.error_type for kind in KINDS for status in kind.statuses
}
_CLASS_OF_STATUS: dict[Status, type[RemoteMediaError]] = {
    Status.UNAVAILABLE: RemoteMediaConnectionError,
    Status.DEADLINE_EXCEEDED: RemoteMediaTimeoutError,
}

# What a service says with CANCELLED of a call that took it too long.
_GAVE_UP = "Timeout expired"

NODE_ID = r"[A-Za-z0-9_-]+"
"""What a node id looks like, as a regular expression."""

_NAMED_NODE = f"(?P<node>{NODE_ID})"
_NODE_IN_TEXT = re.compile(f"\\bnode '({NODE_ID})'")
_NODE_FAILED = re.compile(f"Node {_NAMED_NODE}: ")
_TYPE_OF_PREFIX = {
    **{
        re.compile(kind.stream_prefix.replace("{node}", _NAMED_NODE)): kind.error_type
        for kind in KINDS
    },
    _NODE_FAILED: ErrorType.NODE_EXECUTION,
}


def named_node(text: str) -> str:
    """The id of the node that a text names last, as in "node 'vad'"; or ""."""
    return next(reversed(_NODE_IN_TEXT.findall(text)), "")


def from_call_error(error: CallError) -> RemoteMediaError:
    """Turn the failure of a gRPC call into the exception for the user.

    Only a lost connection and a passed deadline can be retryable: every other status
    would come back unchanged.
    """
    message = printable(error.message or f"the service answered {error.status.name}")
    error_type = _TYPE_OF_STATUS.get(error.status, ErrorType.INTERNAL)
    node_id = named_node(message)
    if error.status is Status.INTERNAL and (match := _NODE_FAILED.match(message)):
        error_type, node_id = ErrorType.NODE_EXECUTION, match["node"]
    cls = _CLASS_OF_STATUS.get(error.status, RemoteMediaError)
    if error.status is Status.CANCELLED and message == _GAVE_UP:
        cls = RemoteMediaTimeoutError
    return cls(
        message,
        error_type=error_type,
        failing_node_id=node_id,
        status=error.status,
        details=error.details if isinstance(error.details, bytes) else None,
        headers=error.headers,
        trailers=error.trailers,
        retryable=(
            error.status in _CLASS_OF_STATUS
            and error.unprocessed
            and error.pushback_s != math.inf
        ),
    )


def from_response(
    error: ErrorResponse,
    *,
    headers: Metadata = NO_METADATA,
    trailers: Metadata = NO_METADATA,
) -> RemoteMediaError:
    """Turn an error that came in place of a result into the exception for the user.

    A stream reports every failure as INTERNAL, so for INTERNAL, and for no type at
    all, the prefix of the text decides. Any other type is taken as it is.
    """
    error_type, node_id = error.error_type, error.failing_node_id
    message = printable(error.message)
    if error_type in (ErrorType.INTERNAL, ErrorType.UNSPECIFIED):
        error_type = ErrorType.INTERNAL
        for prefix, type_of_prefix in _TYPE_OF_PREFIX.items():
            if match := prefix.match(message):
                error_type = type_of_prefix
                node_id = node_id or match.groupdict().get("node", "")
                break
    return RemoteMediaError(
        message or "the service reported an error without a message",
        error_type=error_type,
        failing_node_id=node_id or named_node(message),
        context=error.context,
        stack_trace=error.stack_trace,
        headers=headers,
        trailers=trailers,
    )
