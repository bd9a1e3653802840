"""Compressed messages: gzip, which is the one algorithm that every gRPC library has.

The rules are those of https://github.com/grpc/grpc/blob/master/doc/compression.md: the
header ``grpc-encoding`` says how messages are compressed, and each message has a flag
that says whether it is. One that would not become smaller is sent as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Literal, TypeAlias, get_args

from grpclib.const import Status

from remotemedia.grpc.status import CallError

Compression: TypeAlias = Literal["gzip", "identity"]
"""How requests are compressed; ``"identity"`` is the standard's word for not at all."""

ACCEPTED = ("identity", "gzip")
"""How responses may be compressed."""

# zlib's number for the format of gzip, with the largest window.
_GZIP = 16 + zlib.MAX_WBITS
# A message is read and expanded in steps of this size, so that one that is far too
# large is refused before it is in memory.
_STEP_BYTES = 64 * 1024


def check_compression(compression: object) -> None:
    """Check a way of compression that a user passed.

    Raises:
        ValueError: there is no such way.
    """
    if compression not in get_args(Compression):
        raise ValueError(
            f"compression must be 'gzip' or 'identity', got {compression!r}"
        )


def compress(parts: Sequence[bytes | bytearray | memoryview]) -> bytes:
    """The parts of a message, compressed together."""
    compressor = zlib.compressobj(wbits=_GZIP)
    return b"".join((*map(compressor.compress, parts), compressor.flush()))


def expand(data: bytes, max_bytes: int) -> bytes:
    """The message that was compressed.

    Raises:
        CallError: RESOURCE_EXHAUSTED, if the message is over the limit; INTERNAL, if
            the data is not what gzip writes.
    """
    member = zlib.decompressobj(wbits=_GZIP)
    message = BytesIO()
    try:
        for start in range(0, len(data), _STEP_BYTES):
            rest: bytes | memoryview = memoryview(data)[start : start + _STEP_BYTES]
            is_full = True
            # zlib may hold back what did not fit into a step.
            while rest or is_full:
                room = max_bytes - message.tell()
                step = member.decompress(rest, min(room + 1, _STEP_BYTES))
                if len(step) > room:
                    raise CallError(
                        Status.RESOURCE_EXHAUSTED,
                        f"the response is over the limit of {max_bytes} bytes "
                        "(max_receive_bytes) when it is expanded",
                    )
                message.write(step)
                rest = member.unconsumed_tail
                is_full = len(step) == _STEP_BYTES
            if member.unused_data:
                raise _not_gzip("something follows it")
    except zlib.error as error:
        raise _not_gzip(str(error)) from error
    if not member.eof:
        raise _not_gzip("it ends too early")
    return message.getvalue()


def _not_gzip(reason: str) -> CallError:
    return CallError(Status.INTERNAL, f"the response is not what gzip writes: {reason}")
