"""Compressed messages: gzip, which is the one algorithm that every gRPC library has.

The rules are those of https://github.com/grpc/grpc/blob/master/doc/compression.md: the
header ``grpc-encoding`` says how messages are compressed, and each message has a flag
that says whether it is. One that would not become smaller is sent as it is.

Large messages are compressed and expanded in steps, and others may use the event loop
in between.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from io import BytesIO
from typing import Literal, TypeAlias, get_args

from grpclib.const import Status

from remotemedia.grpc.status import CallError

Compression: TypeAlias = Literal["gzip", "identity"]
"""How requests are compressed; ``"identity"`` is the standard's word for not at all."""

ACCEPTED = ("identity", "gzip")
"""How responses may be compressed."""

PREFIX = struct.Struct(">BI")
"""What precedes each message: whether it is compressed, and its length."""

# zlib's number for the format of gzip, with the largest window.
_GZIP = 16 + zlib.MAX_WBITS
# The fastest. Of examples/data/speech.wav as F32, the default makes 0.32 of the size
# instead of 0.33, in five times the time.
_LEVEL = 1
# A step takes a few milliseconds. What is too large is refused within one.
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


async def compress(parts: list[bytes]) -> list[bytes]:
    """A message with its prefix, compressed.

    Args:
        parts: the message with its prefix, in parts to be sent one after the other.

    Returns:
        The compressed message in the same form, or the same parts, if compressing them
        does not make them smaller.
    """
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    message = BytesIO(bytes(PREFIX.size))
    message.seek(PREFIX.size)
    start = PREFIX.size
    for part in parts:
        while start < len(part):
            if message.tell() > PREFIX.size:
                await asyncio.sleep(0)
            step = memoryview(part)[start : start + _STEP_BYTES]
            message.write(compressor.compress(step))
            start += _STEP_BYTES
        start = 0
    message.write(compressor.flush())
    size = message.tell()
    if size >= sum(map(len, parts)):
        return parts
    message.seek(0)
    message.write(PREFIX.pack(1, size - PREFIX.size))
    return [message.getvalue()]


async def expand(data: bytes, max_bytes: int) -> bytes:
    """The message that was compressed; it is never in memory where it is too large.

    Raises:
        CallError: RESOURCE_EXHAUSTED, if the message is over the limit; INTERNAL, if
            the data is not what gzip writes.
    """
    expander = zlib.decompressobj(wbits=_GZIP)
    message = BytesIO()
    try:
        for start in range(0, len(data), _STEP_BYTES):
            rest: bytes | memoryview = memoryview(data)[start : start + _STEP_BYTES]
            while rest:
                if message.tell():
                    await asyncio.sleep(0)
                room = max_bytes - message.tell()
                step = expander.decompress(rest, min(room + 1, _STEP_BYTES))
                if len(step) > room:
                    raise CallError(
                        Status.RESOURCE_EXHAUSTED,
                        f"the response is over the limit of {max_bytes} bytes "
                        "(max_receive_bytes) when it is expanded",
                    )
                message.write(step)
                rest = expander.unconsumed_tail
            if expander.unused_data:
                raise _not_gzip("something follows it")
    except zlib.error as error:
        raise _not_gzip(str(error)) from error
    if not expander.eof:
        raise _not_gzip("it ends too early")
    return message.getvalue()


def _not_gzip(reason: str) -> CallError:
    return CallError(Status.INTERNAL, f"the response is not what gzip writes: {reason}")
