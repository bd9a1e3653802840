"""The session machine: every legal path, every illegal event, both ends."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia import RemoteMediaError
from remotemedia.session.machine import TRANSITIONS, Event, Session, State
from remotemedia.v1 import (
    ErrorType,
)

REQUESTS = {"init", "chunk", "close", "cancel"}
RESPONSES = {"loading", "ready", "result", "metrics", "error", "closed"}

# What leads to a state, and what is legal in it; written from the contract and
# not from the table under test.
PATHS = {
    State.NEW: [],
    State.OPENING: ["init"],
    State.OPEN: ["init", "ready", "chunk", "chunk"],
    State.CLOSING: ["init", "ready", "chunk", "chunk", "close"],
    State.CANCELLING: ["init", "ready", "chunk", "chunk", "cancel"],
    State.CLOSED: ["init", "ready", "close", "closed"],
    State.FAILED: ["init", "error"],
}
LEGAL = {
    State.NEW: {"init": State.OPENING, "error": State.FAILED},
    State.OPENING: {
        "ready": State.OPEN,
        "loading": State.OPENING,
        # Services report the progress of loading so.
        "result": State.OPENING,
        "error": State.FAILED,
    },
    State.OPEN: {
        "chunk": State.OPEN,
        "result": State.OPEN,
        "metrics": State.OPEN,
        "loading": State.OPEN,
        "close": State.CLOSING,
        "cancel": State.CANCELLING,
        "closed": State.CLOSED,
        "error": State.FAILED,
    },
    State.CLOSING: {
        "result": State.CLOSING,
        "metrics": State.CLOSING,
        "loading": State.CLOSING,
        "closed": State.CLOSED,
        "error": State.FAILED,
    },
    State.CANCELLING: {
        "result": State.CANCELLING,
        "metrics": State.CANCELLING,
        "loading": State.CANCELLING,
        "closed": State.CLOSED,
        "error": State.FAILED,
    },
    State.CLOSED: {},
    State.FAILED: {},
}
EVENTS = sorted(REQUESTS | RESPONSES)


def send(session: Session, event: str, sequence: int | None = None) -> Event:
    """Tell an event; a chunk and a result get the next number."""
    if event in REQUESTS:
        number = session.chunks if sequence is None else sequence
        return session.client_sends(Event(event), number)
    number = session.results if sequence is None else sequence
    return session.server_sends(Event(event), number)


def session_in(state: State) -> Session:
    session = Session()
    for event in PATHS[state]:
        send(session, event)
    assert session.state is state
    return session


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_in_every_state(state: State, event: str) -> None:
    session = session_in(state)
    before = vars(session).copy()
    after = LEGAL[state].get(event)
    if after is not None:
        assert send(session, event) is Event(event)
        assert session.state is after
        return
    side = "client" if event in REQUESTS else "server"
    with pytest.raises(RemoteMediaError) as caught:
        send(session, event)
    assert str(caught.value) == (
        f"the {side} broke the session's rules: it sent '{event}' while the session "
        f"was {state.value}"
    )
    assert caught.value.error_type is (
        ErrorType.VALIDATION if side == "client" else ErrorType.INTERNAL
    )
    assert json.loads(caught.value.context) == {
        "side": side,
        "event": event,
        "state": state.value,
    }
    assert vars(session) == before


def test_the_table_says_no_more_than_this_file() -> None:
    assert {
        (state, Event(event)): after
        for state, legal in LEGAL.items()
        for event, after in legal.items()
    } == TRANSITIONS


@pytest.mark.parametrize("state", State)
def test_a_message_with_nothing_in_it(state: State) -> None:
    with pytest.raises(RemoteMediaError, match=r"the client broke .* 'nothing'"):
        session_in(state).client_sends(Event.NOTHING)
    with pytest.raises(RemoteMediaError, match=r"the server broke .* 'nothing'"):
        session_in(state).server_sends(Event.NOTHING)


@pytest.mark.parametrize("sequence", [0, 1, 3, 2**64 - 1])
def test_chunks_are_numbered_by_one(sequence: int) -> None:
    session = session_in(State.OPEN)
    with pytest.raises(
        RemoteMediaError, match=rf"chunk number {sequence} where 2 is next"
    ):
        send(session, "chunk", sequence)
    assert session.chunks == 2
    send(session, "chunk", 2)


def test_results_do_not_go_back() -> None:
    session = session_in(State.OPEN)
    send(session, "result", 1)
    with pytest.raises(RemoteMediaError, match="a result for chunk 0"):
        send(session, "result", 0)
    assert session.results == 1


@pytest.mark.parametrize("state", [State.OPEN, State.CLOSING, State.CANCELLING])
def test_a_chunk_may_have_several_results(state: State) -> None:
    session = session_in(state)
    for sequence in (0, 0, 1, 1):
        assert send(session, "result", sequence) is Event.RESULT
        assert session.results == sequence


@pytest.mark.parametrize("sequence", [0, 7])
def test_results_before_the_service_is_ready_belong_to_no_chunk(sequence: int) -> None:
    session = session_in(State.OPENING)
    send(session, "result", sequence)
    assert (session.state, session.results) == (State.OPENING, 0)


def test_a_result_for_a_chunk_that_was_not_sent() -> None:
    session = session_in(State.OPEN)
    with pytest.raises(RemoteMediaError, match="the server broke") as caught:
        send(session, "result", 2)
    assert caught.value.error_type is ErrorType.INTERNAL


def test_a_chunk_may_be_skipped() -> None:
    session = session_in(State.CLOSING)
    send(session, "result", 1)
    assert session.results == 1


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("ending", [None, Event.CLOSE, Event.CANCEL])
def test_what_the_user_decided_counts_at_once(
    state: State, ending: Event | None
) -> None:
    session = session_in(state)
    session.ending = ending
    decided = {Event.CLOSE: State.CLOSING, Event.CANCEL: State.CANCELLING}
    expected = decided.get(ending, state) if ending and state is State.OPEN else state
    assert session.phase is expected
    assert session.state is state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("failure", [None, LookupError("why")])
def test_the_call_ends(state: State, failure: Exception | None) -> None:
    session = session_in(state)
    was_over = session.is_over
    assert was_over == (state in (State.CLOSED, State.FAILED))
    session.end(failure)
    assert session.is_over
    if was_over:
        assert session.state is state
        # Why the session failed may become known after that it did.
        assert session.failure is (failure if state is State.FAILED else None)
    else:
        assert session.state is (State.FAILED if failure else State.CLOSED)
        assert session.failure is failure
    session.end(KeyError("later"))
    if failure is not None and state is not State.CLOSED:
        assert session.failure is failure


def outcome(session: Session, event: str) -> str:
    try:
        return str(send(session, event))
    except RemoteMediaError as error:
        return str(error)


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_both_ends_agree(events: list[str]) -> None:
    """Two machines that see the same messages are always in the same place."""
    client, server = Session(), Session()
    for event in events:
        assert outcome(client, event) == outcome(server, event)
    assert vars(client) == vars(server)
