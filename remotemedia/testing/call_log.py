"""The log of the embedded service: one line at DEBUG for each call.

It names the id of the call, which the client has on its errors, results and streams,
and in its own log. So one search finds both ends of a call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

if TYPE_CHECKING:
    from grpclib.events import RecvRequest
    from grpclib.server import Stream

    from remotemedia.testing.script import Handler

REQUEST_ID = "x-request-id"
"""The metadata key that carries the id of a call."""

_log = logging.getLogger(__name__)


async def log_call(event: RecvRequest) -> None:
    """Have a call logged when it has ended."""
    request_id = str(event.metadata.get(REQUEST_ID, ""))
    event.method_func = partial(
        _logged, event.method_func, event.method_name, request_id
    )


def log_refusal(event: RecvRequest, status: Status) -> None:
    """Log a call that is refused before it has a handler."""
    request_id = event.metadata.get(REQUEST_ID, "")
    _log.debug("%s %s request_id=%s", event.method_name, status.name, request_id)


async def _logged(
    handler: Handler, method: str, request_id: str, stream: Stream[Any, Any]
) -> None:
    started_s = time.monotonic()
    status = Status.OK
    try:
        await handler(stream)
    except GRPCError as error:
        status = error.status
        raise
    except asyncio.CancelledError:
        status = Status.CANCELLED
        raise
    except BaseException:
        status = Status.UNKNOWN
        raise
    finally:
        _log.debug(
            "%s %s request_id=%s duration_ms=%.1f",
            method,
            status.name,
            request_id,
            (time.monotonic() - started_s) * 1000,
        )
