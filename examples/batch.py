"""Find the speech in every WAV file of a folder, several files at a time.

    python examples/batch.py [FOLDER] [--address HOST:PORT] [--jobs N] [--out FILE.json]

Each file is streamed through resampling and voice activity detection. The result is
JSON, on stdout or in a file: the segments of speech in each file, in seconds. A file
that cannot be processed does not stop the others; all such files are reported at the
end, and the exit status is 1. Without an address, the program starts the embedded
reference service. Without a folder, it uses that of the examples' own data.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from service import add_address_option, connect
from tqdm import tqdm  # type: ignore[import-untyped]  # it has no type hints

from remotemedia import AudioBuffer, RemoteMediaClient, RemoteMediaError

DATA = Path(__file__).parent / "data"
CHUNKS_PER_SECOND = 10

MANIFEST = {
    "metadata": {"name": "speech-segments"},
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


async def find_speech(client: RemoteMediaClient, path: Path) -> dict[str, Any]:
    """Stream a file, and return its length and its segments of speech.

    The segments are None where the service does not tell speech from silence.
    """
    # Reading a file would hold up the streams of the others.
    audio = await asyncio.to_thread(AudioBuffer.from_wav, path)
    frames = max(1, audio.sample_rate // CHUNKS_PER_SECOND)
    has_verdict = False
    heard: set[int] = set()  # the numbers of the chunks that have speech in them
    chunks = (("resample", chunk) for chunk in audio.chunks(frames))
    async for result in client.stream_pipeline(MANIFEST, chunks):
        if "vad" in result.data_outputs:
            has_verdict = True
            if result.json("vad")["has_speech"]:
                # What a node held back comes after the last chunk.
                heard.add(min(result.sequence, (audio.frames - 1) // frames))
    segments: list[list[float]] = []
    for number in sorted(heard):
        start, end = number * frames, min((number + 1) * frames, audio.frames)
        if segments and segments[-1][1] == start:
            segments[-1][1] = end
        else:
            segments.append([start, end])
    return {
        "duration_s": round(audio.duration, 3),
        "speech_s": [
            [round(edge / audio.sample_rate, 3) for edge in segment]
            for segment in segments
        ]
        if has_verdict or not audio.frames
        else None,
    }


async def process_all(
    paths: list[Path], address: str | None, jobs: int
) -> tuple[dict[Path, dict[str, Any]], dict[Path, Exception]]:
    """Process the files, `jobs` at a time; return what was found, and what failed."""
    found: dict[Path, dict[str, Any]] = {}
    failures: dict[Path, Exception] = {}
    is_free = asyncio.Semaphore(jobs)

    async def process(client: RemoteMediaClient, path: Path) -> None:
        async with is_free:
            try:
                found[path] = await find_speech(client, path)
            except (RemoteMediaError, OSError, ValueError) as error:
                failures[path] = error

    async with connect(address, "AudioResample", "VAD") as (client, _):
        with tqdm(total=len(paths), unit="file") as bar:
            for done in asyncio.as_completed([process(client, p) for p in paths]):
                await done
                bar.update()
    return found, failures


def run(folder: Path, address: str | None, jobs: int, out: Path | None) -> int:
    """Process a folder, write the JSON, report what failed; return the exit status."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".wav")
    if not paths:
        raise ValueError(f"{folder} has no WAV files in it")
    found, failures = asyncio.run(process_all(paths, address, jobs))

    by_name = {
        path.relative_to(folder).as_posix(): found[path] for path in sorted(found)
    }
    text = json.dumps(by_name, indent=2)
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n")
        print(f"wrote {out}", file=sys.stderr)
    if any(each["speech_s"] is None for each in found.values()):
        print(
            "the service returned no output of the node 'vad': speech is not known "
            "where the JSON says null",
            file=sys.stderr,
        )
    if failures:
        print(f"{len(failures)} of {len(paths)} files failed:", file=sys.stderr)
    for path in sorted(failures):
        print(f"  {path}: {failures[path]}", file=sys.stderr)
    return 1 if failures else 0


def positive(text: str) -> int:
    """Read a positive number from the command line."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Find the speech in every WAV file of a folder."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=DATA,
        metavar="FOLDER",
        help="the folder, searched with all below it (default: the examples' data)",
    )
    add_address_option(parser)
    parser.add_argument(
        "--jobs",
        type=positive,
        default=4,
        metavar="N",
        help="how many files are processed at a time (default: 4)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="write the JSON to a file"
    )
    arguments = parser.parse_args()
    try:
        return run(arguments.folder, arguments.address, arguments.jobs, arguments.out)
    except (RemoteMediaError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
