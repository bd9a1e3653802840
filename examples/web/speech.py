"""What the web applications have in common: the pipeline, the audio, the answers.

None of it depends on a web framework.
"""

from __future__ import annotations

import io
import os

from typing_extensions import TypedDict  # typing's own does for 3.12

from remotemedia import (
    AudioBuffer,
    ErrorType,
    ExecutionResult,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)

ADDRESS = os.environ.get("REMOTEMEDIA_ADDRESS", "localhost:50051")
TIMEOUT_S = 10.0
"""How long a call may take: less than the proxy before the application waits."""
MAX_BODY_BYTES = 4 * 1024 * 1024
"""The largest upload; it is what the service takes in one request, too."""

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "speech"},
    "nodes": [{"id": "vad", "node_type": "VAD"}],
}

# A token that the service refuses, or another version, is a mistake of whoever runs
# the application: a 502, and not the 401 that would ask the caller for a password.
_STATUSES = {
    ErrorType.VALIDATION: 422,
    ErrorType.RESOURCE_LIMIT: 413,
    ErrorType.NODE_EXECUTION: 502,
    ErrorType.AUTHENTICATION: 502,
    ErrorType.VERSION_MISMATCH: 502,
    ErrorType.INTERNAL: 502,
}


class Speech(TypedDict):
    """The answer to an upload."""

    duration_s: float
    has_speech: bool
    energy_db: float


class Problem(TypedDict):
    """The answer to a request that failed."""

    error: str
    message: str
    request_id: str


class NotAudioError(ValueError):
    """The body of a request is not audio."""


def read_wav(body: bytes) -> AudioBuffer:
    """Read the body of a request as a WAV file.

    Raises:
        NotAudioError: it is none, or it has no audio in it.
    """
    try:
        audio = AudioBuffer.from_wav(io.BytesIO(body))
    except ValueError as error:
        raise NotAudioError("the body is not a WAV file") from error
    if not audio.frames:
        raise NotAudioError("the WAV file has no audio in it")
    return audio


def answer(audio: AudioBuffer, result: ExecutionResult) -> Speech:
    """Make the answer to an upload."""
    heard = result.json("vad")
    return {
        "duration_s": audio.duration,
        "has_speech": heard["has_speech"],
        "energy_db": heard["energy_db"],
    }


def problem(error: RemoteMediaError | NotAudioError) -> tuple[int, Problem]:
    """Make the HTTP status and the body for a failure.

    The text of an error of the service is for the log. Whoever sent the request is told
    only what they can change, and the id that finds the rest.
    """
    if isinstance(error, NotAudioError):
        return 422, {"error": "VALIDATION", "message": str(error), "request_id": ""}
    if isinstance(error, RemoteMediaTimeoutError):
        status, message = 504, "the service took too long"
    elif isinstance(error, RemoteMediaConnectionError):
        status, message = 503, "the service cannot be reached; try again"
    else:
        status, message = _STATUSES[error.error_type], "the service failed"
    if status in (413, 422):
        message = error.message
    return status, {
        "error": error.error_type.name or "INTERNAL",
        "message": message,
        "request_id": error.request_id,
    }
