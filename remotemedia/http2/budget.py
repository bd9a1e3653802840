"""How much a peer may send that moves no call on, before the connection is given up.

Every frame costs time to read, also one that no call waits for: PING, SETTINGS,
PRIORITY, a WINDOW_UPDATE that nothing was sent for, DATA without bytes, 1xx headers,
and whatever comes for a stream that is over. A peer that sends nothing else makes the
client work for nothing, at little cost to itself. RFC 9113, section 10.5, asks an
endpoint to watch this, and to answer abuse with ENHANCE_YOUR_CALM.

Such frames are therefore paid for out of a budget. Time fills it, and so does each
frame that moves a call on, so an honest peer never meets its end. Two kinds of frame
are caused by this client, and have a budget of their own: WINDOW_UPDATE by what it
sent, and frames that were on their way to a stream when it was reset.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from h2.exceptions import DenialOfServiceError

MAX_IDLE_FRAMES = 1000
"""How many frames may come at once that move no call on."""
IDLE_FRAMES_PER_S = 50
"""How many may come each second for ever: 30 µs each, so 0.15 % of the time."""
EARNED_PER_MOVE = 8
"""How many each frame earns that moves a call on. Servers answer what they receive
with a PING, a SETTINGS or a few WINDOW_UPDATE frames."""

BYTES_PER_WINDOW_UPDATE = 2048
"""A server that opens its windows in small steps does so after each read of this."""
# The smallest frames that an honest server sends in a row answer 20 ms of audio each.
_BYTES_PER_LATE_FRAME = 512


class Budget:
    """What one connection's peer may still send. The reader of frames counts it down.

    Args:
        clock: tells the time in seconds.

    Attributes:
        frames: how many more frames may move no call on, before time is asked.
        window_updates: how many WINDOW_UPDATE frames were paid for by what was sent:
            two for each DATA frame, and two for each ``BYTES_PER_WINDOW_UPDATE``.
        late_frames: how many frames may still come for streams that were reset here.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.frames: int = MAX_IDLE_FRAMES
        self.window_updates: int = 0
        self.late_frames: int = 0
        self._clock = clock
        self._filled_s = clock()

    def spend(self) -> None:
        """Pay for a frame that moves no call on.

        Raises:
            DenialOfServiceError: there were too many of them.
        """
        self.frames -= 1
        if self.frames < 0:
            now_s = self._clock()
            earned = int((now_s - self._filled_s) * IDLE_FRAMES_PER_S)
            self._filled_s = now_s
            self.frames = min(earned, MAX_IDLE_FRAMES) - 1
            if not earned:
                raise DenialOfServiceError(
                    f"it sent more than {MAX_IDLE_FRAMES} frames that no call waits for"
                )

    def spend_late(self) -> None:
        """Pay for a frame of a stream that is over.

        Raises:
            DenialOfServiceError: there were too many of them.
        """
        if self.late_frames:
            self.late_frames -= 1
        else:
            self.spend()

    def on_ping(self) -> None:
        """Earn the answer to a PING that is sent."""
        self.frames += 1

    def on_reset(self, window_bytes: int) -> None:
        """Earn the frames that may be on their way to a stream that is reset.

        Args:
            window_bytes: how much the peer was allowed to send on it.
        """
        self.late_frames += 2 + max(window_bytes, 0) // _BYTES_PER_LATE_FRAME
