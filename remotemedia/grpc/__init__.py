"""gRPC client calls: messages, deadlines, status and retries.

This package handles gRPC over HTTP/2: how messages are framed, what the headers and
trailers of a call say, and which status a call has whose stream ended in another way.
It uses ``http2`` for connections, and of ``protobuf`` only that messages can be
encoded. It must not know pipelines, sessions or ``RemoteMediaError``.

For a service of your own, generate its stubs with ``remotemedia-codegen`` and call them
over a channel. Calls fail with ``CallError``::

    async with Channel("localhost:50051") as channel:
        reply = await GreeterStub(channel).say_hello(HelloRequest(name="you"))
"""

from grpclib.const import Status
from grpclib.metadata import Deadline

# All calls stand on this package. Its import fails as that of `remotemedia` does where
# the `__init__` there is overwritten, and does not check.
from remotemedia import foreign  # noqa: F401
from remotemedia.grpc.call import Call, Message
from remotemedia.grpc.caller import CallArguments, Caller, CallOptions, StubCaller
from remotemedia.grpc.compression import Compression
from remotemedia.grpc.headers import ResponseMetadata
from remotemedia.grpc.interceptors import (
    CallDetails,
    Interceptor,
    Next,
    check_interceptors,
)
from remotemedia.grpc.limits import (
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
    check_count,
    deadline_after,
    earliest,
)
from remotemedia.grpc.metadata import (
    AUTHORIZATION,
    NO_METADATA,
    Metadata,
    MetadataLike,
    authorization,
)
from remotemedia.grpc.responses import ResponseStream
from remotemedia.grpc.retry import REFUSED_ONLY, Retries, RetryPolicy
from remotemedia.grpc.status import CallError, printable
from remotemedia.grpc.stub import ServiceStub
from remotemedia.grpc.token import Token, TokenFunction, TokenSource
from remotemedia.http2 import (
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
    TLS,
    Address,
    Addresses,
    Channel,
    ChannelConfig,
    WaitTimeoutError,
    check_seconds,
    wait_at_most,
)

__all__ = [
    "AUTHORIZATION",
    "DEFAULT_CONNECT_TIMEOUT_S",
    "DEFAULT_IDLE_TIMEOUT_S",
    "DEFAULT_KEEPALIVE_S",
    "DEFAULT_KEEPALIVE_TIMEOUT_S",
    "DEFAULT_MAX_RECEIVE_BYTES",
    "DEFAULT_MAX_SEND_BYTES",
    "DEFAULT_TIMEOUT_S",
    "NO_METADATA",
    "REFUSED_ONLY",
    "TLS",
    "Address",
    "Addresses",
    "Call",
    "CallArguments",
    "CallDetails",
    "CallError",
    "CallOptions",
    "Caller",
    "Channel",
    "ChannelConfig",
    "Compression",
    "Deadline",
    "Interceptor",
    "Message",
    "Metadata",
    "MetadataLike",
    "Next",
    "ResponseMetadata",
    "ResponseStream",
    "Retries",
    "RetryPolicy",
    "ServiceStub",
    "Status",
    "StubCaller",
    "Token",
    "TokenFunction",
    "TokenSource",
    "WaitTimeoutError",
    "authorization",
    "check_count",
    "check_interceptors",
    "check_seconds",
    "deadline_after",
    "earliest",
    "printable",
    "wait_at_most",
]
