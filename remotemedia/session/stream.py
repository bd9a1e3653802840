"""One bidirectional session over a call, from the client's end.

``PipelineStream`` is what users have of a session. Behind it, ``sender`` makes the
requests, and every response is fed to the session machine when it is read: when
somebody asks for one, so that HTTP/2's flow control reaches through to the caller.

The machine knows whether the session is over, and why; everything here asks it. What
each method does in each state is in ``actions``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Generic, Literal

from typing_extensions import TypeVar

from remotemedia.errors import (
    RemoteMediaError,
    RemoteMediaTimeoutError,
    from_response,
)
from remotemedia.grpc import (
    NO_METADATA,
    REFUSED_ONLY,
    CallError,
    Deadline,
    Metadata,
    ResponseStream,
    Status,
    WaitTimeoutError,
    check_seconds,
    printable,
    wait_at_most,
)
from remotemedia.operation import Operation
from remotemedia.session.actions import ACTIONS, Action, why_refused
from remotemedia.session.machine import Event, Session, State
from remotemedia.session.messages import Payload, StreamMessages
from remotemedia.session.outbox import Outbox
from remotemedia.session.sender import Sender
from remotemedia.session.source import Source
from remotemedia.v1 import (
    ChunkResult,
    ErrorType,
    StreamClosed,
    StreamMetrics,
    StreamReady,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.grpc import Caller
    from remotemedia.values import Value

ChunkT_co = TypeVar("ChunkT_co", bound=ChunkResult, default=ChunkResult, covariant=True)

MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""How much is kept of results that nobody reads: while ``close`` waits, and of what
comes before the session is open."""

# A result counts with its encoded size and this, which an empty one takes as an object.
# Results of a few bytes would take a hundred times their encoded size.
_RESULT_OVERHEAD_BYTES = 512

MOST_LOADING_TEXTS = 100

# How long a service may take to end a call after it said that it would.
_GOODBYE_S = 1.0

_LEFT = "the session was left before it was open"


class PipelineStream(Generic[ChunkT_co]):
    """A live session: send audio, iterate over what comes back.

    From ``RemoteMediaClient.open_stream``, as a context manager and an asynchronous
    iterator of ``ChunkResult``, in the order of the chunks::

        async with client.open_stream(manifest) as stream:
            await stream.send("src", buffer)
            await stream.half_close()
            async for chunk in stream:
                ...

    Iterate while you send, in another task if the source is live. If nobody reads the
    results, the service has to wait, and after a while ``send`` does too. Waiting for a
    result may be cancelled and repeated; no result is lost.

    Leaving the context normally finishes the session: what was accepted is sent, the
    service is told, and its ``closed`` is awaited, for no longer than the client's
    timeout. Results that no task waits for are discarded. Leaving it by an exception
    resets the call at once.

    Attributes:
        ready: what the service said when the session opened.
        metrics: the latest metrics; None until the service reports them, which the
            contract has it do after every tenth chunk.
        closed: the service's ``closed`` message; None before it arrived.
        chunks_acknowledged: how many chunks have had their result read.
        round_trip_ms: from handing the latest acknowledged chunk to the connection to
            reading its result; None before the first.
    """

    def __init__(
        self,
        caller: Caller,
        messages: StreamMessages,
        init: object,
        node_ids: Iterable[str],
        *,
        operation: Operation,
        open_timeout: float | None,
        deadline: Deadline | None,
        metadata: Metadata,
        source: Source | None,
        max_buffered_chunks: int,
        max_in_flight_chunks: int | None,
        max_send_bytes: int | None,
        is_token_renewable: bool = False,
    ) -> None:
        self.ready: StreamReady | None = None
        self.metrics: StreamMetrics | None = None
        self.closed: StreamClosed | None = None
        self.chunks_acknowledged: int = 0
        self.round_trip_ms: float | None = None
        self._caller = caller
        self._messages = messages
        self._operation = operation
        self._timeout_s = open_timeout
        self._deadline = deadline
        self._metadata = metadata
        self._outbox = Outbox(max_buffered_chunks)
        self._sender = Sender(
            init,
            node_ids,
            messages,
            operation=operation,
            outbox=self._outbox,
            source=source,
            max_in_flight=max_in_flight_chunks,
            max_send_bytes=max_send_bytes,
        )
        self._is_token_renewable = is_token_renewable
        self._has_source = source is not None
        # Whether it was given up, also between two attempts to open it.
        self._is_reset = False
        self._session = Session()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._responses: ResponseStream[Any] | None = None
        self._loading: deque[str] = deque(maxlen=MOST_LOADING_TEXTS)
        self._unread: deque[ChunkT_co] = deque()
        # How many tasks wait for a result, and whether any task reads.
        self._iterating = 0
        self._is_reading = False
        self._read_waiters: list[asyncio.Future[None]] = []

    @property
    def request_id(self) -> str:
        """The id of the call, which the service received as ``x-request-id``."""
        return self._operation.request_id

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty before the session is open."""
        return NO_METADATA if self._responses is None else self._responses.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers, which end the call; empty before that."""
        return NO_METADATA if self._responses is None else self._responses.trailers

    @property
    def loading(self) -> Sequence[str]:
        """What the service has said of loading the pipeline, the latest last.

        A service of the data contract says it before the session is open, so look at it
        from another task, or afterwards. The last hundred texts are kept.
        """
        return tuple(self._loading)

    @property
    def chunks_sent(self) -> int:
        """How many chunks were handed to the connection."""
        return self._session.chunks

    @property
    def chunks_dropped(self) -> int:
        """How many chunks never left, for want of room or because of the end."""
        return self._outbox.dropped

    async def __aenter__(self) -> Self:
        """Open the session, and wait until the service is ready.

        Raises:
            RemoteMediaError: the service refused, or could not be reached.
            RemoteMediaTimeoutError: it did not answer in time.
        """
        with self._operation:
            self._action("enter")
            self._loop = asyncio.get_running_loop()
            try:
                await wait_at_most(self._timeout_s, self._open_with_retries())
            except WaitTimeoutError:
                error = RemoteMediaTimeoutError(
                    f"the session was not open within {self._timeout_s:g} s",
                    retryable=True,
                )
                await self._reset(error)
                raise error from None
            except BaseException as error:
                await self._reset(error)
                raise
        self._sender.begin()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the session, or reset it where an exception is on its way.

        Raises:
            RemoteMediaError: the session failed while it was finished.
            RemoteMediaTimeoutError: the service took longer than the client's timeout.
        """
        try:
            if exc is None:
                with self._operation:
                    action = self._action("leave")
                    if action is Action.DO:
                        self._begin_to_end(Event.CLOSE, self._timeout_s)
                    if action is not Action.NOTHING:
                        await self._wait_for_end(self._timeout_s, keep_results=False)
                if self.closed is not None and self._responses is not None:
                    # The service is about to end the call by itself.
                    with suppress(CallError, WaitTimeoutError):
                        await wait_at_most(_GOODBYE_S, self._responses.read())
        finally:
            await self._reset(None)

    async def send(self, node_id: str, value: Value) -> None:
        """Send a chunk to a node; wait while the service is behind.

        Args:
            node_id: id of the node in the manifest.
            value: an ``AudioBuffer``; or what else the service's contract carries.

        Raises:
            TypeError, ValueError: the value is not valid, or the contract cannot carry
                it; nothing was sent.
            RemoteMediaError: VALIDATION, if the manifest has no such node;
                RESOURCE_LIMIT, if the chunk is over ``max_send_bytes``; or the session
                takes no more chunks, or it failed.
        """
        with self._operation:
            self._check_loop()
            payload = self._checked(node_id, value)
            while True:
                self._action("send")
                if self._is_call_over:
                    # Why it is over is what the service said last.
                    await self._read_to_end()
                elif self._outbox.put(node_id, payload):
                    return
                else:
                    await self._outbox.wait()

    def try_send(
        self,
        node_id: str,
        value: Value,
        *,
        when_full: Literal["raise", "drop_oldest"] = "raise",
    ) -> None:
        """Send a chunk without waiting, as a live source must; from any thread.

        The callback of an audio device, which runs in a thread of its own, may call it.

        Args:
            node_id: id of the node in the manifest.
            value: as for ``send``.
            when_full: what to do where the service is so far behind that
                ``max_buffered_chunks`` wait already. ``"drop_oldest"`` drops the chunk
                that has waited longest, and counts it in ``chunks_dropped``.

        Raises:
            TypeError, ValueError: the value is not valid, or ``when_full`` is neither
                of the two; nothing was sent.
            RemoteMediaError: RESOURCE_LIMIT, if there is no room or the chunk is over
                ``max_send_bytes``; VALIDATION, if the manifest has no such node; or
                the session takes no more chunks (if it is over, iterate to learn
                why).
        """
        if when_full not in ("raise", "drop_oldest"):
            raise ValueError(
                f"when_full is {when_full!r}; it must be 'raise' or 'drop_oldest'"
            )
        with self._operation:
            payload = self._checked(node_id, value)
            self._action("send")
            if self._is_call_over:
                raise RemoteMediaError("the session is over: iterate to learn why")
            drop_oldest = when_full == "drop_oldest"
            try:
                if self._outbox.put(node_id, payload, drop_oldest=drop_oldest):
                    return
                # The session may have ended in another thread meanwhile.
                self._action("send")
            except RuntimeError as error:
                raise RemoteMediaError(
                    "the session is over: its event loop is closed"
                ) from error
            raise RemoteMediaError(
                "the service is behind: max_buffered_chunks chunks wait to be sent",
                error_type=ErrorType.RESOURCE_LIMIT,
                retryable=True,
            )

    async def half_close(self) -> None:
        """Say that no more audio comes, without waiting for what is still processed.

        Iterate on for the results; the iteration ends after the last one.

        Raises:
            RemoteMediaError: the session is not open yet.
        """
        with self._operation:
            self._check_loop()
            if self._action("half_close") is Action.DO:
                self._begin_to_end(Event.CLOSE)

    async def close(
        self, *, timeout: float | EllipsisType | None = ...
    ) -> StreamClosed | None:
        """Say that no more audio comes, and wait until all of it is processed.

        Results that nobody reads meanwhile are kept, up to 64 MiB: iterate on for them.

        Args:
            timeout: in seconds; None for no limit; by default, the client's.

        Returns:
            The final metrics, and why the session ended; None where the service ended
            the call without saying.

        Raises:
            TypeError, ValueError: the timeout makes no sense; the session goes on.
            RemoteMediaError: the session is not open yet, or failed; RESOURCE_LIMIT, if
                more results came than are kept.
            RemoteMediaTimeoutError: the service took too long. The session goes on
                closing: wait again, or ``cancel``.
        """
        with self._operation:
            self._check_loop()
            timeout_s = self._seconds(timeout)
            action = self._action("close")
            if action is Action.DO:
                self._begin_to_end(Event.CLOSE, timeout_s)
            if action is not Action.NOTHING:
                await self._wait_for_end(timeout_s)
            return self.closed

    async def cancel(
        self, *, timeout: float | EllipsisType | None = ...
    ) -> StreamClosed | None:
        """Tell the service to stop now, and to drop what it did not process.

        What was not sent yet is dropped, and counted in ``chunks_dropped``. Where the
        service was told already that no more audio comes, the call is reset.

        Args:
            timeout: in seconds; None for no limit; by default, the client's.

        Returns:
            As ``close``.

        Raises:
            TypeError, ValueError: the timeout makes no sense; the session goes on.
            RemoteMediaError: the session is not open yet, or failed while waiting.
            RemoteMediaTimeoutError: the service took too long; the call was reset.
        """
        with self._operation:
            self._check_loop()
            timeout_s = self._seconds(timeout)
            action = self._action("cancel")
            if action is Action.DO:
                if self._session.state is not State.OPEN:
                    await self._reset(None)
                    return self.closed
                self._begin_to_end(Event.CANCEL)
            if action is not Action.NOTHING:
                try:
                    await self._wait_for_end(timeout_s)
                except RemoteMediaTimeoutError as error:
                    await self._reset(error)
                    raise
            return self.closed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChunkT_co:
        """The next result.

        Raises:
            StopAsyncIteration: the session is over.
            RemoteMediaError: the session failed, after what came before was delivered;
                or it is not open yet.
        """
        with self._operation:
            if self._loop is not asyncio.get_running_loop():
                self._check_loop()
            while not self._unread:
                if self._session.state is not State.OPEN:
                    self._action("iterate")
                    self._session.raise_failure()
                    if self._session.is_over:
                        raise StopAsyncIteration
                self._iterating += 1
                try:
                    await self._receive()
                finally:
                    self._iterating -= 1
            return self._unread.popleft()

    # -- the states

    def _check_loop(self) -> None:
        """Check that a method is called in the event loop that the stream is in.

        Raises:
            RemoteMediaError: it is not.
        """
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise RemoteMediaError(
                "the stream belongs to another event loop: call its methods there; "
                "only try_send may be called from other threads",
                error_type=ErrorType.VALIDATION,
            )

    def _action(self, method: str) -> Action:
        """What a method does now.

        Raises:
            RemoteMediaError: it is refused, or the session failed.
        """
        state = self._session.phase
        action = ACTIONS[method][state]
        if action is Action.RAISE:
            self._session.raise_failure()
        if action is Action.REFUSE or action is Action.RAISE:
            reason = printable(self.closed.reason) if self.closed else ""
            raise RemoteMediaError(
                why_refused(method, state, reason), error_type=ErrorType.VALIDATION
            )
        return action

    def _checked(self, node_id: str, value: object) -> Payload:
        if self._has_source:
            raise RemoteMediaError(
                "the stream takes its audio from audio_chunks: open one without it to "
                "send chunks yourself",
                error_type=ErrorType.VALIDATION,
            )
        return self._sender.checked(node_id, value, "the chunk")

    @property
    def _is_call_over(self) -> bool:
        return self._responses is None or self._responses.is_over

    def _seconds(self, timeout: float | EllipsisType | None) -> float | None:
        if timeout is ...:
            return self._timeout_s
        check_seconds("timeout", timeout)
        return timeout

    # -- how a session begins and ends

    async def _open_with_retries(self) -> None:
        """Open the call, and again where the service refused it unprocessed.

        After UNAUTHENTICATED it is opened once more if there is a new token.
        """
        on_retry = self._operation.on_retry
        try:
            await REFUSED_ONLY.run(self._open, self._deadline, on_retry)
        except CallError as error:
            if error.status is not Status.UNAUTHENTICATED:
                raise
            if not self._is_token_renewable:
                raise
            await REFUSED_ONLY.run(self._open, self._deadline, on_retry)

    async def _open(self) -> None:
        """Open the call, and read until the service is ready: one attempt."""
        if self._is_reset:
            raise RemoteMediaError(_LEFT)
        self._session = Session()
        # What an earlier attempt has brought.
        self._unread.clear()
        self._loading.clear()
        stub = self._messages.stream_stub._over(self._caller)
        responses: ResponseStream[Any] = stub.stream_pipeline(
            self._sender.requests(self._session),
            deadline=self._deadline,
            metadata=self._metadata,
        )
        self._responses = responses
        try:
            kept_bytes = 0
            while self.ready is None:
                kept_bytes = await self._receive_and_keep(kept_bytes)
                if kept_bytes > MAX_UNREAD_BYTES:
                    raise _too_much_unread("before the session was open")
                if self._session.is_over:
                    raise RemoteMediaError(
                        _LEFT
                        if self._is_reset
                        else "the service ended the call before the session was open"
                    )
        except BaseException:
            await responses.aclose()
            raise

    def _begin_to_end(self, ending: Event, timeout_s: float | None = None) -> None:
        """Have the service told of the end, after the chunks that were accepted.

        Args:
            ending: CLOSE or CANCEL.
            timeout_s: how long the end is waited for; None for no bound.
        """
        self._session.ending = ending
        if timeout_s is not None:
            # The service needs some of it for its last word.
            self._sender.most_settle_s = timeout_s / 2
        if ending is Event.CANCEL:
            self._outbox.close()
        self._sender.stop()

    async def _wait_for_end(
        self, timeout_s: float | None, *, keep_results: bool = True
    ) -> None:
        try:
            await wait_at_most(timeout_s, self._read_to_end(keep_results=keep_results))
        except WaitTimeoutError:
            raise RemoteMediaTimeoutError(
                f"the session was not closed within {timeout_s:g} s"
            ) from None

    async def _read_to_end(self, *, keep_results: bool = True) -> None:
        """Read until the session is over.

        Raises:
            BaseException: the session failed.
        """
        kept_bytes = 0
        while not self._session.is_over:
            if keep_results:
                kept_bytes = await self._receive_and_keep(kept_bytes)
                if kept_bytes > MAX_UNREAD_BYTES:
                    await self._reset(
                        _too_much_unread(
                            "that nobody reads: iterate while the stream closes"
                        )
                    )
            else:
                await self._receive()
                if not self._iterating:
                    self._unread.clear()
        self._session.raise_failure()

    async def _receive_and_keep(self, kept_bytes: int) -> int:
        """Read the next response, where results are kept that nobody reads.

        Args:
            kept_bytes: the size of the results so far; those that were read meanwhile
                may be in it.

        Returns:
            The same with the new one. Over the limit it is exact.
        """
        count = len(self._unread)
        await self._receive()
        if len(self._unread) > count:
            kept_bytes += self._kept_bytes(self._unread[-1])
            if kept_bytes > MAX_UNREAD_BYTES:
                # Others may have read some meanwhile.
                kept_bytes = sum(map(self._kept_bytes, self._unread))
        return kept_bytes

    def _kept_bytes(self, result: ChunkResult) -> int:
        return self._messages.result_bytes(result) + _RESULT_OVERHEAD_BYTES

    async def _reset(self, failure: BaseException | None) -> None:
        """End the session at once; the service sees a reset, unless it was over."""
        outcome = self._outcome(failure)
        self._is_reset = True
        self._end(failure)
        try:
            if self._responses is not None:
                self._responses.stop(outcome)
                await self._responses.aclose()
        finally:
            self._tell(outcome)

    def reset_from_any_thread(self) -> None:
        """End the session at once, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        """End the session at once, without waiting for anything."""
        outcome = self._outcome(None)
        if self._responses is not None:
            self._responses.stop(outcome)
        self._tell(outcome)

    def _outcome(self, failure: BaseException | None) -> BaseException | None:
        """What the session has failed with, if it ends now with `failure`."""
        if self._session.is_over:
            return self._session.failure
        return failure or CallError(Status.CANCELLED, "the session was left")

    def _tell(self, outcome: BaseException | None) -> None:
        """Say how the session ended, to the log and the user's hook."""
        self._operation.end(
            outcome,
            sent_chunks=self.chunks_sent,
            acknowledged_chunks=self.chunks_acknowledged,
            dropped_chunks=self.chunks_dropped,
        )

    def _end(self, failure: BaseException | None) -> None:
        self._session.end(failure)
        if self.ready is not None:
            # Before, there are no chunks, and there may be another attempt.
            self._outbox.close()
        self._sender.wake()

    # -- receiving

    async def _receive(self) -> None:
        """Read the next response and note it; or wait for the task that is reading."""
        if self._is_reading:
            waiter = asyncio.get_running_loop().create_future()
            self._read_waiters.append(waiter)
            await waiter
            return
        assert self._responses is not None  # noqa: S101 - set when it was opened
        self._is_reading = True
        try:
            response = await self._responses.read()
            if response is None:
                self._end(None)
                return
            event, content = self._messages.read(response)
            if event is Event.RESULT:
                sequence = content.sequence
                self._session.server_sends(event, sequence)
                round_trip_s = self._sender.on_result(self._session, sequence)
                if round_trip_s is not None:
                    self.round_trip_ms = round_trip_s * 1000
                    self.chunks_acknowledged += 1
                self._unread.append(content)
                return
            self._session.server_sends(event)
            if event is Event.READY:
                self.ready = content
            elif event is Event.METRICS:
                self.metrics = content
            elif event is Event.LOADING:
                self._loading.append(printable(content))
            elif event is Event.CLOSED:
                self.closed = content
                self._end(None)
            else:
                raise from_response(
                    content, headers=self.headers, trailers=self.trailers
                )
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self._session.state is State.CLOSED:
                # Another task has ended the session meanwhile.
                return
            self._add_advice(error)
            self._end(error)
            self._responses.stop(error)
            raise
        finally:
            self._is_reading = False
            if self._read_waiters:
                self._wake_readers()

    def _add_advice(self, error: BaseException) -> None:
        """Say what the caller may have forgotten, where nothing came any more."""
        if (
            isinstance(error, CallError)
            and error.status is Status.DEADLINE_EXCEEDED
            and not self._has_source
            and self._session.phase is State.OPEN
        ):
            error.message = (
                f"{error.message}; you have not half-closed the session, and the "
                "service may be waiting for more chunks: call half_close() or close() "
                "after the last one"
            )

    def _wake_readers(self) -> None:
        for waiter in self._read_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._read_waiters.clear()


def _too_much_unread(how: str) -> RemoteMediaError:
    return RemoteMediaError(
        f"more than {MAX_UNREAD_BYTES} bytes of results came {how}",
        error_type=ErrorType.RESOURCE_LIMIT,
    )
