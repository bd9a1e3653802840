"""The table of methods and states: complete, and refusals that say what to do."""

from __future__ import annotations

import pytest

from remotemedia.session.actions import ACTIONS, Action, why_refused
from remotemedia.session.machine import State


def test_every_method_has_a_row_with_every_state() -> None:
    assert set(ACTIONS) == {
        *("enter", "send", "iterate", "half_close", "close", "cancel", "leave"),
    }
    for row in ACTIONS.values():
        assert set(row) == set(State)


def test_nothing_but_entering_and_leaving_happens_before_it_is_open() -> None:
    for state in (State.NEW, State.OPENING):
        for method in set(ACTIONS) - {"enter", "leave"}:
            assert ACTIONS[method][state] is Action.REFUSE
    assert ACTIONS["enter"][State.NEW] is Action.DO
    assert ACTIONS["enter"][State.OPENING] is Action.REFUSE


def test_only_an_open_session_takes_chunks() -> None:
    takes = [s for s, action in ACTIONS["send"].items() if action is Action.DO]
    assert takes == [State.OPEN]


@pytest.mark.parametrize(
    ("method", "state", "reason", "text"),
    [
        ("send", State.NEW, "", "use client.open_stream(…) as a context manager"),
        (
            "iterate",
            State.OPENING,
            "",
            "use client.open_stream(…) as a context manager",
        ),
        ("enter", State.OPEN, "", "entered already: open another one"),
        (
            "send",
            State.CLOSING,
            "",
            "closed by you, and takes nothing more: open another",
        ),
        (
            "send",
            State.CANCELLING,
            "",
            "cancelled by you, and takes nothing more: open another",
        ),
        ("send", State.CLOSED, "", "the session is over; open another one"),
        ("send", State.CLOSED, "idle", "the session is over: idle; open another one"),
        ("enter", State.FAILED, "", "the session is over; open another one"),
    ],
)
def test_a_refusal_says_what_to_do(
    method: str, state: State, reason: str, text: str
) -> None:
    assert text in why_refused(method, state, reason)
