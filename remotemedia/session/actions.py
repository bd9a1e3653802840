"""What each method of a stream does in each state of its session, as a table.

What is refused is refused with one text for each state, which says what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from remotemedia.session.machine import State


class Action(enum.Enum):
    """What a method does in a state."""

    DO = "does its work"
    WAIT = "waits for the end that was begun"
    NOTHING = "returns at once"
    RAISE = "raises the failure"
    REFUSE = "is refused"


_DO, _WAIT, _NOTHING = Action.DO, Action.WAIT, Action.NOTHING
_RAISE, _REFUSE = Action.RAISE, Action.REFUSE

_STATES = (
    *(State.NEW, State.OPENING, State.OPEN),
    *(State.CLOSING, State.CANCELLING, State.CLOSED, State.FAILED),
)
ACTIONS: Mapping[str, Mapping[State, Action]] = {
    method: dict(zip(_STATES, actions, strict=True))
    for method, actions in {
        # new, opening, open, closing, cancelling, closed, failed
        "enter": (_DO, *(_REFUSE,) * 6),
        "send": (_REFUSE, _REFUSE, _DO, _REFUSE, _REFUSE, _REFUSE, _RAISE),
        "iterate": (_REFUSE, _REFUSE, _DO, _DO, _DO, _DO, _DO),
        "half_close": (_REFUSE, _REFUSE, _DO, *(_NOTHING,) * 4),
        "close": (_REFUSE, _REFUSE, _DO, _WAIT, _WAIT, _NOTHING, _RAISE),
        "cancel": (_REFUSE, _REFUSE, _DO, _DO, _WAIT, _NOTHING, _NOTHING),
        "leave": (_NOTHING, _NOTHING, _DO, _WAIT, _WAIT, _NOTHING, _NOTHING),
    }.items()
}
"""What each method of a stream does in each state of its session."""


def why_refused(method: str, state: State, reason: str) -> str:
    """Say why a method is refused.

    Args:
        method: the method, as ``ACTIONS`` has it.
        state: the state of the session.
        reason: why the service ended the session, or "".
    """
    if state is State.CLOSED or state is State.FAILED:
        because = f": {reason}" if reason else ""
        return f"the session is over{because}; open another one"
    if state is State.NEW or state is State.OPENING:
        return (
            "the stream is not open: use client.open_stream(…) as a context manager "
            "(`async with`, or `with` of remotemedia.blocking)"
        )
    if method == "enter":
        return "the stream was entered already: open another one"
    ended = "cancelled" if state is State.CANCELLING else "closed"
    return f"the stream was {ended} by you, and takes nothing more: open another one"
