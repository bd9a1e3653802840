"""A stream of responses whose call is made inside interceptors.

The interceptors run in a task of the stream's. The innermost ``next`` opens the call,
and then waits until its end is known. The reader takes the responses from the open call
directly, so a message costs nothing more. When the call has ended, the reader tells
``next`` how, waits for the interceptors, and raises what they raise.

An open call has bounds of its own. While none is open, the interceptors are bounded by
the deadline and the idle timeout of the stream, and once it was left by ``GRACE_S``.

An interceptor may call ``next`` again if that cannot repeat anything: the call has a
single request, no response was delivered, and no attempt is open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic

from grpclib.const import Status

from remotemedia.grpc.call import Call, ResponseT
from remotemedia.grpc.interceptors import (
    CallDetails,
    Interceptor,
    NotRepeatableError,
    around,
)
from remotemedia.grpc.metadata import NO_METADATA, Metadata
from remotemedia.grpc.status import CallError

_log = logging.getLogger("remotemedia.calls")

GRACE_S = 5.0
"""How long interceptors may take to finish after the call has ended."""


class InterceptedCall(Generic[ResponseT]):
    """A call with a stream of responses, with the methods that its reader uses.

    Args:
        details: the call, as the first interceptor sees it.
        interceptors: they run around it.
        open_call: makes an attempt.
        idle_timeout: how long the interceptors may take while no attempt is open, in
            seconds; None for no other bound than the deadline.
    """

    def __init__(
        self,
        details: CallDetails,
        interceptors: Iterable[Interceptor],
        open_call: Callable[[CallDetails], Call[Any, ResponseT]],
        idle_timeout: float | None = None,
    ) -> None:
        self._details = details
        self._interceptors = interceptors
        self._open_call = open_call
        self._idle_timeout_s = idle_timeout
        self._task: asyncio.Task[object] | None = None
        # The attempt that is open, what its `next` waits for, and the attempt that was
        # opened last.
        self._call: Call[Any, ResponseT] | None = None
        self._latest: Call[Any, ResponseT] | None = None
        self._end: asyncio.Future[None] | None = None
        self._is_repeatable = True
        # Set when a call was opened, and when the interceptors are done.
        self._has_changed = asyncio.Event()
        self._is_left = False
        # Runs while no attempt is open; what is raised after it has fired.
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: CallError | None = None

    @property
    def is_over(self) -> bool:
        """Whether the call has ended; what arrived may still be read."""
        call, task = self._call, self._task
        if call is not None:
            return call.is_over
        return self._is_left or (task is not None and task.done())

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty if none arrived yet."""
        return NO_METADATA if self._latest is None else self._latest.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers; empty if none arrived yet."""
        return NO_METADATA if self._latest is None else self._latest.trailers

    async def read(self) -> ResponseT | None:
        """The next response, or None after the last; it can be cancelled and repeated.

        Raises:
            CallError: DEADLINE_EXCEEDED, if the interceptors take too long.
            BaseException: what the interceptors raise: in most cases a ``CallError``,
                which the call failed with.
        """
        if self._task is None:
            if self._is_left:
                return None
            self._start()
        while True:
            call = self._call
            if call is None:
                if self._is_left:
                    return None
                if self._overdue is not None:
                    raise self._overdue
                task = self._task
                assert task is not None  # noqa: S101 - set above
                if task.cancelled():
                    # By an interceptor; this reader was not cancelled.
                    raise _cancelled()
                if task.done():
                    # It raises what the interceptors raised.
                    task.result()
                    return None
                await self._has_changed.wait()
                self._has_changed.clear()
                continue
            try:
                response = await call.read()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - the interceptors raise it
                # First of all, as the reader may be cancelled while the call closes.
                self._settle(call, error)
            else:
                if response is not None:
                    self._is_repeatable = False
                    return response
                self._settle(call, None)
            await call.close()

    def stop(self, reason: BaseException | None = None) -> None:
        """End everything; the interceptors see `reason`, or that it was cancelled."""
        if self._call is not None:
            error = self._call.failure() if self._call.is_over else reason
            is_complete = self._call.is_over and error is None and reason is None
            self._call.stop(reason)
            self._settle(
                self._call, None if is_complete else error or reason or _cancelled()
            )
        elif self._task is not None and self._latest is None:
            # Nothing was opened yet. After the end, interceptors may finish.
            self._task.cancel()
        if self._task is not None and not self._is_left:
            self._give_interceptors(GRACE_S)
        self._is_left = True
        self._has_changed.set()

    def stop_from_any_thread(self) -> None:
        """End everything, from any thread, as garbage may be collected in any."""
        if self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    async def close(self) -> None:
        """End everything, and wait for the interceptors and the caller's iterable."""
        self.stop()
        if self._latest is not None:
            await self._latest.close()
        if self._task is not None and not self._task.done():
            # They are cancelled after that time.
            await asyncio.wait({self._task}, timeout=GRACE_S)

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        outermost = around(self._interceptors, self._make_call)

        async def run() -> object:
            return await outermost(self._details)

        self._task = self._loop.create_task(run())
        self._task.add_done_callback(self._on_done)
        self._bound_interceptors()

    async def _make_call(self, details: CallDetails) -> object:
        """What the innermost ``next`` does: open the call, and wait for its end.

        Raises:
            BaseException: the call failed.
            NotRepeatableError: it cannot be made again.
        """
        if self._is_left:
            raise _cancelled()
        if self._call is not None:
            raise NotRepeatableError("next was called again while the stream is open")
        if not self._is_repeatable:
            raise NotRepeatableError(
                "next was called again, but the stream has begun and cannot be repeated"
            )
        if details.request is None:
            self._is_repeatable = False
        call = self._call = self._latest = self._open_call(details)
        end = self._end = self._loop.create_future()
        self._stop_timer()
        self._has_changed.set()
        try:
            await end
        except asyncio.CancelledError:
            # An interceptor has cancelled it.
            call.stop()
            self._settle(call, _cancelled())
            raise
        return None

    def _settle(self, call: Call[Any, ResponseT], error: BaseException | None) -> None:
        """Tell `next` how the call ended, unless it has given the call up."""
        if call is not self._call:
            return
        self._call = None
        self._bound_interceptors()
        end, self._end = self._end, None
        if end is not None and not end.done():
            if error is None:
                end.set_result(None)
            else:
                end.set_exception(error)
                # There may be nobody who waits for it.
                end.exception()

    # -- the bounds of interceptors while no attempt is open

    def _bound_interceptors(self) -> None:
        if self._is_left:
            # They have the time that `stop` gave them.
            return
        deadline = self._details.deadline
        bounds = [] if self._idle_timeout_s is None else [self._idle_timeout_s]
        if deadline is not None:
            bounds.append(deadline.time_remaining() + GRACE_S)
        if bounds:
            self._give_interceptors(min(bounds))

    def _give_interceptors(self, seconds: float) -> None:
        self._stop_timer()
        if self._task is not None and not self._task.done():
            self._timer = self._loop.call_later(seconds, self._on_overdue)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_overdue(self) -> None:
        self._overdue = CallError(
            Status.DEADLINE_EXCEEDED,
            "the interceptors were not done before the deadline of the call, or its "
            "idle timeout",
        )
        if self._task is not None:
            self._task.cancel()
        self._has_changed.set()

    def _on_done(self, task: asyncio.Task[object]) -> None:
        self._stop_timer()
        self._has_changed.set()
        if task.cancelled():
            return
        # Retrieve the exception, or the event loop would log that nobody did.
        error = task.exception()
        if self._call is not None:
            # An interceptor gave up waiting, and left the call open.
            self._call.stop()
            self._settle(self._call, None)
        if error is not None and self._is_left and not isinstance(error, CallError):
            _log.warning("an interceptor failed after its stream", exc_info=error)


def _cancelled() -> CallError:
    return CallError(Status.CANCELLED, "the call was cancelled here")
