"""The event loop in the background that all blocking clients of a process share.

It runs in a daemon thread, which starts with the first call. When the interpreter
exits, what is still under way is cancelled and the thread ends. A process that was
forked starts a loop of its own, since threads do not survive a fork.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

# At the interpreter's exit, calls have this long to end. The thread has longer, as what
# calls leave behind is cancelled after them.
_CALLS_GRACE_S = 1.5
_EXIT_GRACE_S = 3.0


class _Background:
    """The loop and its thread; there is one such object for each process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, name="remotemedia-loop", daemon=True
        )
        self._thread.start()
        # What is under way, and which of it has been told to end.
        self._calls: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._ending: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def _run(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except SystemExit:
                # Raised in a task, as by a token function. Whoever waits for the task
                # gets it, and for that the loop has to go on.
                continue
            return

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "a blocking client was called by an asynchronous iterable or callback, "
                "on the client's own event loop, which would wait for itself: use the "
                "asynchronous client there"
            )
        result: Future[T] = Future()
        try:
            self._loop.call_soon_threadsafe(self._begin, coroutine, result)
            return result.result()
        finally:
            # Nothing is left to cancel, unless waiting was interrupted. (An interrupt
            # within asyncio.run_coroutine_threadsafe would leave the call running.)
            result.cancel()

    def _begin(self, coroutine: Coroutine[Any, Any, T], result: Future[T]) -> None:
        task = self.begin(coroutine)

        def hand_over(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                result.cancel()
            elif result.set_running_or_notify_cancel():
                if error := task.exception():
                    result.set_exception(error)
                else:
                    result.set_result(task.result())

        def cancel(result: Future[T]) -> None:
            if result.cancelled():
                self._loop.call_soon_threadsafe(self.end, task)

        task.add_done_callback(hand_over)
        result.add_done_callback(cancel)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in a task, from the loop's thread."""
        task = self._loop.create_task(coroutine)
        self._calls.add(task)
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task, but once only: a second time would cut off its cleaning up."""
        if task not in self._ending:
            self._ending.add(task)
            task.cancel()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(_EXIT_GRACE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        calls = {task for task in self._calls if not task.done()}
        for task in calls:
            self.end(task)
        if calls:
            await asyncio.wait(calls, timeout=_CALLS_GRACE_S)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop.stop()


_background: _Background | None = None
_lock = threading.Lock()


def _start() -> _Background:
    global _background
    with _lock:
        if _background is None:
            _background = _Background()
        return _background


def _stop() -> None:
    global _background
    with _lock:
        background, _background = _background, None
    if background is not None:
        background.stop()


def _forget() -> None:
    # In a forked process the thread does not exist, and the lock may be held for ever.
    global _background, _lock
    _background, _lock = None, threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop, and wait for its result.

    If waiting is interrupted, as by Ctrl-C, the coroutine is cancelled.

    Raises:
        RuntimeError: the caller runs on the background loop itself.
        BaseException: what the coroutine raised.
    """
    return _start().wait_for(coroutine)


def begin(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run a coroutine in a task, from a coroutine that is on the background loop.

    ``end`` ends it, and so does the interpreter's exit.
    """
    return _start().begin(coroutine)


def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task that ``begin`` made, unless it is ending already."""
    _start().end(task)
