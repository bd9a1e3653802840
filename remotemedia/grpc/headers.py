"""The header blocks of a call: the request's headers, the response's and its trailers.

The rules are those of gRPC over HTTP/2, sections "Requests" and "Responses":
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from grpclib.const import Status
from grpclib.metadata import USER_AGENT

from remotemedia.grpc.compression import ACCEPTED, Compression
from remotemedia.grpc.metadata import Metadata

if TYPE_CHECKING:
    from remotemedia.http2 import Headers, Stream

Block: TypeAlias = "Sequence[tuple[str, str]]"
"""Names and values, as they came."""

_CANCELLED = ("grpc-status", str(Status.CANCELLED.value))


@cache
def method_headers(
    scheme: str, authority: str, path: str, compression: Compression
) -> Headers:
    """The headers that all calls of a method have in common."""
    headers = (
        (":method", "POST"),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", USER_AGENT),
        ("grpc-accept-encoding", ",".join(ACCEPTED)),
    )
    if compression == "identity":
        return headers
    return (*headers, ("grpc-encoding", compression))


def timeout_header(seconds: float) -> str:
    """A timeout as the header ``grpc-timeout`` has it: up to eight digits and a unit.

    It is rounded up, so that the peer does not give up before the caller does.
    """
    for unit, per_second in (("u", 1_000_000), ("m", 1000), ("S", 1)):
        value = math.ceil(seconds * per_second)
        if value < 10**8:
            return f"{value}{unit}"
    return "99999999S"


class ResponseBlocks(NamedTuple):
    """The header blocks of a response, as far as they arrived.

    A response that has no body may have a single block, which is then its trailers
    ("Trailers-Only"). With a body, a status in the headers means nothing.
    """

    headers: Block | None
    trailers: Block | None

    @classmethod
    def of(cls, stream: Stream | None, *, has_body: bool) -> ResponseBlocks:
        """The blocks that a stream has received."""
        if stream is None:
            return cls(None, None)
        headers, trailers = stream.headers, stream.trailers
        if trailers is None and not has_body and headers and _has_status(headers):
            return cls(None, headers)
        return cls(headers, trailers)

    @property
    def has_status(self) -> bool:
        """Whether the peer said how the call ended."""
        return self.trailers is not None and _has_status(self.trailers)

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer said that the call was cancelled."""
        return self.trailers is not None and _CANCELLED in self.trailers


class ResponseMetadata:
    """Takes the metadata of the response to a call that returns a single message.

    Pass one to a call, and read it afterwards, whether the call succeeded or not::

        received = ResponseMetadata()
        reply = await stub.say_hello(request, response_metadata=received)
        received.headers.get("x-served-by")

    Where a call is made again, what the last attempt received counts.
    """

    def __init__(self) -> None:
        self._blocks = ResponseBlocks(None, None)

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived."""
        return Metadata.received(self._blocks.headers)

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers; empty if none arrived."""
        return Metadata.received(self._blocks.trailers)

    def take(self, blocks: ResponseBlocks) -> None:
        """Keep what a call has received, in place of what an earlier one had."""
        self._blocks = blocks


def _has_status(block: Block) -> bool:
    return "grpc-status" in dict(block)
