"""After every fault test, no task, no socket and no unhandled error may be left."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.tools import OPEN_FILES

# Seconds; far above what a test takes.
_GUARD_S = 15.0


@pytest.fixture(scope="session", autouse=True)
def _settled_heap() -> Iterator[None]:
    """Exempt imported objects from collection, which runs after every test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest_asyncio.fixture(autouse=True)
async def nothing_left(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Check that a test left no task, no socket and no unhandled error."""
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: reported.append(context))
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    before = _sockets()

    def hung() -> None:
        reported.append("the test hung")
        for task in asyncio.all_tasks():
            task.cancel()

    # pytest-timeout sends a signal, which does not interrupt uvloop.
    guard = loop.call_later(_GUARD_S, hung)
    yield
    guard.cancel()
    gc.collect()
    for _ in range(100):
        if not _tasks() and _sockets() <= before:
            break
        # Peers and servers close their sockets in the next iterations of the loop.
        await asyncio.sleep(0.01)
    assert _tasks() == set()
    assert _sockets() - before == set()
    assert reported == []


def _tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def _sockets() -> set[str]:
    """Return the connected or bound sockets of this process. Empty except on Linux."""
    found = set()
    for entry in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        with suppress(OSError):  # It was closed after it was listed.
            name = str(entry.readlink())
            if name.startswith("socket:") and _leads_somewhere(int(entry.name)):
                found.add(name)
    return found


def _leads_somewhere(number: int) -> bool:
    """Tell a socket from those of an event loop itself, which have no addresses."""
    with socket.socket(fileno=os.dup(number)) as copy:
        if copy.family != socket.AF_UNIX:
            return True
        try:
            return bool(copy.getsockname() or copy.getpeername())
        except OSError:
            return False
