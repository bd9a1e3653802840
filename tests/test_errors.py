"""The table of failures: every row of the contract, in both directions."""

from __future__ import annotations

import copy
import pickle

import pytest
from grpclib.const import Status

from remotemedia import (
    ErrorType,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.errors import (
    KINDS,
    Kind,
    Operation,
    from_call_error,
    from_response,
    to_status,
    to_stream_response,
)
from remotemedia.grpc.stub import CallError
from remotemedia.v1 import ErrorResponse

STATUSES = {
    Status.INVALID_ARGUMENT: ErrorType.VALIDATION,
    Status.RESOURCE_EXHAUSTED: ErrorType.RESOURCE_LIMIT,
    Status.OUT_OF_RANGE: ErrorType.RESOURCE_LIMIT,
    Status.UNAUTHENTICATED: ErrorType.AUTHENTICATION,
    Status.PERMISSION_DENIED: ErrorType.AUTHENTICATION,
    Status.FAILED_PRECONDITION: ErrorType.VERSION_MISMATCH,
    Status.UNIMPLEMENTED: ErrorType.VERSION_MISMATCH,
    Status.INTERNAL: ErrorType.INTERNAL,
    Status.UNKNOWN: ErrorType.INTERNAL,
    Status.UNAVAILABLE: ErrorType.INTERNAL,
    Status.DEADLINE_EXCEEDED: ErrorType.INTERNAL,
    Status.CANCELLED: ErrorType.INTERNAL,
    Status.NOT_FOUND: ErrorType.INTERNAL,
    Status.ALREADY_EXISTS: ErrorType.INTERNAL,
    Status.ABORTED: ErrorType.INTERNAL,
    Status.DATA_LOSS: ErrorType.INTERNAL,
}
STREAM_TEXTS = [
    ("Validation error: no nodes", ErrorType.VALIDATION, ""),
    ("Node execution error in vad-1: boom", ErrorType.NODE_EXECUTION, "vad-1"),
    ("Resource limit exceeded: memory", ErrorType.RESOURCE_LIMIT, ""),
    ("Authentication failed: expired", ErrorType.AUTHENTICATION, ""),
    ("Version mismatch: v2", ErrorType.VERSION_MISMATCH, ""),
    ("Internal error: bug", ErrorType.INTERNAL, ""),
    ("Node calc: division by zero", ErrorType.NODE_EXECUTION, "calc"),
    ("something else", ErrorType.INTERNAL, ""),
    ("a Validation error: not at the start", ErrorType.INTERNAL, ""),
]


def call_error(status: Status, message: str | None = "m") -> RemoteMediaError:
    return from_call_error(CallError(status, message))


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK])
def test_every_status_has_a_type(status: Status) -> None:
    error = call_error(status)
    assert error.error_type is STATUSES[status]
    assert error.status is status


def test_the_two_subclasses_are_of_their_builtin_kind() -> None:
    lost = call_error(Status.UNAVAILABLE)
    assert type(lost) is RemoteMediaConnectionError
    assert isinstance(lost, ConnectionError)
    late = call_error(Status.DEADLINE_EXCEEDED)
    assert type(late) is RemoteMediaTimeoutError
    assert isinstance(late, TimeoutError)


def test_a_failed_node_is_named_by_its_status_message() -> None:
    error = call_error(Status.INTERNAL, "Node calc_1-b: division by zero")
    assert error.error_type is ErrorType.NODE_EXECUTION
    assert error.failing_node_id == "calc_1-b"


def test_only_an_internal_status_names_a_node() -> None:
    error = call_error(Status.INVALID_ARGUMENT, "Node calc: bad params")
    assert error.error_type is ErrorType.VALIDATION


def test_a_status_without_a_message_still_says_something() -> None:
    assert str(call_error(Status.ABORTED, None)) == "the service answered ABORTED"


@pytest.mark.parametrize(
    ("status", "unprocessed", "is_idempotent", "retryable"),
    [
        (Status.UNAVAILABLE, False, False, False),
        (Status.UNAVAILABLE, True, False, True),
        (Status.UNAVAILABLE, False, True, True),
        (Status.DEADLINE_EXCEEDED, False, True, True),
        (Status.DEADLINE_EXCEEDED, False, False, False),
        (Status.INVALID_ARGUMENT, False, True, False),
        # Over the client's own limit: surely not processed, and no better later.
        (Status.RESOURCE_EXHAUSTED, True, True, False),
    ],
)
def test_retryable_only_where_a_repeat_is_safe(
    status: Status, unprocessed: bool, is_idempotent: bool, retryable: bool
) -> None:
    with (
        pytest.raises(RemoteMediaError) as caught,
        Operation("op", "a:1", is_idempotent=is_idempotent),
    ):
        raise CallError(status, "m", unprocessed=unprocessed)
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(("text", "error_type", "node_id"), STREAM_TEXTS)
@pytest.mark.parametrize("said", [ErrorType.INTERNAL, ErrorType.UNSPECIFIED])
def test_an_error_on_a_stream_is_told_by_its_text(
    text: str, error_type: ErrorType, node_id: str, said: ErrorType
) -> None:
    error = from_response(ErrorResponse(error_type=said, message=text))
    assert error.error_type is error_type
    assert error.failing_node_id == node_id
    assert str(error) == text


def test_a_type_that_says_something_is_believed() -> None:
    error = from_response(
        ErrorResponse(
            error_type=ErrorType.RESOURCE_LIMIT,
            message="Validation error: x",
            failing_node_id="n",
            context='{"a": 1}',
            stack_trace="at main",
        )
    )
    assert error.error_type is ErrorType.RESOURCE_LIMIT
    assert (error.failing_node_id, error.context) == ("n", '{"a": 1}')
    assert error.stack_trace == "at main"


def test_a_node_named_in_the_response_wins_over_the_text() -> None:
    error = from_response(
        ErrorResponse(
            message="Node execution error in a: Node b: x", failing_node_id="c"
        )
    )
    assert error.failing_node_id == "c"


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


def test_every_error_type_has_a_row() -> None:
    assert {kind.error_type for kind in KINDS} == set(ErrorType) - {
        ErrorType.UNSPECIFIED
    }


@pytest.mark.parametrize("cls", [RemoteMediaError, RemoteMediaConnectionError])
@pytest.mark.parametrize("how", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_pickle(cls: type[RemoteMediaError], how: object) -> None:
    error = cls(
        "boom",
        error_type=ErrorType.NODE_EXECUTION,
        failing_node_id="n",
        context="{}",
        stack_trace="trace",
        status=Status.INTERNAL,
        details=b"\x01",
        retryable=True,
        address="a:1",
        operation="op",
    )
    other = how(error)  # type: ignore[operator]  # one of the two above
    assert type(other) is cls
    assert vars(other) == vars(error)
    assert other.error_type is ErrorType.NODE_EXECUTION
    assert (str(other), repr(other)) == (str(error), repr(error))


def test_repr_says_what_matters() -> None:
    assert repr(RemoteMediaError("boom", failing_node_id="n", operation="op")) == (
        "RemoteMediaError('boom', error_type=ErrorType.INTERNAL, "
        "failing_node_id='n', operation='op')"
    )


def test_an_operation_signs_its_errors_and_keeps_the_cause() -> None:
    cause = CallError(Status.UNAVAILABLE, "gone", b"raw")
    operation = Operation("get_version", "a:1")
    with pytest.raises(RemoteMediaConnectionError) as caught, operation:
        raise cause
    error = caught.value
    assert error.__cause__ is cause
    assert error.details == b"raw"
    assert (error.operation, error.address) == ("get_version", "a:1")
    assert error.request_id == operation.request_id
    assert len(error.request_id) == 32
    assert 0 <= error.elapsed_s < 60


def test_an_operation_leaves_an_inner_signature_alone() -> None:
    with pytest.raises(RemoteMediaError) as caught, Operation("op", "a:1"):
        raise RemoteMediaError("m", operation="inner")
    assert (caught.value.operation, caught.value.address) == ("inner", "")


@pytest.mark.parametrize("error", [KeyError("k"), ValueError("v"), OSError("o")])
def test_an_operation_leaves_the_callers_exceptions_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, Operation("op", "a:1"):
        raise error
    assert caught.value is error
