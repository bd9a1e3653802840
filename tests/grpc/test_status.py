"""What each way to end becomes: a gRPC status, and a text that says what to check."""

from __future__ import annotations

import pytest
from grpclib.const import Status
from h2.errors import ErrorCodes

from remotemedia.grpc.status import (
    MAX_TEXT_BYTES,
    CallError,
    from_headers,
    from_http2,
    from_trailers,
    printable,
)
from remotemedia.http2 import (
    BadPeerError,
    BadResponseError,
    ConnectFailedError,
    ConnectionLostError,
    HTTP2Error,
    NotHTTP2Error,
    StreamRefusedError,
    StreamResetError,
)


def seen(error: CallError) -> tuple[Status, bool, bool]:
    return error.status, error.unprocessed, error.is_refused


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectFailedError("x"), (Status.UNAVAILABLE, True, False)),
        (StreamRefusedError("x"), (Status.UNAVAILABLE, True, True)),
        (ConnectionLostError("x"), (Status.UNAVAILABLE, False, False)),
        (NotHTTP2Error(), (Status.UNAVAILABLE, False, False)),
        (BadPeerError("x"), (Status.UNAVAILABLE, False, False)),
        (BadResponseError(1, "x"), (Status.INTERNAL, False, False)),
        (
            BadResponseError(ErrorCodes.ENHANCE_YOUR_CALM, "x"),
            (Status.RESOURCE_EXHAUSTED, False, False),
        ),
        (StreamResetError(ErrorCodes.CANCEL), (Status.CANCELLED, False, False)),
        (
            StreamResetError(ErrorCodes.ENHANCE_YOUR_CALM),
            (Status.RESOURCE_EXHAUSTED, False, False),
        ),
        (
            StreamResetError(ErrorCodes.INADEQUATE_SECURITY),
            (Status.PERMISSION_DENIED, False, False),
        ),
        (StreamResetError(ErrorCodes.NO_ERROR), (Status.INTERNAL, False, False)),
        (StreamResetError(99), (Status.INTERNAL, False, False)),
    ],
)
def test_the_end_of_a_stream(
    error: HTTP2Error, expected: tuple[Status, bool, bool]
) -> None:
    failure = from_http2(error)
    assert seen(failure) == expected
    assert str(error) in str(failure.message)


def test_a_connection_that_failed_says_so_first() -> None:
    assert from_http2(ConnectFailedError("why")).message == "no connection: why"


def test_a_peer_that_does_not_speak_http2_may_not_be_a_grpc_service() -> None:
    assert "a gRPC service?" in str(from_http2(NotHTTP2Error()).message)
    failed = ConnectFailedError("junk")
    failed.__cause__ = NotHTTP2Error()
    message = "no connection: junk And is it a gRPC service?"
    assert from_http2(failed).message == message
    assert "gRPC" not in str(from_http2(ConnectFailedError("refused")).message)


@pytest.mark.parametrize(
    ("http_status", "status"),
    [
        ("400", Status.INTERNAL),
        ("401", Status.UNAUTHENTICATED),
        ("403", Status.PERMISSION_DENIED),
        ("404", Status.UNIMPLEMENTED),
        ("429", Status.UNAVAILABLE),
        ("502", Status.UNAVAILABLE),
        ("503", Status.UNAVAILABLE),
        ("504", Status.UNAVAILABLE),
        ("302", Status.UNKNOWN),
    ],
)
def test_an_http_status(http_status: str, status: Status) -> None:
    error = from_headers({":status": http_status, "content-type": "application/grpc"})
    assert error is not None
    assert error.status is status
    assert f"HTTP status {http_status}: is it a gRPC service" in str(error.message)


@pytest.mark.parametrize(
    ("content_type", "is_grpc"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("text/html", False),
        ("", False),
    ],
)
def test_a_content_type(content_type: str, is_grpc: bool) -> None:
    error = from_headers({":status": "200", "content-type": content_type})
    assert (error is None) == is_grpc
    if error is not None:
        assert error.status is Status.UNKNOWN
        assert f"content type {content_type!r}" in str(error.message)


@pytest.mark.parametrize("status", ["0", "00", "000"])
def test_ok_is_no_error(status: str) -> None:
    assert from_trailers({"grpc-status": status, "grpc-message": "fine"}) is None


def test_a_status_in_the_trailers() -> None:
    error = from_trailers(
        {
            "grpc-status": "5",
            "grpc-message": "na%C3%AFve",
            "grpc-status-details-bin": "AAE",
        }
    )
    assert error is not None
    assert (error.status, error.message) == (Status.NOT_FOUND, "naïve")
    assert error.details == b"\0\1"
    assert seen(error) == (Status.NOT_FOUND, False, False)


def test_a_status_without_a_message() -> None:
    error = from_trailers({"grpc-status": "5"})
    assert error is not None
    assert (error.message, error.details) == (None, None)


@pytest.mark.parametrize("text", ["!", "A", "A*=="])
def test_details_that_are_not_base64(text: str) -> None:
    error = from_trailers({"grpc-status": "5", "grpc-status-details-bin": text})
    assert error is not None
    assert error.details is None


@pytest.mark.parametrize("status", ["17", "-1", "x", ""])
def test_a_status_that_is_none(status: str) -> None:
    error = from_trailers({"grpc-status": status})
    assert error is not None
    assert error.status is Status.UNKNOWN
    assert f"answered with status {status!r}" in str(error.message)


def test_no_status() -> None:
    error = from_trailers({})
    assert error is not None
    assert error.status is Status.UNKNOWN
    assert "ended the call without a status" in str(error.message)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve ☃ 日本", "naïve ☃ 日本"),
        ("", ""),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred\0", "\\x1b[31mred\\x00"),
        ("\u202eright to left", "\\u202eright to left"),
        ("half\ud800", "half\\ud800"),
    ],
)
def test_a_text_that_is_printed_does_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown
    error = CallError(Status.UNKNOWN, text)
    assert error.message == text
    assert str(error).isprintable()
    assert repr(error).isprintable()


@pytest.mark.parametrize("letter", ["a", "\n", "☃", "\U0001f600"])
def test_a_text_has_a_largest_size(letter: str) -> None:
    text = printable(letter * 250_000)
    assert MAX_TEXT_BYTES - 20 < len(text.encode()) <= MAX_TEXT_BYTES
    assert text.endswith("... (250000 characters)")
    message = str(CallError(Status.UNKNOWN, letter * 250_000).message)
    assert MAX_TEXT_BYTES - 20 < len(message.encode()) <= MAX_TEXT_BYTES
    assert message.endswith("... (250000 characters)")
    assert printable("a" * MAX_TEXT_BYTES) == "a" * MAX_TEXT_BYTES


def test_a_message_of_the_peer_is_what_it_sent() -> None:
    error = from_trailers({"grpc-status": "5", "grpc-message": "a%0Ab%1B%00"})
    assert error is not None
    assert error.message == "a\nb\x1b\x00"
    assert r"a\nb\x1b\x00" in str(error)
