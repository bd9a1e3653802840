"""What the end of a call means: ``CallError``, and all that leads to it.

A call can end by a gRPC status, by an answer that is no gRPC, by a reset, with its
connection, or before there is one. Each becomes a ``CallError`` with the gRPC
status that the gRPC project maps it to, and a text that says what to check.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from typing import TYPE_CHECKING

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.metadata import decode_grpc_message
from h2.errors import ErrorCodes

if TYPE_CHECKING:
    from grpclib.protocol import Stream


NOT_HTTP2 = (
    "what the peer sent is not HTTP/2: is it a gRPC service, and is TLS on at both "
    "ends or at neither?"
)
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
_STATUS_OF_RESET: dict[int, Status] = {
    ErrorCodes.REFUSED_STREAM: Status.UNAVAILABLE,
    ErrorCodes.CANCEL: Status.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}
_RESET_CODE = re.compile(r"Stream reset .*error_code: (\d+)")


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


class CallError(GRPCError):
    """A call failed.

    Attributes:
        status: the gRPC status, from the peer or for what happened to the
            connection: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL.
        message: what went wrong.
        details: raw bytes of ``grpc-status-details-bin``, or None.
        unprocessed: whether the peer surely did not process the call.
        is_refused: whether a peer that works would not have this call now, so that
            the same call can be made again at once. It is then unprocessed too.
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
        super().__init__(status, message, details)
        self.unprocessed: bool = unprocessed or is_refused
        self.is_refused = is_refused


class RefusedError(StreamTerminatedError):
    """What a channel ends a stream with that the peer surely did not process."""


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


def not_connected(error: Exception) -> CallError:
    """What it means that no connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "the certificate is not for this name, or of an authority not trusted"
    elif isinstance(error, ssl.SSLError):
        hint = "is TLS on at the service?"
    elif isinstance(error, OSError) and error.errno is not None:
        hint = "is the service running, and is this its address?"
    else:
        hint = ""
    return CallError(
        Status.UNAVAILABLE,
        f"no connection: {_text(error)}" + (hint and f": {hint}"),
        unprocessed=True,
    )


def terminated(error: Exception) -> CallError:
    """What it means that grpclib gave a stream up."""
    text = _text(error)
    if found := _RESET_CODE.match(text):
        code = int(found[1])
        return CallError(
            _STATUS_OF_RESET.get(code, Status.INTERNAL),
            f"the peer reset the call (HTTP/2 error code {code})",
            is_refused=code == ErrorCodes.REFUSED_STREAM,
        )
    if isinstance(error, RefusedError):
        return CallError(Status.UNAVAILABLE, text, is_refused=True)
    if text in ("Protocol error", NOT_HTTP2):
        return CallError(Status.UNAVAILABLE, NOT_HTTP2)
    return CallError(Status.UNAVAILABLE, f"the connection was lost: {text}")


def not_grpc(stream: Stream) -> CallError | None:
    """The error that a response's headers are, if they are not gRPC's."""
    if stream.headers is None:
        return None
    headers = dict(stream.headers)
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


def last_headers(stream: Stream) -> dict[str, str]:
    """The trailers; or the headers, of a response that has only those."""
    return dict(stream.trailers or stream.headers or ())


def status_error(trailers: dict[str, str]) -> CallError | None:
    """The error that a call's trailers say, or None where they say OK."""
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
    message = trailers.get("grpc-message")
    return CallError(
        code,
        None if message is None else decode_grpc_message(message),
        _details(trailers.get("grpc-status-details-bin")),
    )


def _details(text: str | None) -> bytes | None:
    """The bytes of a binary header, or None where it is not base64."""
    if text is None:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
