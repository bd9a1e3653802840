"""Speech detection with Flask: for an upload, and line by line while it is found.

    REMOTEMEDIA_ADDRESS=localhost:50051 \
        gunicorn --chdir examples/web --workers 2 --threads 16 flask_app:app
    curl --data-binary @examples/data/speech.wav localhost:8000/speech

Handlers run in threads, so they use the blocking client. Each process has one, which
all of its threads share. The client connects with the first request, and not when the
module is imported, since servers such as gunicorn may import it before they fork.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import chain, islice

from flask import Flask, Response, request
from speech import (
    ADDRESS,
    MANIFEST,
    MAX_BODY_BYTES,
    TIMEOUT_S,
    NotAudioError,
    Problem,
    Speech,
    answer,
    problem,
    read_wav,
)

from remotemedia import ChunkResult, RemoteMediaError
from remotemedia.blocking import ChunkResults, RemoteMediaClient

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

_log = logging.getLogger("speech")
_client = RemoteMediaClient(ADDRESS, timeout=TIMEOUT_S)


def connected() -> RemoteMediaClient:
    """Return the client, which connects with the first request of each process."""
    _client.connect()  # does nothing if it is connected in this process
    return _client


@app.errorhandler(RemoteMediaError)
@app.errorhandler(NotAudioError)
def on_error(error: RemoteMediaError | NotAudioError) -> tuple[Problem, int]:
    """Answer with the HTTP status that belongs to a failure."""
    status, body = problem(error)
    _log.warning("%d: %s", status, error)
    return body, status


@app.post("/speech")
def speech() -> Speech:
    """Say whether there is speech in a WAV file."""
    audio = read_wav(request.get_data())
    # Running this pipeline twice does no harm, so it may be tried again.
    result = connected().execute_pipeline(MANIFEST, {"vad": audio}, idempotent=True)
    return answer(audio, result)


@app.post("/speech/lines")
def speech_lines() -> Response:
    """Say for each 100 ms of a WAV file whether there is speech, as JSON lines."""
    audio = read_wav(request.get_data())
    chunks = (("vad", chunk) for chunk in audio.chunks(max(1, audio.sample_rate // 10)))
    results = connected().stream_pipeline(MANIFEST, chunks, timeout=TIMEOUT_S)
    # The session opens here. If it cannot, the answer still has a status of its own.
    first = list(islice(results, 1))
    response = Response(lines(first, results), mimetype="application/x-ndjson")
    # The server closes the response when the caller went away, too.
    response.call_on_close(results.close)
    return response


def lines(first: list[ChunkResult], results: ChunkResults) -> Iterator[str]:
    """Yield a line for each result. The last one says so if the session failed."""
    try:
        for result in chain(first, results):
            line = {"sequence": result.sequence, **result.json("vad")}
            yield f"{json.dumps(line)}\n"
    except RemoteMediaError as error:
        _log.warning("lines: %s", error)
        yield f"{json.dumps(problem(error)[1])}\n"
