"""The exceptions, and every row of the table that leads to them."""

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
    from_call_error,
    from_response,
)
from remotemedia.grpc import CallError, Metadata
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
    ("status", "is_unprocessed", "is_retryable"),
    [
        (Status.UNAVAILABLE, True, True),
        (Status.UNAVAILABLE, False, False),
        (Status.DEADLINE_EXCEEDED, True, True),
        (Status.DEADLINE_EXCEEDED, False, False),
        # A request that is too large will be too large again.
        (Status.RESOURCE_EXHAUSTED, True, False),
    ],
)
def test_only_a_lost_connection_or_a_passed_deadline_is_retryable(
    status: Status, is_unprocessed: bool, is_retryable: bool
) -> None:
    error = from_call_error(CallError(status, "m", unprocessed=is_unprocessed))
    assert error.retryable is is_retryable


@pytest.mark.parametrize(("details", "kept"), [(b"raw", b"raw"), (None, None)])
def test_the_details_of_a_status_are_kept_as_bytes(
    details: bytes | None, kept: bytes | None
) -> None:
    error = from_call_error(CallError(Status.INTERNAL, "m", details))
    assert error.details == kept


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


def test_an_error_without_a_message_still_says_something() -> None:
    error = from_response(ErrorResponse())
    assert str(error) == "the service reported an error without a message"
    assert error.error_type is ErrorType.INTERNAL


def test_a_node_named_in_the_response_wins_over_the_text() -> None:
    error = from_response(
        ErrorResponse(
            message="Node execution error in a: Node b: x", failing_node_id="c"
        )
    )
    assert error.failing_node_id == "c"


def test_every_error_type_has_a_row() -> None:
    assert {kind.error_type for kind in KINDS} == set(ErrorType) - {
        ErrorType.UNSPECIFIED
    }


def test_a_text_of_the_service_is_safe_to_print() -> None:
    for error in (
        call_error(Status.NOT_FOUND, "two\nlines\x1b[31m"),
        from_response(ErrorResponse(message="two\nlines\x1b[31m")),
    ):
        assert error.message == str(error) == "two\\nlines\\x1b[31m"


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
        headers=Metadata({"a": "1"}.items()),
        trailers=Metadata.received([("b-bin", "AAE")]),
        retryable=True,
        address="a:1",
        operation="op",
    )
    other = how(error)  # type: ignore[operator]  # one of the two above
    assert type(other) is cls
    assert vars(other) == vars(error)
    assert other.error_type is ErrorType.NODE_EXECUTION
    assert (str(other), repr(other)) == (str(error), repr(error))


def test_an_error_with_nothing_but_a_message() -> None:
    error = RemoteMediaError(message="boom")
    assert (str(error), error.args) == ("boom", ("boom",))
    assert error.error_type is ErrorType.INTERNAL
    assert error.status is None
    assert error.details is None
    assert (error.headers, error.trailers) == ((), ())
    assert error.retryable is False
    assert error.elapsed_s == 0.0


def test_repr_says_what_matters() -> None:
    assert repr(RemoteMediaError("boom", failing_node_id="n", operation="op")) == (
        "RemoteMediaError('boom', error_type=ErrorType.INTERNAL, "
        "failing_node_id='n', operation='op')"
    )


def test_a_service_that_gives_up_has_timed_out() -> None:
    error = from_call_error(CallError(Status.CANCELLED, "Timeout expired"))
    assert isinstance(error, RemoteMediaTimeoutError)
    assert error.status is Status.CANCELLED
    assert not error.retryable
    other = from_call_error(CallError(Status.CANCELLED, "the client left"))
    assert type(other) is RemoteMediaError
