"""Deadlines and the limits of a call, with their defaults.

``RemoteMediaClient`` and the generated stubs take their defaults from here.
"""

from __future__ import annotations

import math

from grpclib.metadata import Deadline

DEFAULT_TIMEOUT_S = 30.0
"""How long a call with a single response may take."""
DEFAULT_IDLE_TIMEOUT_S = 300.0
"""How long a stream may go without progress; the contract's service waits as long."""
DEFAULT_MAX_SEND_BYTES = 4 * 1024 * 1024
"""The largest request that the contract's service takes."""
DEFAULT_MAX_RECEIVE_BYTES = 256 * 1024 * 1024
"""The largest response."""


def deadline_after(timeout: float | None) -> Deadline | None:
    """The deadline `timeout` seconds from now; None if there is no timeout.

    Raises:
        ValueError: the timeout is not positive.
    """
    if timeout is None or timeout == math.inf:
        return None
    if not timeout > 0:
        raise ValueError(f"timeout must be positive, got {timeout!r}")
    return Deadline.from_timeout(timeout)


def earliest(*deadlines: Deadline | None) -> Deadline | None:
    """The earliest of several deadlines, or None where there is none."""
    return min((each for each in deadlines if each is not None), default=None)
