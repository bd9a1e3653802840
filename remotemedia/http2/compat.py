"""Everything that is private in h2 and grpclib and that this library uses.

A private name may change in any release of the package that it belongs to. So each is
used in this module only, behind a public name, with the reason why nothing public does
the job; and each is in a list that is checked when it is first needed, so that a
release that lacks one fails with an error that says so. The client stands on h2 alone;
what is private in grpclib is used by the embedded service.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from grpclib.const import Status
from grpclib.metadata import decode_timeout, encode_grpc_message
from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived
from h2.stream import H2Stream
from h2.windows import WindowManager
from hyperframe.frame import Frame, GoAwayFrame

if TYPE_CHECKING:
    import asyncio

    from grpclib.protocol import H2Protocol
    from grpclib.server import Handler, Server, Stream

TESTED_VERSIONS: Mapping[str, str] = {"grpclib": "0.4.9", "h2": "4.4.1"}
"""The version of each package whose private names were found to work."""

CLIENT_NAMES: Mapping[str, tuple[str, ...]] = {
    "h2.connection.H2Connection": (
        "_begin_new_stream",
        "_data_to_send",
        "_frame_dispatch_table",
        "_inbound_flow_control_window_manager",
        "_terminate_connection",
    ),
    "h2.stream.H2Stream": ("_inbound_window_manager",),
}
"""The private names that the client uses, by class. They are checked by the import."""

SERVER_NAMES: Mapping[str, tuple[str, ...]] = {
    "grpclib.protocol.Connection": ("_connection",),
    "grpclib.protocol.EventsProcessor": ("processors",),
    "grpclib.protocol.H2Protocol": (
        "config",
        "connection",
        "h2_config",
        "handler",
        "processor",
    ),
    "grpclib.protocol.Stream": (
        "_transport",
        "closable",
        "connection",
        "id",
        "reset",
        "reset_nowait",
        "send_headers",
        "wrapper",
    ),
    "grpclib.server.Handler": ("_tasks", "accept", "loop"),
    "grpclib.server.Server": ("_protocol_factory", "_server"),
    "grpclib.server.Stream": ("_cancel_done", "_stream"),
    "h2.connection.H2Connection": ("highest_inbound_stream_id",),
}
"""The private or undocumented names that the embedded service uses, by class."""


def check_names(names: Mapping[str, tuple[str, ...]]) -> None:
    """Check that the classes of grpclib and h2 have the names that are used of them.

    Args:
        names: attributes by the full name of their class.

    Raises:
        ImportError: one is missing. The message says which, the version found and the
            version that the library is tested with.
    """
    for path, attributes in names.items():
        module, _, class_name = path.rpartition(".")
        found = getattr(importlib.import_module(module), class_name, None)
        for attribute in attributes:
            if found is None or not _has(found, attribute):
                package = path.partition(".")[0]
                version = importlib.import_module(package).__version__
                raise ImportError(
                    f"{package} {version} lacks {path}.{attribute}; "
                    f"remotemedia is tested with {TESTED_VERSIONS[package]}"
                )


def _has(cls: Any, name: str) -> bool:
    # Most attributes do not exist before __init__ sets them, but its code names them.
    is_in_class = hasattr(cls, name) or name in cls.__annotations__
    return is_in_class or name in cls.__init__.__code__.co_names


check_names(CLIENT_NAMES)

# ---------------------------------------------------------------------------------
# The client's use of h2.


class OpenH2Connection(H2Connection):
    """h2's connection, with public names for the private state that we share.

    Our own frames must go out in order with h2's, and data that our own parser reads
    must count in h2's windows; h2 has no public way to either.

    Attributes:
        outgoing: the bytes that wait to be written.
        inbound_window: the connection's window for what is received.
    """

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        # h2 appends to this object in place, so both names mean the same bytes.
        self.outgoing: bytearray = bytearray()
        self._data_to_send = self.outgoing
        self.inbound_window: WindowManager = self._inbound_flow_control_window_manager

    def take_outgoing(self) -> bytearray:
        """Take the bytes that wait, without the copy that ``data_to_send`` makes."""
        taken = self.outgoing
        self.outgoing = self._data_to_send = bytearray()
        return taken

    def on_go_away(self, handle: Callable[[int, int, bytes], None]) -> None:
        """Call a function for each GOAWAY: its last stream, error code and debug data.

        h2 itself drops the streams at once that the peer still means to finish.
        """

        def handler(frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
            handle(frame.last_stream_id, frame.error_code, frame.additional_data)
            return [], []

        self._frame_dispatch_table[GoAwayFrame] = handler

    def forget_handlers(self) -> None:
        """Drop h2's table of bound methods, a reference cycle, at the end."""
        self._frame_dispatch_table = {}

    def begin_stream(self, stream_id: int) -> H2Stream:
        """Begin a client's stream whose headers h2 does not encode."""
        return self._begin_new_stream(stream_id, AllowedStreamIDs.ODD)

    def terminate(self, code: ErrorCodes) -> None:
        """Announce the end of the connection because the peer broke the protocol.

        h2 does so by itself only for frames that it reads.
        """
        self._terminate_connection(code)


inbound_window: Callable[[H2Stream], WindowManager] = attrgetter(
    "_inbound_window_manager"
)
"""A stream's window for what is received."""

# ---------------------------------------------------------------------------------
# The embedded service's use of grpclib's server. grpclib.server is imported only for
# type checkers: it takes time, and a client does not need it.


def wrap_connections(server: Server, wrap: Callable[[H2Protocol], H2Protocol]) -> None:
    """Have a server use ``wrap(connection)`` for each connection that it accepts.

    grpclib has no public way to learn of the connections of a server.
    """
    make_connection = server._protocol_factory
    server._protocol_factory = lambda: wrap(make_connection())  # type: ignore[method-assign]  # grpclib reads it from the instance


def listening_port(server: Server) -> int:
    """The port that a server that has started listens on.

    grpclib has no public way to ask. Giving it a socket of our own is no way out:
    asyncio would leave Nagle's algorithm on, which delays each small answer by 40 ms.
    """
    sockets = cast("asyncio.Server", server._server).sockets
    return int(sockets[0].getsockname()[1])


def h2_connection(protocol: H2Protocol) -> H2Connection:
    """h2's state of a connection.

    grpclib has no public way to change the settings of a connection, or to end it with
    a GOAWAY frame.
    """
    return protocol.connection._connection


def protocol_of(stream: Stream[Any, Any]) -> H2Protocol:
    """The connection that a call came in on; grpclib has no public way to it."""
    return cast("H2Protocol", transport_of(stream).get_protocol())


def transport_of(stream: Stream[Any, Any]) -> asyncio.Transport:
    """The transport of a call's connection.

    grpclib has no public way to write raw frames, or to close the connection of a call.
    """
    return stream._stream._transport


def stream_id(stream: Stream[Any, Any]) -> int:
    """The number of a call's HTTP/2 stream, which grpclib does not tell publicly."""
    return cast("int", stream._stream.id)


async def reset_stream(stream: Stream[Any, Any], code: ErrorCodes) -> None:
    """Reset a call with an error code; grpclib's public ``cancel`` takes none."""
    await stream._stream.reset(code)


def end_without_trailers(stream: Stream[Any, Any]) -> None:
    """Have grpclib send nothing more when the handler of a call returns.

    It sends a status then, unless the call was cancelled; and its public ``cancel``
    also sends a RST_STREAM frame.
    """
    stream._cancel_done = True


def ignore_new_calls(protocol: H2Protocol) -> None:
    """Ignore every call that begins on a connection from now on.

    The public events of grpclib come too late: by then the call has a task, and will
    be answered.
    """
    protocol.processor.processors[RequestReceived] = lambda event: None


def cancel_calls_after(protocol: H2Protocol, stream_id: int) -> None:
    """Cancel the calls that began after this one on the same connection.

    Only grpclib knows the tasks that calls run in.
    """
    for stream, task in cast("Handler", protocol.handler)._tasks.items():
        if cast("int", stream.id) > stream_id:
            task.cancel()


def is_over(stream: Stream[Any, Any]) -> bool:
    """Whether a call was cancelled, or can no longer be answered.

    grpclib tells neither publicly.
    """
    wrapper = stream._stream.wrapper
    is_cancelled = wrapper is not None and wrapper.cancelled
    return bool(is_cancelled) or not stream._stream.closable


def postpone_expired_deadlines(protocol: H2Protocol) -> None:
    """Give a call 1 ms whose deadline has passed when it arrives.

    grpclib takes the deadline that has passed for an exception of the handler: it logs
    an error and ends the call with UNKNOWN. A deadline that passes later is handled.
    """
    accept = protocol.handler.accept

    def accept_in_time(stream: Any, headers: Any, release_stream: Any) -> None:
        postponed = [
            (name, "1m" if name == "grpc-timeout" and _is_expired(value) else value)
            for name, value in headers
        ]
        accept(stream, postponed, release_stream)

    protocol.handler.accept = accept_in_time  # type: ignore[method-assign]  # grpclib reads it from the instance


def refuse_compressed_calls(protocol: H2Protocol) -> None:
    """Answer a call with UNIMPLEMENTED whose messages are compressed, and say why.

    grpclib ignores ``grpc-encoding``, fails at the first compressed message, and has no
    public way to answer a call with a header of gRPC's own. Which status and header it
    must be is in https://github.com/grpc/grpc/blob/master/doc/compression.md.
    """
    handler = cast("Handler", protocol.handler)
    accept = handler.accept

    def accept_plain(stream: Any, headers: Any, release_stream: Any) -> None:
        encoding = dict(headers).get("grpc-encoding", "identity")
        if encoding == "identity":
            accept(stream, headers, release_stream)
            return

        async def refuse() -> None:
            try:
                text = f"this service does not take messages compressed with {encoding}"
                answer = {
                    ":status": "200",
                    "content-type": "application/grpc",
                    "grpc-status": str(Status.UNIMPLEMENTED.value),
                    "grpc-message": encode_grpc_message(text),
                    "grpc-accept-encoding": "identity",
                }
                await stream.send_headers(list(answer.items()), end_stream=True)
                if stream.closable:
                    stream.reset_nowait()
            finally:
                release_stream()

        handler._tasks[stream] = handler.loop.create_task(refuse())

    handler.accept = accept_plain  # type: ignore[method-assign]  # grpclib reads it from the instance


def _is_expired(timeout: str) -> bool:
    try:
        return decode_timeout(timeout) < 0.001
    except ValueError:
        return False
