"""The rules of a streaming session, as a state machine without I/O.

::

    client:  init          chunk chunk …        close or cancel
    server:         ready        result result …                 closed

``TRANSITIONS`` holds every step that is legal. What is not in it is refused
with one uniform error that says which side broke the rule. Both ends feed the
same machine with every message they send or receive: the client's stream and
the embedded service run the same rules, and neither sends what the other would
refuse.

Two rules are about numbers and stand outside the table: chunks are numbered
0, 1, 2, …, and results come in the order of their chunks, each at most once.
"""

from __future__ import annotations

import enum
import json

import betterproto

from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import (
    ErrorType,
    StreamControlCommand,
    StreamRequest,
    StreamResponse,
)

# Members are strings too, since hashing those costs no Python code: every message of
# every session is looked up by its state and its event.


class State(str, enum.Enum):
    """Where a session stands."""

    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CANCELLING = "cancelling"
    CLOSED = "closed"
    FAILED = "failed"


class Event(str, enum.Enum):
    """What moves a session: the messages that either side sends."""

    INIT = "init"
    CHUNK = "audio_chunk"
    CLOSE = "close"
    CANCEL = "cancel"
    READY = "ready"
    RESULT = "result"
    METRICS = "metrics"
    ERROR = "error"
    CLOSED = "closed"
    NOTHING = "nothing"
    """A message with none of its fields set, or a control without a command."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.NEW, Event.INIT): State.OPENING,
    (State.NEW, Event.ERROR): State.FAILED,
    (State.OPENING, Event.READY): State.OPEN,
    (State.OPENING, Event.ERROR): State.FAILED,
    (State.OPEN, Event.CHUNK): State.OPEN,
    (State.OPEN, Event.RESULT): State.OPEN,
    (State.OPEN, Event.METRICS): State.OPEN,
    (State.OPEN, Event.CLOSE): State.CLOSING,
    (State.OPEN, Event.CANCEL): State.CANCELLING,
    # The service may end a session by itself, for example when it was idle.
    (State.OPEN, Event.CLOSED): State.CLOSED,
    (State.OPEN, Event.ERROR): State.FAILED,
    (State.CLOSING, Event.RESULT): State.CLOSING,
    (State.CLOSING, Event.METRICS): State.CLOSING,
    (State.CLOSING, Event.CLOSED): State.CLOSED,
    (State.CLOSING, Event.ERROR): State.FAILED,
    # Results that were on their way when the client cancelled.
    (State.CANCELLING, Event.RESULT): State.CANCELLING,
    (State.CANCELLING, Event.METRICS): State.CANCELLING,
    (State.CANCELLING, Event.CLOSED): State.CLOSED,
    (State.CANCELLING, Event.ERROR): State.FAILED,
}

_EVENT_OF_FIELD = {event.value: event for event in Event}
_EVENT_OF_COMMAND = {
    StreamControlCommand.COMMAND_CLOSE: Event.CLOSE,
    StreamControlCommand.COMMAND_CANCEL: Event.CANCEL,
}


class Session:
    """One session, as far as it has come.

    Attributes:
        state: where the session stands.
        chunks: number of chunks so far, which is the next chunk's sequence.
        results: number that the next result must have at least; every chunk
            below it has been answered or passed over.
    """

    def __init__(self) -> None:
        self.state: State = State.NEW
        self.chunks: int = 0
        self.results: int = 0

    def request(self, message: StreamRequest) -> Event:
        """Take a message that the client sends.

        Raises:
            RemoteMediaError: VALIDATION, if the client may not send it now. The
                session stays as it was.
        """
        field, _ = betterproto.which_one_of(message, "request")
        if field == "control":
            event = _EVENT_OF_COMMAND.get(message.control.command, Event.NOTHING)
        else:
            event = _EVENT_OF_FIELD.get(field, Event.NOTHING)
        return self.client_sends(
            event, message.audio_chunk.sequence if event is Event.CHUNK else 0
        )

    def client_sends(self, event: Event, sequence: int = 0) -> Event:
        """Take a message of the client's whose kind is known; as ``request``.

        Args:
            event: what the message is.
            sequence: the number of a chunk.
        """
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise self._refusal("client", event)
        if event is Event.CHUNK:
            if sequence != self.chunks:
                raise self._refusal(
                    "client",
                    event,
                    f"chunk number {sequence} where {self.chunks} is next",
                )
            self.chunks += 1
        self.state = after
        return event

    def response(self, message: StreamResponse) -> Event:
        """Take a message that the server sends.

        Raises:
            RemoteMediaError: INTERNAL, if the server may not send it now. The
                session stays as it was.
        """
        field, _ = betterproto.which_one_of(message, "response")
        event = _EVENT_OF_FIELD.get(field, Event.NOTHING)
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise self._refusal("server", event)
        if event is Event.RESULT:
            sequence = message.result.sequence
            if not self.results <= sequence < self.chunks:
                raise self._refusal(
                    "server",
                    event,
                    f"a result for chunk {sequence}, where {self.chunks} chunks "
                    f"were sent and the results below {self.results} are in",
                )
            self.results = sequence + 1
        self.state = after
        return event

    def _refusal(self, side: str, event: Event, what: str = "") -> RemoteMediaError:
        what = what or f"'{event.value}'"
        return RemoteMediaError(
            f"the {side} broke the session's rules: it sent {what} while the session "
            f"was {self.state.value}",
            error_type=(
                ErrorType.VALIDATION if side == "client" else ErrorType.INTERNAL
            ),
            context=json.dumps(
                {"side": side, "event": event.value, "state": self.state.value}
            ),
        )
