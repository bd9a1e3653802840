"""What a session needs of a set of messages: the seam between its rules and the wire.

There are two sets that services speak. The rules of a session are the same for both,
and everything in this package speaks of events and of what a user sees. An object with
these methods turns that into the messages of one set, and back.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from remotemedia.session.machine import Event

Payload: TypeAlias = "tuple[Any, int, float | None]"
"""A value that was checked, as its message has it; its size in bytes; and its length in
seconds, None where it has none."""


class StreamMessages(Protocol):
    """One set of messages, as sessions use it."""

    @property
    def stream_stub(self) -> Any:
        """The class of the stub that opens sessions."""
        ...

    @property
    def settle_s(self) -> float:
        """How long to wait for outstanding results before the service is told to close.

        It counts from the last result. Zero where the service finishes what it has.
        """
        ...

    def payload(self, value: object, where: str) -> Payload:
        """Check what a user sends to a node.

        Args:
            value: what they gave.
            where: what it is, for the error.

        Raises:
            TypeError: the set cannot carry it.
            ValueError: it is not valid.
        """
        ...

    def chunk_request(
        self, node_id: str, content: Any, sequence: int, timestamp_ms: int
    ) -> Any:
        """The request that sends a chunk, whose content is that of a payload."""
        ...

    def control_request(self, ending: Event) -> Any:
        """The request that ends the session: CLOSE or CANCEL."""
        ...

    def read(self, response: Any) -> tuple[Event, Any]:
        """What a response is, and what is in it, as a user sees it.

        That is a ``StreamReady``, an object with a ``sequence`` for a result, a
        ``StreamMetrics``, a ``StreamClosed`` or an ``ErrorResponse`` of
        ``remotemedia.v1``, and a text for LOADING.
        """
        ...

    def result_bytes(self, result: Any) -> int:
        """The size of a result as it was received, in bytes."""
        ...
