"""The sending half of a session: what the call sends, in order, and when.

First comes the init, then the chunks, which the caller's iterable yields or ``send``
has put into the outbox, and last the control that ends the session. A chunk is numbered
and stamped when it is sent, so that one that was dropped before leaves no gap.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any

from remotemedia.errors import RemoteMediaError
from remotemedia.grpc import Status, WaitTimeoutError, wait_at_most
from remotemedia.operation import Operation
from remotemedia.session.machine import Event, Session, State
from remotemedia.session.messages import Payload, StreamMessages
from remotemedia.session.outbox import Outbox
from remotemedia.session.source import Source
from remotemedia.session.validation import check_node_id
from remotemedia.v1 import ErrorType

# What a chunk has beside its samples: its node's id, its numbers and their tags.
_MAX_ENVELOPE_BYTES = 1024
# How many unanswered chunks are remembered, to tell how long an answer took.
_MOST_UNANSWERED = 100_000


class Sender:
    """Sends the requests of one session.

    Args:
        init: the first request.
        node_ids: the ids of the manifest's nodes.
        messages: makes the other requests.
        operation: the user's call; it is told what their iterable raised.
        outbox: the chunks that ``send`` accepted.
        source: the caller's iterable, or None where chunks come from the outbox.
        max_in_flight: how many chunks may be unanswered; None for no bound.
        max_send_bytes: the largest request; None for no limit.

    Attributes:
        most_settle_s: how long to wait for an answer at the end, at most.
    """

    def __init__(
        self,
        init: object,
        node_ids: Iterable[str],
        messages: StreamMessages,
        *,
        operation: Operation,
        outbox: Outbox,
        source: Source | None,
        max_in_flight: int | None,
        max_send_bytes: int | None,
    ) -> None:
        self.most_settle_s: float = math.inf
        self._init = init
        self._node_ids = dict.fromkeys(node_ids)
        self._messages = messages
        self._operation = operation
        self._outbox = outbox
        self._source = source
        self._max_in_flight = max_in_flight
        self._max_send_bytes = max_send_bytes
        self._is_ready = asyncio.Event()
        self._is_waiting = False
        self._may_send = asyncio.Event()
        self._opened_s = 0.0
        # The end of the audio that was sent, by node, in milliseconds.
        self._end_ms: dict[str, float] = {}
        # When each chunk was sent that is not answered. A pipeline may answer none.
        most = max(_MOST_UNANSWERED, max_in_flight or 0)
        self._sent_at_s: deque[float] = deque(maxlen=most)

    async def requests(self, session: Session) -> AsyncGenerator[Any, None]:
        """What a call sends: one attempt to open the session, and all that follows."""
        session.client_sends(Event.INIT)
        yield self._init
        # The caller's audio stays untouched until the service is ready.
        await self._is_ready.wait()
        try:
            while True:
                try:
                    if self._max_in_flight is not None:
                        await self._wait_for_answers(session, self._max_in_flight)
                    if self._source is not None:
                        chunk = await self._source.next()
                    else:
                        chunk = await self._next_from_outbox(session)
                except StopAsyncIteration:
                    break
                except BaseException as error:
                    self._operation.iterable_error = error
                    raise
                # The service may have ended the session meanwhile.
                if session.state is not State.OPEN:
                    self._outbox.dropped += 1
                    break
                yield self._request(session, chunk)
            await self._settle(session)
            if session.state is State.OPEN:
                ending = session.ending or Event.CLOSE
                session.client_sends(ending)
                yield self._messages.control_request(ending)
        finally:
            if self._source is not None:
                await self._source.close()
            self._outbox.wake()

    def begin(self) -> None:
        """Send chunks: the service is ready."""
        self._opened_s = time.monotonic()
        self._is_ready.set()

    def stop(self) -> None:
        """Take no more from the caller's iterable: the session is to end."""
        if self._source is not None:
            self._source.stop()
        self.wake()

    def wake(self) -> None:
        """Look again at whether the session goes on."""
        self._may_send.set()
        self._outbox.wake()

    def on_result(self, session: Session, sequence: int) -> float | None:
        """Take note of a result.

        Returns:
            How long ago its chunk was sent, in seconds; None if the chunk was answered
            before, or the result belongs to none.
        """
        oldest = session.chunks - len(self._sent_at_s)
        if not self._sent_at_s or sequence < oldest:
            return None
        # A service may skip chunks.
        for _ in range(sequence - oldest):
            self._sent_at_s.popleft()
        if self._is_waiting:
            self._may_send.set()
        return time.monotonic() - self._sent_at_s.popleft()

    def checked(self, node_id: str, value: object, what: str) -> Payload:
        """Check that a chunk can be sent, and make what is sent of it.

        Args:
            node_id: the node that it is for.
            value: the audio, or what else the service takes.
            what: what it is, for the error.

        Raises:
            TypeError, ValueError: the id or the value is not valid.
            RemoteMediaError: VALIDATION, if the manifest has no such node;
                RESOURCE_LIMIT, if the chunk is over the limit of a request.
        """
        if type(node_id) is not str or node_id not in self._node_ids:
            check_node_id(node_id, self._node_ids, what)
        payload = self._messages.payload(value, f"{what} for node {node_id!r}")
        limit = self._max_send_bytes
        if limit is not None and payload[1] > limit - _MAX_ENVELOPE_BYTES:
            request = self._messages.chunk_request(node_id, payload[0], 2**63, 0)
            size = len(request)
            if size > limit:
                raise RemoteMediaError(
                    f"{what} for node {node_id!r} is {size} bytes, over the limit of "
                    f"{limit} (max_send_bytes): send smaller chunks, or raise the "
                    "limit here and at the service",
                    error_type=ErrorType.RESOURCE_LIMIT,
                    failing_node_id=node_id,
                    status=Status.RESOURCE_EXHAUSTED,
                )
        return payload

    async def _wait_for_answers(
        self, session: Session, max_in_flight: int, at_most_s: float | None = None
    ) -> None:
        """Wait until fewer chunks than that are unanswered, or none will be sent.

        Args:
            session: the session.
            max_in_flight: the number of chunks.
            at_most_s: how long to wait for each answer; None for no bound.
        """
        while (
            len(self._sent_at_s) >= max_in_flight
            and session.state is State.OPEN
            and session.ending is not Event.CANCEL
        ):
            self._is_waiting = True
            self._may_send.clear()
            try:
                await wait_at_most(at_most_s, self._may_send.wait())
            finally:
                self._is_waiting = False

    async def _settle(self, session: Session) -> None:
        """Wait a little for the answers to what was sent, where closing may lose it."""
        settle_s = min(self._messages.settle_s, self.most_settle_s)
        if settle_s and session.ending is not Event.CANCEL:
            with suppress(WaitTimeoutError):
                await self._wait_for_answers(session, 1, settle_s)

    async def _next_from_outbox(self, session: Session) -> tuple[str, Payload]:
        while not self._outbox:
            if session.ending is not None or session.is_over:
                raise StopAsyncIteration
            await self._outbox.wait()
        return self._outbox.take()

    def _request(self, session: Session, chunk: Any) -> object:
        number = session.chunks
        if self._source is None:
            node_id, (content, _, length_s) = chunk
        else:
            if not isinstance(chunk, tuple) or len(chunk) not in (2, 3):
                raise TypeError(
                    "audio_chunks must yield (node_id, buffer) or (node_id, buffer, "
                    f"sequence), got {chunk!r:.80}"
                )
            node_id = chunk[0]
            content, _, length_s = self.checked(node_id, chunk[1], f"chunk {number}")
            if len(chunk) == 3:
                number = chunk[2]
        session.client_sends(Event.CHUNK, number)
        now_s = time.monotonic()
        if length_s is None:
            start_ms = (now_s - self._opened_s) * 1000
        else:
            start_ms = self._end_ms.get(node_id, 0.0)
            self._end_ms[node_id] = start_ms + length_s * 1000
        self._sent_at_s.append(now_s)
        return self._messages.chunk_request(node_id, content, number, int(start_ms))
