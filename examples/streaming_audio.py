"""Stream a WAV file through resampling and voice activity detection.

    python examples/streaming_audio.py [FILE.wav] [--address HOST:PORT]
                                       [--out FILE.wav] [--plot FILE.png]

The program sends the file in chunks of 100 ms, one at a time, and measures the time
from sending a chunk to receiving its result. Without an address, it starts the embedded
reference service. Without a file, it uses a short clip of speech. Where the service has
no voice activity detection, the program says so, and shows the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from service import add_address_option, connect
from tqdm import tqdm  # type: ignore[import-untyped]  # it has no type hints

from remotemedia import AudioBuffer, RemoteMediaClient, RemoteMediaError

SPEECH = Path(__file__).parent / "data" / "speech.wav"
CHUNKS_PER_SECOND = 10
TARGET_MS = 50.0
"""The latency that the service should not exceed for any chunk."""
TABLE_ROWS = 100
"""Files with more chunks than this show a progress bar instead of the table."""

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "speech-detection"},
    "nodes": [
        {
            "id": "resample",
            "node_type": "AudioResample",
            "params": {"target_sample_rate": 16000},
            "is_streaming": True,
        },
        {"id": "vad", "node_type": "VAD", "is_streaming": True},
    ],
    "connections": [{"from": "resample", "to": "vad"}],
}


class ChunkReport(NamedTuple):
    """What the service found in one chunk, and how long it took."""

    start: float
    """Start of the chunk in the file, in seconds."""
    latency_ms: float
    has_speech: bool | None
    """None if the service has no verdict about the chunk."""
    energy_db: float | None


async def stream(
    client: RemoteMediaClient, audio: AudioBuffer, received: list[AudioBuffer]
) -> AsyncGenerator[ChunkReport, None]:
    """Send audio chunk by chunk, waiting for each result before the next.

    What comes back is added to `received`.
    """
    frames = max(1, audio.sample_rate // CHUNKS_PER_SECOND)
    last: ChunkReport | None = None
    async with client.open_stream(MANIFEST) as session:
        for index, chunk in enumerate(audio.chunks(frames)):
            sent = time.perf_counter()
            await session.send("resample", chunk)
            result = await anext(session)
            latency_ms = (time.perf_counter() - sent) * 1000
            received.extend(result.audio_outputs.values())
            # A chunk that the resampler held back in full has no verdict.
            speech = result.json("vad") if "vad" in result.data_outputs else {}
            if last is not None:
                yield last
            last = ChunkReport(
                start=index * frames / audio.sample_rate,
                latency_ms=latency_ms,
                has_speech=speech.get("has_speech"),
                energy_db=speech.get("energy_db"),
            )
        await session.close()
        # The resampler held the last few milliseconds back. They belong to the last
        # chunk, as the sequence of this result says.
        async for result in session:
            received.extend(result.audio_outputs.values())
            if last is not None and "vad" in result.data_outputs:
                rest = result.json("vad")
                energies = [rest["energy_db"], last.energy_db]
                last = last._replace(
                    has_speech=bool(last.has_speech or rest["has_speech"]),
                    energy_db=max(e for e in energies if e is not None),
                )
        if last is not None:
            yield last


async def run(wav: Path, address: str | None, out: Path | None) -> list[ChunkReport]:
    """Stream the file, print the results, and write the audio to `out`."""
    audio = AudioBuffer.from_wav(wav)
    if not audio.frames:
        raise ValueError(f"{wav} has no audio in it")
    print(
        f"{wav.name}: {audio.duration:.2f} s, {audio.sample_rate} Hz, "
        f"{audio.channels} channel(s), {audio.format}"
    )
    total = -(-audio.frames // max(1, audio.sample_rate // CHUNKS_PER_SECOND))
    received: list[AudioBuffer] = []
    async with (
        connect(address, "AudioResample", "VAD") as (client, _),
        aclosing(stream(client, audio, received)) as reports,
    ):
        done = await (
            show_table(reports) if total <= TABLE_ROWS else show_bar(reports, total)
        )
    show_summary(done)
    if out is not None and not received:
        print(f"the service returned no audio, so {out} is not written")
    elif out is not None:
        rate = received[0].sample_rate
        joined = np.concatenate([buffer.to_numpy() for buffer in received])
        frames = round(audio.frames * rate / audio.sample_rate)
        result = AudioBuffer.from_numpy(joined[:frames], rate)
        result.to_wav(out)
        print(f"wrote {out}: {result.duration:.2f} s, {result.sample_rate} Hz")
    return done


async def show_table(reports: AsyncGenerator[ChunkReport, None]) -> list[ChunkReport]:
    """Print a row for each result when it arrives."""
    print(f"{'chunk':>5} {'at s':>7} {'latency ms':>11} {'energy dB':>10}  speech")
    done: list[ChunkReport] = []
    async for report in reports:
        energy = "-" if report.energy_db is None else f"{report.energy_db:.1f}"
        speech = {True: "yes", False: "no", None: "-"}[report.has_speech]
        print(
            f"{len(done):5} {report.start:7.2f} {report.latency_ms:11.2f} "
            f"{energy:>10}  {speech}"
        )
        done.append(report)
    return done


async def show_bar(
    reports: AsyncGenerator[ChunkReport, None], total: int
) -> list[ChunkReport]:
    """Advance a progress bar with each result."""
    done: list[ChunkReport] = []
    with tqdm(total=total, unit="chunk") as bar:
        async for report in reports:
            done.append(report)
            bar.update()
    return done


def show_summary(reports: list[ChunkReport]) -> None:
    """Print how much speech there was, and how the latency compares."""
    latencies = [report.latency_ms for report in reports]
    p50, p95 = np.percentile(latencies, [50, 95])
    late = sum(latency > TARGET_MS for latency in latencies)
    speech = [r.has_speech for r in reports if r.has_speech is not None]
    if speech:
        print(f"speech in {sum(speech)} of {len(reports)} chunks")
    else:
        print("the service returned no output of the node 'vad': speech is not known")
    print(
        f"latency p50 {p50:.2f} ms, p95 {p95:.2f} ms, max {max(latencies):.2f} ms; "
        f"target {TARGET_MS:.0f} ms "
        + (f"missed by {late} of {len(reports)} chunks" if late else "met by all")
    )


def plot(wav: Path, reports: list[ChunkReport], target: Path) -> None:
    """Draw the waveform with the speech in it, and the latency of each chunk."""
    from matplotlib.figure import Figure  # here, because importing it takes long

    audio = AudioBuffer.from_wav(wav)
    samples = audio.to_float32().mean(axis=1)
    seconds = np.arange(audio.frames) / audio.sample_rate
    starts = [report.start for report in reports]
    ends = [*starts[1:], audio.duration]

    figure = Figure(figsize=(10, 5), layout="constrained")
    wave, latency = figure.subplots(2, sharex=True)
    wave.plot(seconds, samples, linewidth=0.5, color="tab:blue")
    label = "speech"
    for report, start, end in zip(reports, starts, ends, strict=True):
        if report.has_speech:
            wave.axvspan(start, end, color="tab:green", alpha=0.25, lw=0, label=label)
            label = "_"  # no second entry in the legend
    wave.set(title=wav.name, ylabel="amplitude", xlim=(0, audio.duration))
    wave.legend(loc="upper right")
    latency.bar(
        starts,
        [report.latency_ms for report in reports],
        width=np.subtract(ends, starts),
        align="edge",
        color="tab:orange",
        label="chunk",
    )
    latency.axhline(TARGET_MS, color="tab:red", linestyle="--", label="target")
    latency.set(xlabel="time in the file (s)", ylabel="latency (ms)")
    latency.legend(loc="center right")
    figure.savefig(target)
    print(f"wrote {target}")


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Stream a WAV file through resampling and voice activity detection."
    )
    parser.add_argument(
        "wav",
        nargs="?",
        type=Path,
        default=SPEECH,
        metavar="FILE.wav",
        help="PCM or float WAV file (default: a short clip of speech)",
    )
    add_address_option(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE.wav", help="write the processed audio"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw waveform, speech regions and latency",
    )
    arguments = parser.parse_args()
    try:
        reports = asyncio.run(run(arguments.wav, arguments.address, arguments.out))
        if arguments.plot is not None:
            plot(arguments.wav, reports, arguments.plot)
    except (RemoteMediaError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
