"""Speech detection with Django: in a plain view, and in an asynchronous one.

    REMOTEMEDIA_ADDRESS=localhost:50051 uvicorn --app-dir examples/web django_app:asgi
    curl --data-binary @examples/data/speech.wav localhost:8000/speech-async

    REMOTEMEDIA_ADDRESS=localhost:50051 \
        gunicorn --chdir examples/web --workers 2 --threads 16 django_app:wsgi
    curl --data-binary @examples/data/speech.wav localhost:8000/speech

Plain views run in threads and use the blocking client. Asynchronous views use the
asynchronous one, and need an ASGI server: a WSGI server runs each of them in an event
loop of its own, and a connection belongs to one event loop. Under ASGI, Django cancels
an asynchronous view when the caller goes away, and with it the call to the service.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from speech import (
    ADDRESS,
    MANIFEST,
    MAX_BODY_BYTES,
    TIMEOUT_S,
    NotAudioError,
    answer,
    problem,
    read_wav,
)

import remotemedia
import remotemedia.blocking
from remotemedia import RemoteMediaError

_log = logging.getLogger("speech")

# Nothing is sent yet: each client connects with the first request of its process.
_async_client = remotemedia.RemoteMediaClient(ADDRESS, timeout=TIMEOUT_S)
_client = remotemedia.blocking.RemoteMediaClient(ADDRESS, timeout=TIMEOUT_S)


class ErrorsAsJson(MiddlewareMixin):
    """Answers with the HTTP status that belongs to a failure."""

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> JsonResponse | None:
        """Make the answer to a request whose view raised an exception."""
        if not isinstance(error, (RemoteMediaError, NotAudioError)):
            return None
        status, body = problem(error)
        _log.warning("%d: %s", status, error)
        return JsonResponse(body, status=status)


def speech(request: HttpRequest) -> JsonResponse:
    """Say whether there is speech in a WAV file."""
    audio = read_wav(request.body)
    _client.connect()  # does nothing if it is connected in this process
    # Running this pipeline twice does no harm, so it may be tried again.
    result = _client.execute_pipeline(MANIFEST, {"vad": audio}, idempotent=True)
    return JsonResponse(answer(audio, result))


async def speech_async(request: HttpRequest) -> JsonResponse:
    """Say the same without a thread."""
    audio = read_wav(request.body)
    await _async_client.connect()
    result = await _async_client.execute_pipeline(
        MANIFEST, {"vad": audio}, idempotent=True
    )
    return JsonResponse(answer(audio, result))


urlpatterns = [path("speech", speech), path("speech-async", speech_async)]

# A project has these in its settings module.
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=MAX_BODY_BYTES,
    MIDDLEWARE=[f"{__name__}.ErrorsAsJson"],
    ROOT_URLCONF=__name__,
)
asgi = get_asgi_application()
wsgi = get_wsgi_application()
