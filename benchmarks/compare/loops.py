"""The event loops to measure with: asyncio's own, and uvloop if it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EventLoops = dict[str, Callable[[], asyncio.AbstractEventLoop]]

EVENT_LOOPS: EventLoops = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:
    pass
else:
    EVENT_LOOPS["uvloop"] = uvloop.new_event_loop

FASTEST = EVENT_LOOPS[list(EVENT_LOOPS)[-1]]
