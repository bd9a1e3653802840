"""What leaves the context of a user's call, and with which facts."""

from __future__ import annotations

import pytest
from grpclib.const import Status

from remotemedia import (
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc.status import CallError
from remotemedia.operation import Operation


def test_a_failed_call_becomes_an_error_with_the_facts_of_the_call() -> None:
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


def test_the_facts_of_an_inner_operation_are_kept() -> None:
    with pytest.raises(RemoteMediaError) as caught, Operation("op", "a:1"):
        raise RemoteMediaError("m", operation="inner")
    assert (caught.value.operation, caught.value.address) == ("inner", "")


@pytest.mark.parametrize("error", [KeyError("k"), ValueError("v"), OSError("o")])
def test_other_exceptions_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, Operation("op", "a:1"):
        raise error
    assert caught.value is error


def test_a_call_without_an_exception_is_left_alone() -> None:
    with Operation("op", "a:1"):
        pass


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        CallError(Status.UNAVAILABLE, "another call's"),
        RemoteMediaError("another call's"),
    ],
)
def test_an_exception_of_the_callers_own_passes_unchanged(error: Exception) -> None:
    operation = Operation("op", "a:1")
    operation.iterable_error = error
    with pytest.raises(type(error)) as caught, operation:
        raise error
    assert caught.value is error
    assert getattr(error, "operation", "") == ""


def test_an_error_of_the_library_gets_the_facts_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    operation = Operation("op", "a:1")
    now = 102.5
    error = RemoteMediaTimeoutError("late")
    with pytest.raises(RemoteMediaTimeoutError) as caught, operation:
        raise error
    assert caught.value is error
    assert (error.operation, error.address) == ("op", "a:1")
    assert error.request_id == operation.request_id
    assert error.elapsed_s == 2.5
    assert error.retryable is False


def test_a_call_is_not_idempotent_by_default() -> None:
    with pytest.raises(RemoteMediaTimeoutError) as caught, Operation("op", "a:1"):
        raise CallError(Status.DEADLINE_EXCEEDED, "late")
    assert caught.value.retryable is False


def test_an_operation_can_be_entered_again() -> None:
    operation = Operation("op", "a:1")
    ids = set()
    for _ in range(2):
        with pytest.raises(RemoteMediaError) as caught, operation:
            raise CallError(Status.ABORTED, "m")
        ids.add(caught.value.request_id)
    assert ids == {operation.request_id}
    assert operation.request_id != Operation("op", "a:1").request_id


@pytest.mark.parametrize(
    ("status", "unprocessed", "is_idempotent", "retryable"),
    [
        (Status.UNAVAILABLE, False, False, False),
        (Status.UNAVAILABLE, True, False, True),
        (Status.UNAVAILABLE, False, True, True),
        (Status.DEADLINE_EXCEEDED, False, True, True),
        (Status.DEADLINE_EXCEEDED, False, False, False),
        (Status.INVALID_ARGUMENT, False, True, False),
        # A request that is too large will be too large again.
        (Status.RESOURCE_EXHAUSTED, True, True, False),
    ],
)
def test_a_call_is_retryable_only_if_a_repeat_is_safe(
    status: Status, unprocessed: bool, is_idempotent: bool, retryable: bool
) -> None:
    with (
        pytest.raises(RemoteMediaError) as caught,
        Operation("op", "a:1", is_idempotent=is_idempotent),
    ):
        raise CallError(status, "m", unprocessed=unprocessed)
    assert caught.value.retryable is retryable
