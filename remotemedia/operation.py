"""A context manager that turns the errors of a user's call into RemoteMediaError.

The client and the streams run their code inside ``with operation:``. The context
converts the gRPC layer's errors into ``RemoteMediaError`` and adds the facts of the
call: which method it was, where it went, its id and how long it took.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from remotemedia.errors import RemoteMediaError, from_call_error
from remotemedia.grpc import CallError

if TYPE_CHECKING:
    from types import TracebackType


class Operation:
    """One call of the user's, as a reusable context manager.

    A ``CallError`` leaves the context as a ``RemoteMediaError``; every other exception
    leaves it unchanged. A stream enters the context once for each of its steps.

    Args:
        name: the method that the user called.
        address: the address of the service.
        is_idempotent: True if the call may be repeated even after the service
            processed it.

    Attributes:
        request_id: the id of the call.
        iterable_error: the exception that the caller's own iterable raised, if any. It
            leaves the context unchanged, whatever its type.
    """

    def __init__(self, name: str, address: str, *, is_idempotent: bool = False) -> None:
        self.name = name
        self.address = address
        self.is_idempotent = is_idempotent
        self.request_id: str = os.urandom(16).hex()
        self.iterable_error: BaseException | None = None
        self._started_s = time.monotonic()

    def __enter__(self) -> None:
        """Enter the context; all the work happens on leaving it."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Convert the exception, if there is one and it is not the caller's own.

        Raises:
            RemoteMediaError: the call failed.
        """
        if exc is self.iterable_error:
            return
        if isinstance(exc, CallError):
            error = from_call_error(exc)
            # The plain class stands for failures that would happen again.
            if self.is_idempotent and type(error) is not RemoteMediaError:
                error.retryable = True
            self._add_call_facts(error)
            raise error from exc
        if isinstance(exc, RemoteMediaError):
            self._add_call_facts(exc)

    def _add_call_facts(self, error: RemoteMediaError) -> None:
        """Say which call failed, unless an inner operation has said so already."""
        if not error.operation:
            error.operation, error.address = self.name, self.address
            error.request_id = self.request_id
            error.elapsed_s = time.monotonic() - self._started_s
