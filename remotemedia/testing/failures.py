"""How the embedded service reports a failure, as a status or as a message.

``remotemedia.errors`` has the table of failures, and reads it in the other direction.
"""

from __future__ import annotations

from grpclib.const import Status

from remotemedia.errors import KINDS, Kind, RemoteMediaError, named_node
from remotemedia.v1 import ErrorResponse, ErrorType

_KINDS = {kind.error_type: kind for kind in KINDS}


def invalid(message: str, node_id: str = "") -> RemoteMediaError:
    """Make the error for a request that breaks a rule of the contract."""
    return RemoteMediaError(
        message, error_type=ErrorType.VALIDATION, failing_node_id=node_id
    )


def to_status(error: RemoteMediaError) -> tuple[Status, str]:
    """The gRPC status and message that report an error of a unary call."""
    if error.error_type is ErrorType.NODE_EXECUTION:
        return Status.INTERNAL, f"Node {error.failing_node_id}: {error.message}"
    message, node_id = error.message, error.failing_node_id
    # A status has no field for the node, so a client finds it in the text.
    if node_id and named_node(message) != node_id:
        message += f" (node {node_id!r})"
    return _kind(error).statuses[0], message


def to_stream_response(error: RemoteMediaError) -> ErrorResponse:
    """The message that reports an error on a stream.

    Its type is always INTERNAL; the prefix of its text names the real type.
    """
    prefix = _kind(error).stream_prefix.format(node=error.failing_node_id)
    return ErrorResponse(
        error_type=ErrorType.INTERNAL,
        message=prefix + error.message,
        failing_node_id=error.failing_node_id,
        context=error.context,
    )


def _kind(error: RemoteMediaError) -> Kind:
    return _KINDS.get(error.error_type, _KINDS[ErrorType.INTERNAL])
