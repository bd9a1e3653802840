"""The background loop: interrupted calls, threads, forks and the interpreter's exit."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

from remotemedia.blocking.loop import begin, end, wait_for


def run(program: str) -> str:
    """Run a program in a process of its own, and return what it printed."""
    # A process in the background inherits that SIGINT is ignored.
    prologue = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", prologue + dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_result_and_the_exception_come_out() -> None:
    async def add(left: int, right: int) -> int:
        await asyncio.sleep(0)
        return left // right

    assert wait_for(add(6, 3)) == 2
    with pytest.raises(ZeroDivisionError):
        wait_for(add(1, 0))


def test_all_calls_share_a_daemon_thread() -> None:
    async def thread() -> threading.Thread:
        return threading.current_thread()

    first, second = wait_for(thread()), wait_for(thread())
    assert first is second
    assert first.daemon
    assert first is not threading.current_thread()


def test_the_context_of_the_caller_is_kept() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    async def get() -> str:
        return variable.get()

    assert wait_for(get()) == "mine"


def test_a_call_on_the_loop_itself_is_refused() -> None:
    async def inner() -> None:
        raise AssertionError("never runs")

    async def outer() -> None:
        wait_for(inner())

    with pytest.raises(RuntimeError, match="own event loop"):
        wait_for(outer())


def test_an_interrupted_call_is_cancelled_at_once() -> None:
    printed = run(
        """
        import asyncio, os, signal, threading
        from remotemedia.blocking.loop import wait_for

        begun, cancelled = threading.Event(), threading.Event()

        async def forever():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        def interrupt():
            begun.wait()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            wait_for(forever())
        except KeyboardInterrupt:
            print("interrupted", cancelled.wait(30))
        """
    )
    assert printed == "interrupted True\n"


def test_what_is_under_way_at_the_exit_is_cancelled() -> None:
    printed = run(
        """
        import asyncio, threading
        from remotemedia.blocking.loop import wait_for

        begun = threading.Event()

        async def forever():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                print("cancelled")

        def call():
            try:
                wait_for(forever())
            except BaseException:
                pass

        threading.Thread(target=call, daemon=True).start()
        begun.wait()
        """
    )
    assert printed == "cancelled\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_starts_a_loop_of_its_own() -> None:
    printed = run(
        """
        import os, threading, warnings
        from remotemedia.blocking.loop import wait_for

        warnings.simplefilter("ignore")  # newer Pythons warn of threads at a fork

        async def pid():
            return os.getpid()

        parent = wait_for(pid())
        child = os.fork()
        if not child:
            os._exit(0 if wait_for(pid()) == os.getpid() != parent else 1)
        print(os.waitpid(child, 0)[1], wait_for(pid()) == parent)
        """
    )
    assert printed == "0 True\n"


def test_an_interrupted_program_closes_its_generator_at_the_exit() -> None:
    printed = run(
        """
        import os, signal, time
        from remotemedia import AudioBuffer, AudioFormat
        from remotemedia.blocking import RemoteMediaClient
        from remotemedia.testing import LocalService

        MANIFEST = {
            "version": "v1",
            "metadata": {"name": "interrupted"},
            "nodes": [{"id": "src", "node_type": "PassThrough"}],
        }
        buffer = AudioBuffer(
            samples=bytes(320), sample_rate=16_000, channels=1, format=AudioFormat.I16
        )

        def microphone():
            try:
                while True:
                    yield "src", buffer
                    time.sleep(0.05)
            finally:
                print("closed", flush=True)

        with LocalService() as service, RemoteMediaClient(service.address) as client:
            try:
                for result in client.stream_pipeline(MANIFEST, microphone()):
                    if result.sequence == 2:
                        os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
    )
    assert sorted(printed.split()) == ["closed", "interrupted"]


def test_a_task_is_ended_once_only() -> None:
    cleaned_up = threading.Event()

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.set()

    async def end_twice() -> None:
        task = begin(call())
        await asyncio.sleep(0)
        end(task)
        await asyncio.sleep(0)
        end(task)
        await asyncio.wait({task})

    wait_for(end_twice())
    assert cleaned_up.is_set()
