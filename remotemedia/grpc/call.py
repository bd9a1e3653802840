"""One call over HTTP/2, from its first byte to its status.

A call has two halves. The *writer* connects, opens the stream and sends what the
caller's iterable yields; it is a task of the call's own. (A single request that can be
sent without waiting needs no task.) The *reader* is whoever awaits a response: it takes
whole messages out of an inbox that the connection fills.

The call is the one owner of the answer to "is it over, and why?". Whatever ends it,
the peer, the connection, a deadline, the caller's iterable or the reader, goes through
``_finish``, which stops the timers, the writer and the stream, and wakes the reader.
The reader still gets every message that arrived before the end.

Whatever makes a call fail is raised as ``CallError``, a ``GRPCError``. Only the
caller's own exceptions, from their iterable or from encoding their message, are raised
unchanged.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc.compression import PREFIX, Compression, compress
from remotemedia.grpc.headers import (
    CANCELLED,
    Blocks,
    ResponseMetadata,
    has_status,
    method_headers,
    response_blocks,
    timeout_header,
)
from remotemedia.grpc.inbox import Compressed, Inbox
from remotemedia.grpc.metadata import Metadata
from remotemedia.grpc.status import CallError, from_headers, from_http2, from_trailers
from remotemedia.http2 import (
    WRITE_BYTES,
    Channel,
    Connection,
    Headers,
    HTTP2Error,
    Stream,
    StreamClosedError,
)
from remotemedia.protobuf import joined

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.protobuf import Parts

# An iterable that never waits would block the event loop.
_MESSAGES_BETWEEN_YIELDS = 8
# Neither may a peer whose next message is always there.
_READS_BETWEEN_YIELDS = 32
# If a call is abandoned after this long without response headers, check the connection.
_LONG_WAIT_S = 1.0
# How long the caller's iterable may take to end after it was closed.
_CLOSE_GRACE_S = 5.0
# Many peers measure time in milliseconds.
_CLOCK_STEP_S = 0.001


class Message(Protocol):
    """What a call needs of a message: it can be encoded and decoded."""

    def _encode(self, out: Parts) -> int:
        """Append the encoded message to `out`; return its size in bytes."""
        ...

    @classmethod
    def _from_peer(cls, data: bytes) -> Self:
        """Decode a message; ValueError if the bytes are not one, or cost too much."""
        ...


RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class _State(enum.Enum):
    NEW = enum.auto()
    RUNNING = enum.auto()
    OVER = enum.auto()
    """Nothing more arrives; what arrived can still be read, then the error."""
    LEFT = enum.auto()
    """The reader wants nothing more."""


class Call(Generic[RequestT, ResponseT]):
    """One call. It starts with the first read, or with ``start``.

    Args:
        channel: where the call goes.
        path: the method, as ``/package.Service/Method``.
        response_type: the class of the responses.
        request: the only request, of a call that has one.
        requests: otherwise, an iterable of the requests.
        deadline: when the call must be done.
        metadata: the caller's own headers.
        compression: how the requests are compressed.
        idle_timeout: seconds that a stream may go without a frame from the peer or a
            message to it. It is detected after one to two times this value.
        max_send_bytes: the largest request; None for no limit.
        max_receive_bytes: the largest response.
        wait_for_ready: whether to wait, until the deadline, where no connection can be
            made.

    Attributes:
        path: the method, as ``/package.Service/Method``.
        sent_messages: how many requests were handed to the connection.
        sent_bytes: the size of the requests that were encoded, with their prefixes, and
            before compression.
    """

    def __init__(
        self,
        channel: Channel,
        path: str,
        response_type: type[ResponseT],
        *,
        request: RequestT | None = None,
        requests: AsyncIterable[RequestT] | Iterable[RequestT] = (),
        deadline: Deadline | None,
        metadata: Metadata,
        compression: Compression,
        idle_timeout: float | None,
        max_send_bytes: int | None,
        max_receive_bytes: int,
        wait_for_ready: bool = False,
    ) -> None:
        self._channel = channel
        self._wait_for_ready = wait_for_ready
        self.path: str = path
        self._response_type = response_type
        self._request = request
        self._requests = requests
        self._deadline = deadline
        self._timeout_s = None if deadline is None else deadline.time_remaining()
        self._metadata = metadata
        self._compression = compression
        self._idle_timeout_s = idle_timeout
        self._max_send_bytes = max_send_bytes
        self._inbox = Inbox(max_receive_bytes, self._on_bad_data)
        self._state = _State.NEW
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._stream: Stream | None = None
        self._connection: Connection | None = None
        self._used_since_s = 0.0
        self._are_headers_checked = False
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self.sent_messages: int = 0
        self.sent_bytes: int = 0
        self._reads = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the call has ended; what arrived may still be read."""
        return self._state is _State.OVER or self._state is _State.LEFT

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived yet."""
        return Metadata.received(self._blocks[0])

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers; empty if none arrived yet."""
        return Metadata.received(self._blocks[1])

    @property
    def received_messages(self) -> int:
        """How many responses arrived, read or not."""
        return self._inbox.received_messages

    @property
    def received_bytes(self) -> int:
        """The size of what arrived of the responses, their prefixes included."""
        return self._inbox.received_bytes

    def failure(self) -> BaseException | None:
        """What a call that is over has failed with; None if it succeeded."""
        try:
            self._check_end()
        except CallError as error:
            self._describe(error)
            return error
        except BaseException as error:  # noqa: BLE001 - it is returned
            return error
        return None

    @property
    def address(self) -> str:
        """Where the call went; "" while it has no connection."""
        return "" if self._connection is None else str(self._connection.address)

    def start(self) -> None:
        """Start the clock, and the writer unless there is nothing to wait for."""
        self._state = _State.RUNNING
        self._loop = asyncio.get_running_loop()
        if self._deadline is not None:
            left_s = self._deadline.time_remaining()
            if not left_s:
                # Fail without asking the peer.
                self._on_deadline()
                return
            self._deadline_timer = self._loop.call_later(left_s, self._on_deadline)
        if self._idle_timeout_s is not None:
            self._watch_progress(self._idle_timeout_s, 0)
        if self._request is None:
            self._writer = self._loop.create_task(self._write())
            return
        try:
            parts = self._encoded(self._request)
            if not self._send_now(parts):
                self._writer = self._loop.create_task(self._write(parts))
        except Exception as error:  # noqa: BLE001 - raised by the reader
            self._finish(error)

    async def read(self) -> ResponseT | None:
        """The next response, or None after the last; it can be cancelled and repeated.

        Raises:
            CallError: the call failed. Every response that came before is delivered
                first.
            BaseException: what the caller's iterable raised.
        """
        if self._state is _State.NEW:
            self.start()
        self._reads += 1
        if self._reads % _READS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)
        if self._state is _State.LEFT:
            return None
        inbox = self._inbox
        try:
            while not inbox.messages:
                if self._state is not _State.RUNNING:
                    self._check_end()
                    return None
                await inbox.waiter()
            if not self._are_headers_checked:
                self._check_headers()
            if isinstance(inbox.messages[0], Compressed):
                expanded = await inbox.take_expanded()
                if expanded is None:
                    # The call was left meanwhile.
                    self._check_end()
                    return None
                message = expanded
            else:
                message = inbox.take()
            try:
                return self._response_type._from_peer(message)
            except ValueError as error:
                raise CallError(
                    Status.INTERNAL, f"the response could not be decoded: {error}"
                ) from error
        except CallError as error:
            self._describe(error)
            raise

    async def read_single(
        self, response_metadata: ResponseMetadata | None = None
    ) -> ResponseT:
        """The only response of a call that has one.

        Args:
            response_metadata: takes the metadata of the response.

        Raises:
            CallError: the call failed; UNIMPLEMENTED, if it has no response or more
                than one, as gRPC's document on status codes has it.
        """
        try:
            response = await self.read()
            if response is None:
                raise CallError(
                    Status.UNIMPLEMENTED, "the peer answered OK, but without a message"
                )
            if await self.read() is not None:
                raise CallError(
                    Status.UNIMPLEMENTED, "the peer answered with more than one message"
                )
        except CallError as error:
            self._describe(error)
            raise
        finally:
            if response_metadata is not None:
                response_metadata.take(self._blocks)
        return response

    def stop(self, reason: BaseException | None = None) -> None:
        """End everything: the peer sees a reset, unless the call was over.

        Args:
            reason: what the call has failed with; by default, that it was cancelled.
        """
        if self._state is _State.RUNNING:
            if self._has_waited_long():
                self._check_connection()
            self._finish(
                reason or CallError(Status.CANCELLED, "the call was cancelled here")
            )
        self._state = _State.LEFT
        # Release the requests and the responses, which may be large.
        self._request, self._requests = None, ()
        self._inbox.discard()

    def stop_from_any_thread(self) -> None:
        """End everything, from any thread, as garbage may be collected in any."""
        if self._state is _State.RUNNING and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    async def close(self) -> None:
        """End everything, and wait until the caller's iterable is closed."""
        self.stop()
        if self._writer is not None and not self._writer.done():
            await asyncio.wait({self._writer}, timeout=_CLOSE_GRACE_S)

    # -- the writer

    def _send_now(self, parts: list[bytes]) -> bool:
        """Whether the only request could be sent without waiting for anything."""
        if (
            len(parts) > 1
            or len(parts[0]) > WRITE_BYTES
            or self._compression != "identity"
        ):
            return False
        # Each pick is the turn of the next address, so nothing is picked in vain.
        connection = self._channel.pick()
        if connection is None:
            return False
        stream = connection.open_now(
            *self._headers(connection), parts[0], self._inbox.add, self._on_end
        )
        if stream is None:
            return False
        self._use(connection)
        self._begin(stream)
        self.sent_messages = 1
        return True

    async def _write(self, only: list[bytes] | None = None) -> None:
        """Send the requests, or the only one; what goes wrong ends the call."""
        try:
            if only is None:
                await self._send_all()
            else:
                await self._send_only(only)
        except StreamClosedError:
            # The peer closed the stream, and the reader was told why.
            pass
        except asyncio.CancelledError as error:
            if self._state is not _State.RUNNING:
                raise
            # The caller's iterable raised it.
            self._finish(error)
        except BaseException as error:  # noqa: BLE001 - raised by the reader
            self._finish(error)

    async def _send_only(self, parts: list[bytes]) -> None:
        if self._compression == "gzip":
            parts = await compress(parts)
        stream = await self._open()
        for part in parts[:-1]:
            await stream.send(part)
        await stream.send(parts[-1], end=True)
        self.sent_messages += 1

    async def _send_all(self) -> None:
        requests = self._requests
        try:
            stream = await self._open()
        except BaseException:
            await _close(requests)
            raise
        # There may be nothing else to send for long.
        stream.connection.flush()
        if isinstance(requests, AsyncIterable):
            iterator = requests.__aiter__()
            try:
                async for request in iterator:
                    parts = self._encoded(request)
                    if self._compression == "gzip":
                        parts = await compress(parts)
                    for part in parts:
                        await stream.send(part)
                    self.sent_messages += 1
                    if self.sent_messages % _MESSAGES_BETWEEN_YIELDS == 0:
                        await asyncio.sleep(0)
            finally:
                await _close(iterator)
        else:
            await self._send_plain(stream, iter(requests))
        stream.half_close()

    async def _send_plain(self, stream: Stream, iterator: Iterator[RequestT]) -> None:
        try:
            for request in iterator:
                parts = self._encoded(request)
                if self._compression == "gzip":
                    parts = await compress(parts)
                for part in parts:
                    await stream.send(part)
                self.sent_messages += 1
                if self.sent_messages % _MESSAGES_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
        finally:
            await _close(iterator)

    async def _open(self) -> Stream:
        try:
            connection = await self._channel.connect(
                wait_for_ready=self._wait_for_ready
            )
            self._use(connection)
            stream = await connection.open(
                *self._headers(connection), self._inbox.add, self._on_end
            )
        except HTTP2Error as error:
            raise from_http2(error) from error
        self._begin(stream)
        return stream

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._used_since_s = time.monotonic()

    def _begin(self, stream: Stream) -> None:
        self._stream = stream
        self._inbox.acknowledge = stream.acknowledge

    def _headers(
        self, connection: Connection
    ) -> tuple[Headers, Sequence[tuple[str, str]]]:
        own = self._metadata.headers()
        if self._deadline is not None:
            left = timeout_header(self._deadline.time_remaining())
            own.insert(0, ("grpc-timeout", left))
        shared = method_headers(
            self._channel.scheme, connection.authority, self.path, self._compression
        )
        return shared, own

    def _encoded(self, request: RequestT) -> list[bytes]:
        """The request with its prefix, in parts to be sent one after the other."""
        parts: Parts = [b""]
        try:
            size = request._encode(parts)
        except AttributeError:
            if hasattr(request, "_encode"):
                raise
            raise TypeError(
                f"the request of {self.path} is a {type(request).__name__}; it must be "
                "a generated message"
            ) from None
        if self._max_send_bytes is not None and size > self._max_send_bytes:
            raise CallError(
                Status.RESOURCE_EXHAUSTED,
                f"the request is {size} bytes, over the limit of "
                f"{self._max_send_bytes} (max_send_bytes): stream it in chunks, or "
                "raise the limit here and at the service",
                # Of a stream of requests, others may have been sent.
                unprocessed=self._writer is None,
            )
        parts[0] = PREFIX.pack(0, size)
        self.sent_bytes += size + PREFIX.size
        return joined(parts, size)

    # -- how a call ends

    def _finish(self, error: BaseException | None) -> None:
        """The call is over; with an error, unless the trailers are to decide."""
        if self._state is not _State.RUNNING:
            return
        self._state = _State.OVER
        self._error = error
        self._traceback = None if error is None else error.__traceback__
        for timer in (self._deadline_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        if self._stream is not None:
            self._stream.close()
        writer = self._writer
        if writer is not None and writer is not asyncio.current_task(self._loop):
            writer.cancel()
        self._inbox.close()

    def _on_end(self, error: HTTP2Error | None) -> None:
        trailers = self._blocks[1] or ()
        if error is None or has_status(trailers):
            if CANCELLED in trailers and self._is_out_of_time():
                self._on_deadline()
            else:
                self._finish(None)
            return
        if self._is_out_of_time():
            self._on_deadline()
            return
        failure = from_http2(error)
        if self._stream is not None and self._stream.headers is not None:
            # The peer processed at least some of the call, whatever it says.
            failure.unprocessed = failure.is_refused = False
        self._finish(failure)

    def _on_bad_data(self, error: CallError) -> None:
        # Data that is not gRPC's looks like a bad message; the headers say what it is.
        self._finish(from_headers(dict(self._blocks[0] or ())) or error)

    def _on_deadline(self) -> None:
        self._check_connection()
        # Rounded, because the time left is a little less than the timeout was.
        seconds = round(self._timeout_s or 0, 2) or float(f"{self._timeout_s or 0:.1g}")
        text = (
            f"the call was not done within {seconds:g} s"
            if seconds
            else "the deadline passed before the call began"
        )
        is_unprocessed = self._stream is None
        if self._connection is None and (failure := self._channel.last_failure):
            text += f", and could not be sent: {failure}"
        self._finish(
            CallError(Status.DEADLINE_EXCEEDED, text, unprocessed=is_unprocessed)
        )

    def _is_out_of_time(self) -> bool:
        """Whether the deadline is now; the peer has it too, and may be earlier."""
        return (
            self._deadline is not None
            and self._deadline.time_remaining() < _CLOCK_STEP_S
        )

    def _watch_progress(self, idle_timeout_s: float, seen: int) -> None:
        self._idle_timer = self._loop.call_later(
            idle_timeout_s, self._on_idle, idle_timeout_s, seen
        )

    def _on_idle(self, idle_timeout_s: float, seen: int) -> None:
        progress = self.sent_messages + self._inbox.received_frames
        # The peer waits for the reader, and need not send anything.
        if progress == seen and not self._inbox.messages:
            self._check_connection()
            self._finish(
                CallError(
                    Status.DEADLINE_EXCEEDED,
                    f"the stream made no progress for {idle_timeout_s:g} s",
                )
            )
        else:
            self._watch_progress(idle_timeout_s, progress)

    def _has_waited_long(self) -> bool:
        """Whether an answer is overdue, most likely by the caller's own time-out."""
        return (
            self._connection is not None
            and (self._stream is None or self._stream.headers is None)
            and time.monotonic() - self._used_since_s > _LONG_WAIT_S
        )

    def _check_connection(self) -> None:
        """Have new calls connect anew, if the peer has been silent since this one."""
        if self._connection is not None:
            # What a peer sends right after the connection opened says nothing of
            # whether it still lives.
            waited_s = time.monotonic() - self._used_since_s
            since_s = self._used_since_s + min(waited_s / 10, 1.0)
            self._connection.retire_if_silent(since_s)

    @property
    def _blocks(self) -> Blocks:
        return response_blocks(self._stream, has_body=self._inbox.received_frames > 0)

    def _check_headers(self) -> None:
        self._are_headers_checked = True
        headers = dict(self._blocks[0] or ())
        if error := from_headers(headers):
            raise error
        self._inbox.encoding = headers.get("grpc-encoding", "identity")

    def _check_end(self) -> None:
        """Raise what the call failed with, if it failed."""
        headers, block = self._blocks
        trailers = dict(block or ())
        if headers is not None and "grpc-status" not in trailers:
            self._check_headers()
        if self._error is not None:
            # Without the frames of earlier readers, which would pile up.
            raise self._error.with_traceback(self._traceback)
        if self._inbox.is_partial:
            raise CallError(
                Status.INTERNAL, "the peer ended the stream in the middle of a message"
            )
        if error := from_trailers(trailers):
            raise error

    def _describe(self, error: CallError) -> None:
        """Add what was received to an error."""
        error.headers, error.trailers = self.headers, self.trailers


async def _close(iterable: object) -> None:
    """Close a generator of either kind; there is nothing to do for others."""
    if isinstance(iterable, AsyncGenerator):
        await iterable.aclose()
    elif isinstance(iterable, Generator):
        iterable.close()
