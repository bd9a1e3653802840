"""Listen to a microphone, and show live whether somebody speaks.

    python examples/live.py [--address HOST:PORT] [--seconds N] [--file FILE.wav]

The microphone is opened through the `sounddevice` package. Where that is not installed,
or finds no microphone, a file is played at the pace of speech instead. Both hand over
100 ms of audio at a time, from a thread of their own, as audio devices do.

Audio that is late is useless here, so the latency is bounded twice: no more than
`MAX_IN_FLIGHT` chunks are sent and not answered, and no more than `MAX_BUFFERED` wait
to be sent. When both are reached, the chunk that has waited longest is dropped.

Ctrl+C ends the session. Without an address, the program starts the embedded reference
service.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import ModuleType

from service import add_address_option, connect

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
)

SPEECH = Path(__file__).parent / "data" / "speech.wav"
SAMPLE_RATE = 16_000
CHUNK_S = 0.1
MAX_IN_FLIGHT = 5
MAX_BUFFERED = 5

MANIFEST = {
    "metadata": {"name": "live-speech"},
    "nodes": [{"id": "vad", "node_type": "VAD", "is_streaming": True}],
}

Send = Callable[[AudioBuffer], None]
"""Takes a chunk; called from the thread of the source."""


def find_microphone() -> ModuleType | str:
    """Return the module `sounddevice`, or why there is no microphone."""
    try:
        import sounddevice  # type: ignore[import-untyped]  # it has no type hints
    except (ImportError, OSError) as error:
        # It is not installed, or the library below it is not.
        return str(error)
    try:
        sounddevice.query_devices(kind="input")
    except (sounddevice.PortAudioError, ValueError) as error:
        return str(error)
    return sounddevice  # type: ignore[no-any-return]  # the same


@contextmanager
def microphone(sounddevice: ModuleType, send: Send) -> Iterator[None]:
    """Send what the default microphone hears, until the context is left."""

    def on_audio(data: object, frames: int, time: object, status: object) -> None:
        buffer = AudioBuffer(
            samples=bytes(data),  # type: ignore[call-overload]  # a buffer of cffi's
            sample_rate=SAMPLE_RATE,
            channels=1,
            format=AudioFormat.I16,
            num_samples=frames,
        )
        try:
            send(buffer)
        except RemoteMediaError:
            # The session is over; whoever iterates over it learns why.
            raise sounddevice.CallbackStop from None

    try:
        device = sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE,
            channels=1,
            dtype="int16",
            blocksize=int(SAMPLE_RATE * CHUNK_S),
            callback=on_audio,
        )
    except sounddevice.PortAudioError as error:
        raise OSError(f"the microphone cannot be opened: {error}") from error
    with device:
        yield


@contextmanager
def paced_file(
    audio: AudioBuffer, send: Send, at_end: Callable[[], None]
) -> Iterator[None]:
    """Send audio as fast as it would be spoken, until the context is left.

    Args:
        audio: the audio.
        send: takes each chunk.
        at_end: called after the last chunk.
    """
    is_left = threading.Event()

    def play() -> None:
        started_s = time.monotonic()
        chunks = audio.chunks(max(1, int(audio.sample_rate * CHUNK_S)))
        for number, chunk in enumerate(chunks, start=1):
            if is_left.wait(started_s + number * CHUNK_S - time.monotonic()):
                return
            try:
                send(chunk)
            except RemoteMediaError:
                return
        at_end()

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        is_left.set()
        thread.join()


def status_line(stream: PipelineStream, verdict: str) -> str:
    """Say in one line what was heard, how late it is, and what was lost."""
    latency = "-" if stream.round_trip_ms is None else f"{stream.round_trip_ms:.1f} ms"
    return (
        f"{verdict:<22} latency {latency:>9}, sent {stream.chunks_sent}, "
        f"answered {stream.chunks_acknowledged}, dropped {stream.chunks_dropped}"
    )


async def listen(
    client: RemoteMediaClient, file: Path | None, seconds: float | None
) -> None:
    """Send live audio, and show one line that changes, until the end is asked for."""
    loop = asyncio.get_running_loop()
    is_ended = asyncio.Event()

    def end_from_any_thread() -> None:
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(is_ended.set)

    with suppress(NotImplementedError):  # on Windows, Ctrl+C ends the program at once
        loop.add_signal_handler(signal.SIGINT, is_ended.set)
    if seconds is not None:
        loop.call_later(seconds, is_ended.set)

    async with client.open_stream(
        MANIFEST, max_buffered_chunks=MAX_BUFFERED, max_in_flight_chunks=MAX_IN_FLIGHT
    ) as stream:
        verdict = "listening"

        def send(chunk: AudioBuffer) -> None:
            stream.try_send("vad", chunk, when_full="drop_oldest")

        async def show() -> None:
            while not is_ended.is_set():
                print(f"\r{status_line(stream, verdict)}", end="", flush=True)
                await asyncio.sleep(CHUNK_S)
            await stream.half_close()

        source: AbstractContextManager[None]
        found = "" if file is not None else find_microphone()
        if isinstance(found, str):
            if found:
                print(f"no microphone: {found}")
            path = file or SPEECH
            print(f"playing {path.name}; Ctrl+C ends")
            audio = await asyncio.to_thread(AudioBuffer.from_wav, path)
            source = paced_file(audio, send, end_from_any_thread)
        else:
            print("listening to the microphone; Ctrl+C ends")
            source = microphone(found, send)
        with source:
            showing = asyncio.create_task(show())
            try:
                async for result in stream:
                    if "vad" not in result.data_outputs:
                        verdict = "no verdict on speech"
                        continue
                    heard = result.json("vad")
                    speech = "speech" if heard["has_speech"] else "silence"
                    verdict = f"{speech} {heard['energy_db']:6.1f} dB"
            finally:
                showing.cancel()
        print(f"\r{status_line(stream, verdict)}")
        if verdict == "no verdict on speech":
            print("the service returned no output of the node 'vad'")


async def run(address: str | None, file: Path | None, seconds: float | None) -> None:
    """Connect, and listen."""
    async with connect(address, "VAD") as (client, _):
        await listen(client, file, seconds)


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Listen to a microphone, and show live whether somebody speaks."
    )
    add_address_option(parser)
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="stop after so many seconds"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE.wav",
        help="play a file instead of listening to a microphone",
    )
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.address, arguments.file, arguments.seconds))
    except (RemoteMediaError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
