"""The resource limits of the embedded service, and the checks that enforce them.

The numbers come from the contract.
"""

from __future__ import annotations

from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import ErrorType, ResourceLimits

MAX_REQUEST_BYTES = 4 * 2**20
MAX_DATA_REQUEST_BYTES = 10 * 2**20

_DEFAULT_MEMORY_BYTES = 100_000_000
_DEFAULT_TIMEOUT_MS = 5_000
_DEFAULT_AUDIO_SAMPLES = 10_000_000

_MOST_MEMORY_BYTES = 1_000_000_000
_MOST_TIMEOUT_MS = 30_000


def in_force(asked: ResourceLimits, service: ResourceLimits) -> ResourceLimits:
    """The limits of one execution or session.

    Args:
        asked: the limits that the client asks for; zero for the service's default.
        service: the service's defaults; zero for the contract's default.

    Returns:
        The limits that apply, with the contract's caps.
    """
    return ResourceLimits(
        max_memory_bytes=min(
            asked.max_memory_bytes or service.max_memory_bytes or _DEFAULT_MEMORY_BYTES,
            _MOST_MEMORY_BYTES,
        ),
        max_timeout_ms=min(
            asked.max_timeout_ms or service.max_timeout_ms or _DEFAULT_TIMEOUT_MS,
            _MOST_TIMEOUT_MS,
        ),
        max_audio_samples=(
            asked.max_audio_samples
            or service.max_audio_samples
            or _DEFAULT_AUDIO_SAMPLES
        ),
    )


def check_samples(num_samples: int, limits: ResourceLimits, node_id: str) -> None:
    """Check the size of one audio buffer.

    Raises:
        RemoteMediaError: RESOURCE_LIMIT, if it is over `max_audio_samples`.
    """
    if num_samples > limits.max_audio_samples:
        raise exceeded(
            f"an audio buffer of {num_samples} samples, where max_audio_samples is "
            f"{limits.max_audio_samples}; send the audio in smaller buffers",
            node_id,
        )


def _size_of(value: object) -> int:
    """The bytes of media in a value; JSON counts nothing."""
    # The fields in which messages have their bytes.
    for name in ("samples", "data", "pixel_data", "text_data"):
        held = getattr(value, name, None)
        if isinstance(held, bytes):
            return len(held)
    return 0


class MemoryMeter:
    """Counts the bytes of media that one run of a pipeline holds."""

    def __init__(self, limits: ResourceLimits) -> None:
        self._limit = limits.max_memory_bytes
        self._held: dict[int, int] = {}
        self.peak_bytes: int = 0

    def clear(self) -> None:
        """Start a new run, which holds nothing; the peak remains."""
        self._held.clear()

    def add(self, value: object, node_id: str) -> int:
        """Count a value; a value that a node passes on unchanged counts once.

        Returns:
            Its bytes.

        Raises:
            RemoteMediaError: RESOURCE_LIMIT, if it is over `max_memory_bytes`.
        """
        size = _size_of(value)
        if not size:
            return 0
        self._held[id(value)] = size
        total = sum(self._held.values())
        self.peak_bytes = max(self.peak_bytes, total)
        if total > self._limit:
            raise exceeded(
                f"{total} bytes of media, where max_memory_bytes is {self._limit}",
                node_id,
            )
        return size


def exceeded(what: str, node_id: str = "") -> RemoteMediaError:
    """Make the error for a limit that was exceeded."""
    at = f" at node {node_id!r}" if node_id else ""
    return RemoteMediaError(
        f"{what}{at}", error_type=ErrorType.RESOURCE_LIMIT, failing_node_id=node_id
    )
