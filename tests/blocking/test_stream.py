"""Sessions of the blocking client: as an iterator, and with methods."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from remotemedia import AudioBuffer, ChunkResult, RemoteMediaError
from remotemedia.blocking import ChunkResults, RemoteMediaClient
from remotemedia.blocking.stream import READ_AHEAD
from remotemedia.grpc import Metadata
from remotemedia.testing import Fault, LocalService
from tests.support.pipelines import PASS, tone

TONE = tone(160)


class Microphone:
    """A source without end, which knows what was taken and whether it was closed."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = threading.Event()

    def chunks(self) -> Iterator[tuple[str, AudioBuffer]]:
        """Yield audio, and note the end."""
        try:
            while True:
                self.taken += 1
                yield "src", TONE
        finally:
            self.closed.set()


def test_all_results_come_in_order(client: RemoteMediaClient) -> None:
    results = client.stream_pipeline(PASS, (("src", TONE) for _ in range(100)))
    assert [result.sequence for result in results] == list(range(100))
    # The end is the end for whoever asks again.
    assert list(results) == []


def test_break_ends_the_session(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    for result in client.stream_pipeline(PASS, microphone.chunks()):
        if result.sequence == 3:
            break
    gc.collect()
    assert microphone.closed.wait(30)


def test_leaving_the_context_ends_the_session(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    with client.stream_pipeline(PASS, microphone.chunks()) as results:
        assert next(results).sequence == 0
    assert microphone.closed.wait(30)
    assert list(results) == []


def test_results_that_nobody_asked_for_open_nothing(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    results = client.stream_pipeline(PASS, microphone.chunks())
    results.close()
    assert list(results) == []
    assert microphone.taken == 0


def test_reading_ahead_is_bounded(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    with client.stream_pipeline(
        PASS, microphone.chunks(), max_in_flight_chunks=1
    ) as results:
        next(results)
        deadline = time.monotonic() + 30
        while microphone.taken < READ_AHEAD and time.monotonic() < deadline:
            time.sleep(0.001)
        before = microphone.taken
        time.sleep(0.05)
        # A chunk is in flight, and one was asked for.
        assert before <= microphone.taken <= READ_AHEAD + 4


def test_what_the_source_raises_comes_out(client: RemoteMediaClient) -> None:
    def chunks() -> Iterator[tuple[str, AudioBuffer]]:
        yield "src", TONE
        raise LookupError("the microphone is gone")

    with pytest.raises(LookupError, match="microphone"):
        list(client.stream_pipeline(PASS, chunks()))


def test_a_failure_comes_after_the_results(
    client: RemoteMediaClient, service: LocalService
) -> None:
    service.add_fault(Fault.reset(at_chunk=2))
    results = client.stream_pipeline(PASS, [("src", TONE)] * 9)
    assert [next(results).sequence, next(results).sequence] == [0, 1]
    for _ in range(2):
        with pytest.raises(RemoteMediaError):
            next(results)


def test_a_live_session(client: RemoteMediaClient) -> None:
    with client.open_stream(PASS) as stream:
        assert stream.ready is not None
        stream.send("src", TONE)
        stream.try_send("src", TONE)
        assert next(stream).sequence == 0
        assert stream.round_trip_ms is not None
        stream.half_close()
        assert [result.sequence for result in stream] == [1]
    assert (stream.chunks_sent, stream.chunks_acknowledged) == (2, 2)
    assert stream.chunks_dropped == 0
    assert stream.closed is not None
    assert stream.metrics is None


def test_a_session_is_closed_and_cancelled(client: RemoteMediaClient) -> None:
    with client.open_stream(PASS) as stream:
        stream.send("src", TONE)
        closed = stream.close(timeout=30)
        assert closed is not None
        assert [result.sequence for result in stream] == [0]
    with client.open_stream(PASS) as stream:
        assert stream.cancel() is stream.closed


def test_an_exception_resets_the_session(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    with pytest.raises(LookupError), client.open_stream(PASS, microphone.chunks()):
        raise LookupError
    assert microphone.closed.wait(30)


def test_one_thread_sends_and_another_reads(client: RemoteMediaClient) -> None:
    with client.open_stream(PASS) as stream:

        def send() -> None:
            for _ in range(50):
                stream.send("src", TONE)
            stream.half_close()

        sender = threading.Thread(target=send)
        sender.start()
        assert [result.sequence for result in stream] == list(range(50))
        sender.join()


def test_results_have_the_metadata_of_their_call() -> None:
    call = SimpleNamespace(
        headers=Metadata([("x-a", "1")]),
        trailers=Metadata([("x-b", "2")]),
        request_id="abc",
    )
    asynchronous: Any = call
    results = ChunkResults[ChunkResult](asynchronous)
    assert (results.headers, results.trailers) == (call.headers, call.trailers)
    assert results.request_id == "abc"
