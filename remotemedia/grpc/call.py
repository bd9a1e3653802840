"""One call, driven over grpclib.

A call is two halves. The *writer* is a task of the call's own: it connects,
sends the request headers, and sends what the caller's iterable yields. (A single
request that can be sent without waiting for anything needs no task.) The
*reader* is whoever awaits the response: it takes whole messages out of an
inbox that the connection fills. HTTP/2 flow control is the only read-ahead:
what was not read is not acknowledged, so a slow reader slows the peer.

grpclib reports a broken stream by cancelling the tasks that wait on it, and
drops what was received and not read yet. Here it only ever finds the writer;
the reader is told through the inbox, after the last message that came. That
keeps the cancellation count of the caller's task right, and loses nothing.

Whatever makes a call fail comes out as ``CallError``, a ``GRPCError``. Only
the caller's own exceptions, from their iterable or from encoding their
message, come out unchanged.

Attributes of grpclib with a leading underscore are used as ``Call`` opens and
ends, and nowhere else; grpclib is pinned, and a test holds it to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Generator,
    Iterable,
)
from typing import (
    TYPE_CHECKING,
    Generic,
    Protocol,
    TypeVar,
    cast,
    runtime_checkable,
)

from grpclib.const import Cardinality, Status
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from grpclib.utils import Wrapper
from h2.errors import ErrorCodes
from h2.exceptions import H2Error, NoAvailableStreamIDError

from remotemedia.grpc.inbox import PREFIX, Inbox
from remotemedia.grpc.status import (
    CallError,
    last_headers,
    not_connected,
    not_grpc,
    status_error,
    terminated,
)
from remotemedia.protobuf.wire import joined

if TYPE_CHECKING:
    from grpclib.client import Stream as ClientStream
    from typing_extensions import Self

    from remotemedia.protobuf.wire import Parts

# An iterable that never waits would keep the loop from everything else.
_MESSAGES_BETWEEN_YIELDS = 8
# What writing to a closed stream raises; uvloop has a RuntimeError of its own.
_WRITE_ERRORS = (H2Error, OSError, RuntimeError)
# A call that is given up after this long without a word makes its peer suspect.
_LONG_WAIT_S = 1.0
# How long the caller's iterable may take to end after it was told to.
_CLOSE_GRACE_S = 5.0


class Message(Protocol):
    """What a call needs of a message: it can be encoded and decoded."""

    def _encode(self, out: Parts) -> int:
        """Append the encoded message to `out`; return its size in bytes."""
        ...

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802 - protobuf's name
        """Decode a message; ValueError if the bytes are not one."""
        ...


@runtime_checkable
class Replacing(Protocol):
    """A channel that replaces its connection where that is of no more use."""

    def retire(self) -> None:
        """Make no new call over the present connection."""
        ...

    def suspect(self, since: float) -> None:
        """Retire the connection if the peer was silent since then, on the loop's clock.

        Told when a call has timed out.
        """
        ...


RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class _Termination(Wrapper):
    """grpclib's way to say that a stream broke, passed on to the call."""

    def __init__(self, on_terminated: Callable[[Exception], None]) -> None:
        super().__init__()
        self._on_terminated = on_terminated

    def cancel(self, error: Exception) -> None:
        super().cancel(error)
        self._on_terminated(error)


class Call(Generic[RequestT, ResponseT]):
    """One call, from the connection to the status."""

    def __init__(
        self,
        stream: ClientStream[RequestT, ResponseT],
        requests: AsyncIterable[RequestT] | Iterable[RequestT],
        response_type: type[ResponseT],
        cardinality: Cardinality,
        *,
        timeout: float | None,
        idle_timeout: float | None,
        max_send_bytes: int | None,
        max_receive_bytes: int,
    ) -> None:
        self._stream = stream
        self._requests = requests
        self._response_type = response_type
        self._cardinality = cardinality
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._max_send_bytes = max_send_bytes
        self._inbox = Inbox(max_receive_bytes, self._on_bad_data, self._on_end)
        self._is_open = False
        self._is_stopped = False
        self._headers_checked = False
        self._error: BaseException | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sent = 0
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the clock, and the writer unless there is nothing to wait for."""
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._stream._wrapper = _Termination(self._on_terminated)
        if self._timeout is not None:
            self._timers["deadline"] = self.loop.call_later(
                self._timeout, self._on_deadline
            )
        if self._idle_timeout is not None:
            self._watch_idle(self._idle_timeout, 0)
        if self._cardinality.client_streaming:
            self._writer = self.loop.create_task(self._write(self._requests))
            return
        try:
            (request,) = cast("Iterable[RequestT]", self._requests)
            parts = self._encoded(request)
            is_sent = self._sent_at_once(parts)
        except Exception as error:  # noqa: BLE001 - raised by the reader
            self._fail(error)
        else:
            if not is_sent:
                self._writer = self.loop.create_task(self._write(parts=parts))

    def stop(self) -> None:
        """End everything: the peer sees a reset, unless the call was over."""
        if not self._is_stopped:
            if not self._has_status():
                if self._has_waited_in_vain():
                    self._suspect()
                self._fail(CallError(Status.CANCELLED, "the call was left"))
            self._is_stopped = True
            self._halt()
            self._inbox.eof()
            # What was sent may be large.
            self._requests = ()
            # With no way back to the call, one that went well leaves nothing to the
            # collector of cycles, which may come late.
            del self._stream._wrapper
            if self._is_open:
                self._stream._release_stream()
                self._transport.wrapper = None

    async def close(self) -> None:
        """End everything, and wait until the caller's iterable is closed."""
        self.stop()
        if self._writer is not None and not self._writer.done():
            await asyncio.wait({self._writer}, timeout=_CLOSE_GRACE_S)

    async def read(self) -> ResponseT | None:
        """The next response, or None after the last one of a call that went well.

        Raises:
            CallError: the call failed. Every response that came before is
                delivered first.
            BaseException: what the caller's iterable raised.
        """
        data = await self._inbox.read()
        if self._is_open and not self._headers_checked:
            self._check_headers()
        if data is None:
            if self._error is not None:
                raise self._error
            self._check_status()
            return None
        try:
            return self._response_type.FromString(data)
        except ValueError as error:
            raise CallError(
                Status.INTERNAL, f"the response could not be decoded: {error}"
            ) from error

    async def read_only(self) -> ResponseT:
        """The one response of a call that has one."""
        response = await self.read()
        if response is None:
            raise CallError(
                Status.INTERNAL, "the peer answered OK, but without a message"
            )
        if await self.read() is not None:
            raise CallError(
                Status.INTERNAL, "the peer answered with more than one message"
            )
        return response

    # -- the writer

    def _sent_at_once(self, parts: list[bytes]) -> bool:
        """Whether the one request could be sent without waiting for anything."""
        # Of a channel of ours.
        send_now: Callable[[bytes], bool] | None
        send_now = getattr(self._stream, "send_now", None)
        if send_now is None or len(parts) > 1 or not send_now(parts[0]):
            return False
        self._take_over()
        self._sent = 1
        return True

    async def _write(
        self,
        requests: AsyncIterable[RequestT] | Iterable[RequestT] = (),
        *,
        parts: list[bytes] | None = None,
    ) -> None:
        """Open the call, and send what an iterable yields, or one request."""
        try:
            try:
                await self._open()
            except BaseException:
                await _close(requests)
                raise
            if parts is not None:
                await self._send(parts, end=True)
            elif isinstance(requests, AsyncIterable):
                await self._send_async(requests)
            else:
                await self._send_plain(requests)
        except asyncio.CancelledError as error:
            if self._is_stopped or self._error is not None or self._has_ended():
                raise
            self._fail(error)
        except BaseException as error:  # noqa: BLE001 - raised by the reader
            self._fail(error)

    async def _open(self) -> None:
        stream = self._stream
        try:
            await stream.send_request()
        except NoAvailableStreamIDError as error:
            if isinstance(stream._channel, Replacing):
                stream._channel.retire()
            raise CallError(
                Status.UNAVAILABLE,
                "the connection has carried as many calls as it can",
                is_refused=True,
            ) from error
        except (OSError, H2Error, ProtocolError) as error:
            raise not_connected(error) from error
        except StreamTerminatedError as error:
            raise terminated(error) from error
        self._take_over()
        connection = self._transport.connection
        if self._cardinality.client_streaming:
            # There may be nothing else to send for long.
            connection.flush()
        if not stream._channel._connected or connection.is_closing():
            # The connection ended before grpclib knew of the stream.
            raise CallError(
                Status.UNAVAILABLE,
                "the peer closed the connection before the call",
                is_refused=True,
            )

    def _take_over(self) -> None:
        # grpclib does not wait after it registered the stream, so no frame has come
        # in yet, and the buffer can still be replaced.
        transport = self._stream._stream
        self._inbox.acknowledge = transport.buffer._ack_callback
        transport.buffer = self._inbox  # type: ignore[assignment]  # takes its place
        self._transport = transport
        self._opened = self.loop.time()
        self._is_open = True

    async def _send_async(self, requests: AsyncIterable[RequestT]) -> None:
        iterator = requests.__aiter__()
        sent = 0
        try:
            async for request in iterator:
                await self._send(self._encoded(request))
                sent += 1
                if sent % _MESSAGES_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
        finally:
            await _close(iterator)
        await self._half_close()

    async def _send_plain(self, requests: Iterable[RequestT]) -> None:
        iterator = iter(requests)
        try:
            for sent, request in enumerate(iterator, 1):
                await self._send(self._encoded(request))
                if sent % _MESSAGES_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)
        finally:
            await _close(iterator)
        await self._half_close()

    def _encoded(self, request: RequestT) -> list[bytes]:
        """The request with its prefix, in parts to be sent one after the other."""
        parts: Parts = [b""]
        size = request._encode(parts)
        if self._max_send_bytes is not None and size > self._max_send_bytes:
            raise CallError(
                Status.RESOURCE_EXHAUSTED,
                f"the request is {size} bytes, over the limit of "
                f"{self._max_send_bytes} (max_send_bytes): stream it in chunks, or "
                "raise the limit here and at the service",
                unprocessed=not self._cardinality.client_streaming,
            )
        parts[0] = PREFIX.pack(0, size)
        return joined(parts, size)

    async def _send(self, parts: list[bytes], *, end: bool = False) -> None:
        *first, last = parts
        try:
            for part in first:
                await self._transport.send_data(part)
            await self._transport.send_data(last, end_stream=end)
        except _WRITE_ERRORS:
            self._check_open()
            raise
        self._sent += 1

    async def _half_close(self) -> None:
        try:
            await self._transport.end()
        except _WRITE_ERRORS:
            self._check_open()
            raise

    def _check_open(self) -> None:
        """End the writer where the stream is closed; the reader knows why."""
        if self._has_ended():
            raise asyncio.CancelledError

    # -- how a call ends

    def _has_status(self) -> bool:
        return self._is_open and "grpc-status" in last_headers(self._transport)

    def _has_ended(self) -> bool:
        return self._is_open and not self._transport.closable

    def _has_waited_in_vain(self) -> bool:
        # The caller's own time-out, most likely.
        return (
            self._is_open
            and self._transport.headers is None
            and self.loop.time() - self._opened > _LONG_WAIT_S
        )

    def _suspect(self) -> None:
        """Have the channel look at a connection on which an answer did not come."""
        if self._is_open and isinstance(self._stream._channel, Replacing):
            # What a peer sends as the connection opens may come a little later, and
            # says nothing of whether it lives.
            waited = self.loop.time() - self._opened
            self._stream._channel.suspect(self._opened + min(waited / 10, 1.0))

    def _on_deadline(self) -> None:
        self._suspect()
        self._fail(
            CallError(
                Status.DEADLINE_EXCEEDED,
                f"the call was not done within {round(self._timeout or 0, 2):g} s",
                unprocessed=not self._is_open,
            )
        )

    def _on_idle(self, idle_timeout: float, seen: int) -> None:
        moves = self._sent + self._inbox.received
        # A peer need not move while it waits for the reader.
        if moves == seen and not self._inbox.has_unread:
            self._fail(
                CallError(
                    Status.DEADLINE_EXCEEDED,
                    f"the stream made no progress for {idle_timeout:g} s",
                )
            )
        else:
            self._watch_idle(idle_timeout, moves)

    def _watch_idle(self, idle_timeout: float, moves: int) -> None:
        self._timers["idle"] = self.loop.call_later(
            idle_timeout, self._on_idle, idle_timeout, moves
        )

    def _on_end(self) -> None:
        # Also where nobody reads: what the peer has ended must not hold a stream.
        self._halt()

    def _on_bad_data(self, error: CallError) -> None:
        # What is no gRPC answer at all says so in its headers.
        self._fail(not_grpc(self._transport) or error)

    def _on_terminated(self, error: Exception) -> None:
        if self._has_status():
            self._inbox.eof()
        else:
            failure = terminated(error)
            if self._is_open and self._transport.headers is not None:
                # It took the call, whatever it says.
                failure.unprocessed = failure.is_refused = False
            self._fail(failure)

    def _fail(self, error: BaseException) -> None:
        if self._error is None and not self._is_stopped:
            self._error = error
            self._halt()
            self._inbox.eof()

    def _halt(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._is_open and self._transport.closable:
            self._transport.reset_nowait(ErrorCodes.CANCEL)
            self._transport.connection.stream_close_waiter.set()
        writer = self._writer
        if writer is not None and writer is not asyncio.current_task(self.loop):
            writer.cancel()

    def _check_headers(self) -> None:
        self._headers_checked = True
        if error := not_grpc(self._transport):
            raise error

    def _check_status(self) -> None:
        if self._inbox.is_partial:
            raise CallError(
                Status.INTERNAL, "the peer ended in the middle of a message"
            )
        if error := status_error(last_headers(self._transport)):
            raise error


async def _close(iterable: object) -> None:
    """Close a generator of either kind; there is nothing to do for others."""
    if isinstance(iterable, AsyncGenerator):
        await iterable.aclose()
    elif isinstance(iterable, Generator):
        iterable.close()
