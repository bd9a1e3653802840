"""What the commands write: tables for people, and JSON for programs.

The result goes to standard output, and everything else to standard error, so that a
pipe gets only the result.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from remotemedia.v1 import AudioBuffer


def say(text: str) -> None:
    """Write a line to standard error."""
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)


def show_json(value: object) -> None:
    """Write a value as one line of JSON to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a line and a table below it to standard output."""
    table = Table(*columns, box=box.SIMPLE, show_header=any(columns), pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(highlight=False)
    console.print(title, markup=False, soft_wrap=True)
    console.print(table)


def progress() -> Progress:
    """A progress bar on standard error, which shows only on a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def outputs(
    audio: Mapping[str, AudioBuffer], data: Mapping[str, str]
) -> dict[str, Any]:
    """The outputs of a pipeline, as JSON has them; of audio, only what it is."""
    return {
        "audio": {name: described(buffer) for name, buffer in audio.items()},
        "data": {name: decoded(text) for name, text in data.items()},
    }


def described(buffer: AudioBuffer) -> dict[str, object]:
    """What a buffer is, without its samples."""
    return {
        "seconds": round(buffer.duration, 6),
        "sample_rate": buffer.sample_rate,
        "channels": buffer.channels,
        "format": buffer.format.name,
    }


def decoded(text: str) -> object:
    """The value of a data output; its text, where that is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def write_audio(path: Path, audio: Mapping[str, AudioBuffer]) -> None:
    """Write the only audio output to a file.

    Raises:
        OSError: the file cannot be written.
        ValueError: there is no audio output, or there are several.
    """
    if len(audio) != 1:
        names = ", ".join(sorted(audio)) or "none"
        raise ValueError(f"--out needs exactly one audio output; there are: {names}")
    (buffer,) = audio.values()
    with AudioBuffer.file_writer(path) as writer:
        writer.write(buffer)
