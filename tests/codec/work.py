"""Measures work by counting lines and calls, which does not depend on the machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from _typeshed import TraceFunction


def lines_run(action: Callable[[], object]) -> int:
    """Count the lines of Python that an action executes."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> TraceFunction:
        del frame, argument
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return lines


def calls_made(action: Callable[[], object]) -> int:
    """Count the calls of Python and C functions that an action makes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        del frame, argument
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
