"""Deadlines and the limits of a call: their defaults, and the checks of arguments.

``RemoteMediaClient`` and the generated stubs take both from here.
"""

from __future__ import annotations

import math
import operator

from grpclib.metadata import Deadline

from remotemedia.http2 import check_seconds

DEFAULT_TIMEOUT_S = 30.0
"""How long a call with a single response may take."""
DEFAULT_IDLE_TIMEOUT_S = 300.0
"""How long a stream may go without progress; the contract's service waits as long."""
DEFAULT_MAX_SEND_BYTES = 4 * 1024 * 1024
"""The largest request that the contract's service takes."""
DEFAULT_MAX_RECEIVE_BYTES = 64 * 1024 * 1024
"""The largest response.

Most gRPC libraries take 4 MiB. A pipeline answers with whole audio, though: the
contract's service takes requests of 4 MiB and buffers of 10,000,000 samples, which are
40 MB in F32, so an honest answer may be ten times as large as its request. 64 MiB hold
such a buffer and what else the answer says. More would only let a hostile service make
each call hold more.
"""


def deadline_after(timeout: float | None) -> Deadline | None:
    """The deadline `timeout` seconds from now; None if there is no timeout.

    Raises:
        TypeError: the timeout is not a number.
        ValueError: it is not positive.
    """
    check_seconds("timeout", timeout)
    if timeout is None or timeout == math.inf:
        return None
    return Deadline.from_timeout(timeout)


def check_count(name: str, count: object, *, least: int = 1) -> None:
    """Check a count or a size in bytes that a user passed.

    Raises:
        TypeError: it is not an int.
        ValueError: it is less than `least`.
    """
    try:
        # To Python, True is an int.
        number = operator.index("" if isinstance(count, bool) else count)  # type: ignore[arg-type]  # may be anything
    except TypeError:
        raise TypeError(f"{name} must be an int, got {count!r}") from None
    if number < least:
        bound = "positive" if least == 1 else f"at least {least}"
        raise ValueError(f"{name} must be {bound}, got {number}")


def earliest(*deadlines: Deadline | None) -> Deadline | None:
    """The earliest of several deadlines, or None where there is none."""
    return min((each for each in deadlines if each is not None), default=None)
