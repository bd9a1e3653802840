"""Live sessions, and leaving them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from remotemedia import PipelineStream


class _LeftError(Exception):
    """What ``reset`` leaves a session by."""


@asynccontextmanager
async def reset(stream: PipelineStream) -> AsyncIterator[PipelineStream]:
    """A session that is left by an exception, as the service would not end it."""
    with suppress(_LeftError):
        async with stream:
            yield stream
            raise _LeftError
