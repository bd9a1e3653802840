"""The rules of a streaming session, as a state machine without I/O.

::

    client:  init          chunk chunk …        close or cancel
    server:         ready        result result …                 closed

``TRANSITIONS`` holds every step that is legal. A step that is not in it is refused with
one uniform error that says which side broke the rule. Both ends tell the same machine
of every message they send or receive: the client's stream and the embedded service
run the same rules, and neither sends what the other would refuse. What a message is,
whoever knows its set says.

Two rules are about numbers and stand outside the table. Chunks are numbered 0, 1, 2, ….
Results come in the order of their chunks, none, one or several for each: services skip
chunks, cut them up, and send what a node held back with the number of the last chunk.
Results before the service is ready belong to no chunk.

The machine is also the one owner of the answer to "is the session over, and why?". A
client's wish to end the session is known to it (``ending``) before the message that
says so is sent, since chunks that were accepted go first.
"""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING

from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import ErrorType

if TYPE_CHECKING:
    from types import TracebackType

# Members are strings as well, because hashing those runs no Python code: every message
# of every session is looked up by its state and its event.


class State(str, enum.Enum):
    """The state of a session."""

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
    CHUNK = "chunk"
    CLOSE = "close"
    CANCEL = "cancel"
    LOADING = "loading"
    """How far the service is with loading the pipeline; no result of a chunk."""
    READY = "ready"
    RESULT = "result"
    METRICS = "metrics"
    ERROR = "error"
    CLOSED = "closed"
    NOTHING = "nothing"
    """A message that says none of the above."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.NEW, Event.INIT): State.OPENING,
    (State.NEW, Event.ERROR): State.FAILED,
    (State.OPENING, Event.READY): State.OPEN,
    (State.OPENING, Event.LOADING): State.OPENING,
    (State.OPENING, Event.RESULT): State.OPENING,
    (State.OPENING, Event.ERROR): State.FAILED,
    (State.OPEN, Event.CHUNK): State.OPEN,
    (State.OPEN, Event.RESULT): State.OPEN,
    (State.OPEN, Event.METRICS): State.OPEN,
    (State.OPEN, Event.LOADING): State.OPEN,
    (State.OPEN, Event.CLOSE): State.CLOSING,
    (State.OPEN, Event.CANCEL): State.CANCELLING,
    # The service may end a session by itself, for example when it was idle.
    (State.OPEN, Event.CLOSED): State.CLOSED,
    (State.OPEN, Event.ERROR): State.FAILED,
    (State.CLOSING, Event.RESULT): State.CLOSING,
    (State.CLOSING, Event.METRICS): State.CLOSING,
    (State.CLOSING, Event.LOADING): State.CLOSING,
    (State.CLOSING, Event.CLOSED): State.CLOSED,
    (State.CLOSING, Event.ERROR): State.FAILED,
    # Results that were on their way when the client cancelled.
    (State.CANCELLING, Event.RESULT): State.CANCELLING,
    (State.CANCELLING, Event.METRICS): State.CANCELLING,
    (State.CANCELLING, Event.LOADING): State.CANCELLING,
    (State.CANCELLING, Event.CLOSED): State.CLOSED,
    (State.CANCELLING, Event.ERROR): State.FAILED,
}

_ENDINGS = {Event.CLOSE: State.CLOSING, Event.CANCEL: State.CANCELLING}


class Session:
    """One session, as far as it has come.

    Attributes:
        state: the state, by the messages that were sent and received.
        ending: CLOSE or CANCEL, once the client wants to end the session so.
        failure: why the session failed, where that is known as an exception.
        chunks: number of chunks so far, which is the next chunk's sequence.
        results: number that the next result must have at least. Every chunk below it
            was answered or skipped; the chunk itself may have been answered already.
    """

    def __init__(self) -> None:
        self.state: State = State.NEW
        self.ending: Event | None = None
        self.failure: BaseException | None = None
        self._traceback: TracebackType | None = None
        self.chunks: int = 0
        self.results: int = 0

    @property
    def phase(self) -> State:
        """The state as the client's user sees it: what they decided counts at once."""
        if self.ending is not None and self.state is State.OPEN:
            return _ENDINGS[self.ending]
        return self.state

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be sent or received."""
        return self.state is State.CLOSED or self.state is State.FAILED

    def client_sends(self, event: Event, sequence: int = 0) -> Event:
        """Take a message that the client sends.

        Args:
            event: what the message is.
            sequence: the number of a chunk.

        Raises:
            RemoteMediaError: VALIDATION, if the client may not send it now. The
                session stays as it was.
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

    def server_sends(self, event: Event, sequence: int = 0) -> Event:
        """Take a message that the server sends.

        Args:
            event: what the message is.
            sequence: the number of a result's chunk.

        Raises:
            RemoteMediaError: INTERNAL, if the server may not send it now. The session
                stays as it was.
        """
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise self._refusal("server", event)
        if event is Event.RESULT:
            if self.state is State.OPENING:
                pass
            elif not self.results <= sequence < self.chunks:
                raise self._refusal(
                    "server",
                    event,
                    f"a result for chunk {sequence}, where {self.chunks} chunks "
                    f"were sent and results up to {self.results} were received",
                )
            else:
                self.results = sequence
        self.state = after
        return event

    def end(self, failure: BaseException | None = None) -> None:
        """The call that carries the session is over; nothing changes if it was known.

        Args:
            failure: why, unless the call went well.
        """
        if not self.is_over:
            self.state = State.CLOSED if failure is None else State.FAILED
        if self.state is State.FAILED and self.failure is None and failure is not None:
            self.failure = failure
            self._traceback = failure.__traceback__

    def raise_failure(self) -> None:
        """Raise what the session failed with, if it is known.

        Its traceback is as it was at first: the frames of those who ask again and again
        would pile up in it.
        """
        if self.failure is not None:
            raise self.failure.with_traceback(self._traceback)

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
