"""Keepalive: finding out that a peer is gone which cannot say so.

A router that forgets a connection, or a machine that loses its power, closes nothing:
an open call would wait until its deadline. So a connection with open calls that has
been silent for a while sends a PING frame. If nothing at all arrives within the
timeout, the connection is dead: it is closed, and its calls fail.

The rules are those of gRPC's keepalive guide and of its proposal A8. Whatever arrives
counts, not only the answer to the PING. Without open calls there are no pings, and
there is no timer that wakes the event loop. A server that finds the pings too frequent
says so with a GOAWAY frame (ENHANCE_YOUR_CALM, ``too_many_pings``); the interval of the
connections after that one is doubled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

DEFAULT_KEEPALIVE_S = 10.0
"""Seconds of silence before a PING: the least that A8 allows a client."""
DEFAULT_KEEPALIVE_TIMEOUT_S = 20.0
"""Seconds that the peer has to answer, as gRPC's other clients give it."""

# The timeout is waited for in at least so many parts. Where the event loop was blocked
# for longer, the timer of a part may fire before the socket was read; the next part
# fires after it.
_PARTS = 2


class Timer(Protocol):
    """What ``call_later`` of an event loop returns."""

    def cancel(self) -> None:
        """Do not call."""


class Loop(Protocol):
    """The part of an event loop that is needed here."""

    def call_later(
        self, delay: float, callback: Callable[..., object], /, *args: Any
    ) -> Timer:
        """Call a function after so many seconds."""
        ...


class Peer(Protocol):
    """The connection that is watched.

    Attributes:
        last_received_s: when bytes last arrived, as ``time.monotonic`` has it.
    """

    last_received_s: float

    @property
    def open_streams(self) -> int:
        """How many calls are open, or wait to be."""
        ...

    def ping(self) -> None:
        """Send a PING frame."""

    def on_keepalive_timeout(self, timeout_s: float) -> None:
        """Close: nothing arrived within the timeout."""


@dataclass(frozen=True)
class KeepaliveTimes:
    """When to ping, and how long to wait for the answer, in seconds."""

    interval_s: float
    timeout_s: float

    def slower(self) -> KeepaliveTimes:
        """The times after a server found the pings too frequent."""
        return KeepaliveTimes(2 * self.interval_s, self.timeout_s)


class Keepalive:
    """Watches one connection while it has open calls.

    Args:
        times: when to ping.
        peer: the connection.
        loop: its event loop.
        clock: the clock of ``Peer.last_received_s``.

    Attributes:
        is_watching: whether a timer runs. Call ``watch`` for a new stream if not.
    """

    def __init__(
        self,
        times: KeepaliveTimes,
        peer: Peer,
        loop: Loop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._times = times
        self._peer = peer
        self._loop = loop
        self._clock = clock
        self._timer: Timer | None = None
        # When the watch, or the last PING, began.
        self._since_s = 0.0
        self.is_watching: bool = False

    def watch(self) -> None:
        """Begin to watch, for as long as streams are open."""
        self.is_watching = True
        self._since_s = self._clock()
        self._timer = self._loop.call_later(self._times.interval_s, self._on_interval)

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_interval(self) -> None:
        if not self._peer.open_streams:
            self.is_watching = False
            return
        heard_s = max(self._since_s, self._peer.last_received_s)
        left_s = heard_s + self._times.interval_s - self._clock()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._on_interval)
            return
        self._since_s = self._clock()
        self._peer.ping()
        self._wait_for_answer(self._times.timeout_s)

    def _wait_for_answer(self, left_s: float) -> None:
        part_s = min(left_s, self._times.timeout_s / _PARTS, self._times.interval_s)
        self._timer = self._loop.call_later(part_s, self._on_part, left_s - part_s)

    def _on_part(self, left_s: float) -> None:
        if self._peer.last_received_s > self._since_s:
            self._on_interval()
        elif left_s > 0:
            self._wait_for_answer(left_s)
        else:
            self._peer.on_keepalive_timeout(self._times.timeout_s)
