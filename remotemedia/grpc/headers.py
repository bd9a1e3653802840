"""The header blocks of a call: the request's headers, the response's and its trailers.

The rules are those of gRPC over HTTP/2, sections "Requests" and "Responses":
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from grpclib.const import Status
from grpclib.metadata import USER_AGENT

from remotemedia.grpc.compression import ACCEPTED, Compression
from remotemedia.grpc.metadata import Metadata

if TYPE_CHECKING:
    from remotemedia.http2 import Headers, Stream

Block: TypeAlias = "Sequence[tuple[str, str]]"
"""Names and values, as they came."""

Blocks: TypeAlias = "tuple[Block | None, Block | None]"
"""The headers and the trailers of a response; None for what has not arrived."""

CANCELLED = ("grpc-status", str(Status.CANCELLED.value))


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


def response_blocks(stream: Stream | None, *, has_body: bool) -> Blocks:
    """The headers and the trailers of a response, as far as they arrived.

    A response that has no body may have a single block, which is then its trailers
    ("Trailers-Only"). With a body, a status in the headers means nothing.
    """
    if stream is None:
        return None, None
    headers, trailers = stream.headers, stream.trailers
    if trailers is None and not has_body and headers and has_status(headers):
        return None, headers
    return headers, trailers


def has_status(block: Block) -> bool:
    """Whether the peer said in this block how the call ended."""
    return "grpc-status" in dict(block)


class ResponseMetadata:
    """Takes the metadata of the response to a call that returns a single message.

    Pass one to a call, and read it afterwards, whether the call succeeded or not::

        received = ResponseMetadata()
        reply = await stub.say_hello(request, response_metadata=received)
        received.headers.get("x-served-by")

    Where a call is made again, what the last attempt received counts.
    """

    def __init__(self) -> None:
        self._blocks: Blocks = (None, None)

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived."""
        return Metadata.received(self._blocks[0])

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers; empty if none arrived."""
        return Metadata.received(self._blocks[1])

    def take(self, blocks: Blocks) -> None:
        """Keep what a call has received, in place of what an earlier one had."""
        self._blocks = blocks
