"""How a call ends: ``CallError``, and everything that leads to it.

A call can end by a gRPC status, by an answer that is not gRPC, by a reset, together
with its connection, or before there is one. Each becomes a ``CallError`` with the gRPC
status that the gRPC project maps it to, and a text that says what to check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import decode_grpc_message

from remotemedia.grpc.metadata import NO_METADATA, Metadata, decoded
from remotemedia.http2 import (
    BadResponseError,
    CertificateError,
    ConnectFailedError,
    ErrorCodes,
    HTTP2Error,
    NotHTTP2Error,
    StreamRefusedError,
    StreamResetError,
)

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
_STATUS_OF_RESET: dict[int, Status] = {
    ErrorCodes.CANCEL: Status.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_STATUS_OF_HTTP = {
    "400": Status.INTERNAL,
    "401": Status.UNAUTHENTICATED,
    "403": Status.PERMISSION_DENIED,
    "404": Status.UNIMPLEMENTED,
    "429": Status.UNAVAILABLE,
    "502": Status.UNAVAILABLE,
    "503": Status.UNAVAILABLE,
    "504": Status.UNAVAILABLE,
}


MAX_TEXT_BYTES = 16_000
"""How long the text of an error may be, as UTF-8; the rest is cut off."""


def printable(text: str) -> str:
    """A text of the peer's, safe to print and to log: short, and of one line.

    What cannot be printed, such as a newline or an escape sequence of a terminal, is
    shown as Python would escape it.
    """
    short = text[:MAX_TEXT_BYTES]
    if not short.isprintable():
        short = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode()
            for each in short
        )
    return _cut(short, len(text))


def _cut(text: str, length: int) -> str:
    """A text that had a number of characters, no longer than an error's may be."""
    data = text[:MAX_TEXT_BYTES].encode(errors="surrogatepass")
    if length <= MAX_TEXT_BYTES >= len(data):
        return text
    end = f"... ({length} characters)"
    return data[: MAX_TEXT_BYTES - len(end)].decode(errors="ignore") + end


class CallError(GRPCError):
    """A call failed.

    Attributes:
        status: the gRPC status, from the peer or for what happened to the
            connection: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL.
        message: what went wrong. The peer's words are as it sent them, only cut where
            they are very long; ``str(error)`` and ``repr(error)`` are safe to print.
        details: raw bytes of ``grpc-status-details-bin``, or None.
        headers: the metadata of the response headers; empty if none arrived.
        trailers: the metadata of the trailers; empty if none arrived.
        unprocessed: whether the call is guaranteed not to have been processed.
        is_refused: whether a healthy peer refused the call unprocessed, so that it can
            be made again at once. ``unprocessed`` is True then as well.
        pushback_s: in how many seconds the peer wants the call made again; None if it
            leaves that open. Infinity if the call must not be made again, also because
            a certificate was refused.
    """

    def __init__(
        self,
        status: Status,
        message: str | None,
        details: bytes | None = None,
        *,
        unprocessed: bool = False,
        is_refused: bool = False,
    ) -> None:
        message = None if message is None else _cut(message, len(message))
        super().__init__(status, message, details)
        self.headers: Metadata = NO_METADATA
        self.trailers: Metadata = NO_METADATA
        self.unprocessed: bool = unprocessed or is_refused
        self.is_refused = is_refused
        self.pushback_s: float | None = None

    def __str__(self) -> str:
        text = printable(self.message or "the peer gave no reason")
        return f"{self.status.name}: {text}"


def from_http2(error: HTTP2Error) -> CallError:
    """The error of a call whose stream ended, or was never opened."""
    text = str(error)
    if isinstance(error, NotHTTP2Error) or isinstance(error.__cause__, NotHTTP2Error):
        text += " And is it a gRPC service?"
    if isinstance(error, ConnectFailedError):
        failure = CallError(
            Status.UNAVAILABLE, f"no connection: {text}", unprocessed=True
        )
        if isinstance(error, CertificateError):
            failure.pushback_s = math.inf
        return failure
    if isinstance(error, StreamRefusedError):
        return CallError(Status.UNAVAILABLE, text, is_refused=True)
    if isinstance(error, (StreamResetError, BadResponseError)):
        return CallError(_STATUS_OF_RESET.get(error.code, Status.INTERNAL), text)
    return CallError(Status.UNAVAILABLE, text)


def from_headers(headers: Mapping[str, str]) -> CallError | None:
    """The error of a response whose headers are not valid gRPC, or None.

    Only for a response without ``grpc-status``, which decides where it is there.
    """
    http_status = headers.get(":status")
    if http_status != "200":
        return CallError(
            _STATUS_OF_HTTP.get(http_status or "", Status.UNKNOWN),
            f"the peer answered with HTTP status {http_status}: "
            "is it a gRPC service, or a proxy before one?",
        )
    content_type = headers.get("content-type", "")
    if not content_type.startswith("application/grpc"):
        return CallError(
            Status.UNKNOWN,
            f"the peer answered with content type {content_type!r}: "
            "is it a gRPC service, or a proxy before one?",
        )
    return None


def from_trailers(trailers: Mapping[str, str]) -> CallError | None:
    """The error of a call's trailers, or None if their status is OK."""
    status = trailers.get("grpc-status")
    if status is None:
        return CallError(
            Status.UNKNOWN,
            "the peer ended the call without a status: is it a gRPC service?",
        )
    if status == "0":
        return None
    try:
        code = Status(int(status))
    except ValueError:
        return CallError(Status.UNKNOWN, f"the peer answered with status {status!r}")
    if code is Status.OK:
        # Spelled "00", for example.
        return None
    message = trailers.get("grpc-message")
    details = trailers.get("grpc-status-details-bin")
    error = CallError(
        code,
        None if message is None else _text(message),
        None if details is None else decoded(details),
    )
    pushback = trailers.get("grpc-retry-pushback-ms")
    if pushback is not None:
        # https://github.com/grpc/proposal/blob/master/A6-client-retries.md, "Pushback":
        # a negative number, and what is no number, mean that there must be no retry.
        is_number = pushback.isascii() and pushback.isdecimal()
        # A number that is far too large becomes infinity as well.
        error.pushback_s = float(pushback) / 1000 if is_number else math.inf
    return error


def _text(message: str) -> str:
    """The text of ``grpc-message``: percent-encoded, or raw UTF-8 of a sloppy peer."""
    return decode_grpc_message(
        message.encode("latin-1", "replace").decode("utf-8", "replace")
    )
