"""What the service reports, and that a client reads the same from it."""

from __future__ import annotations

import pytest
from grpclib.const import Status

from remotemedia import ErrorType, RemoteMediaError
from remotemedia.errors import KINDS, Kind, from_call_error, from_response
from remotemedia.grpc.status import CallError
from remotemedia.testing.failures import invalid, to_status, to_stream_response
from remotemedia.v1 import ErrorResponse


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.error_type.name)
def test_what_a_service_reports_is_what_a_client_reads(kind: Kind) -> None:
    error_type = kind.error_type
    node_id = "n1" if error_type is ErrorType.NODE_EXECUTION else ""
    error = RemoteMediaError("boom", error_type=error_type, failing_node_id=node_id)

    status, message = to_status(error)
    read = from_call_error(CallError(status, message))
    assert (read.error_type, read.failing_node_id) == (error_type, node_id)

    response = to_stream_response(error)
    assert response.error_type is ErrorType.INTERNAL
    read = from_response(response)
    assert (read.error_type, read.failing_node_id) == (error_type, node_id)


@pytest.mark.parametrize("node_id", ["", "vad"])
def test_an_invalid_request_is_a_validation_error(node_id: str) -> None:
    error = invalid("wrong", node_id) if node_id else invalid("wrong")
    assert error.error_type is ErrorType.VALIDATION
    assert (error.message, error.failing_node_id) == ("wrong", node_id)


def test_a_unary_call_reports_a_status_and_the_message() -> None:
    error = RemoteMediaError("no nodes", error_type=ErrorType.VALIDATION)
    assert to_status(error) == (Status.INVALID_ARGUMENT, "no nodes")
    error = RemoteMediaError(
        "boom", error_type=ErrorType.NODE_EXECUTION, failing_node_id="vad"
    )
    assert to_status(error) == (Status.INTERNAL, "Node vad: boom")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.error_type.name)
@pytest.mark.parametrize(
    "message", ["busy", "node 'vad' is busy", "node 'vad2' is busy"]
)
def test_a_client_reads_the_node_from_whatever_is_reported(
    kind: Kind, message: str
) -> None:
    error = RemoteMediaError(message, error_type=kind.error_type, failing_node_id="vad")
    is_prefixed = kind.error_type is ErrorType.NODE_EXECUTION
    read = from_call_error(CallError(*to_status(error)))
    assert (read.error_type, read.failing_node_id) == (kind.error_type, "vad")
    # The node is added to the text only where the text does not say it.
    assert (read.message == message) is ("'vad'" in message and not is_prefixed)
    assert from_response(to_stream_response(error)).failing_node_id == "vad"


def test_a_stream_reports_the_type_as_a_prefix() -> None:
    error = RemoteMediaError(
        "boom",
        error_type=ErrorType.NODE_EXECUTION,
        failing_node_id="vad",
        context="{}",
        stack_trace="the service's own",
    )
    assert to_stream_response(error) == ErrorResponse(
        error_type=ErrorType.INTERNAL,
        message="Node execution error in vad: boom",
        failing_node_id="vad",
        context="{}",
    )


def test_an_error_of_no_type_is_reported_as_internal() -> None:
    error = RemoteMediaError("odd", error_type=ErrorType.UNSPECIFIED)
    assert to_status(error) == (Status.INTERNAL, "odd")
    assert to_stream_response(error).message == "Internal error: odd"


@pytest.mark.parametrize("error_type", [ErrorType.VALIDATION, ErrorType.INTERNAL])
def test_a_response_that_only_names_the_node_in_its_text(error_type: ErrorType) -> None:
    response = ErrorResponse(error_type=error_type, message="node 'vad' is unknown")
    assert from_response(response).failing_node_id == "vad"
