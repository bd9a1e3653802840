"""What the commands write: tables for people, and JSON for programs.

The result goes to standard output, and everything else to standard error, so that a
pipe gets only the result. A progress bar is the exception: where the result is shown on
a terminal, the bar is below it on the same one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from remotemedia.protobuf import Enum
from remotemedia.v1 import AudioBuffer, ChunkResult, ExecutionResult

if TYPE_CHECKING:
    from remotemedia.data_v1 import DataBuffer

_MAX_CHARACTERS = 1000
"""How much a table shows of a value."""


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


def progress(*, as_json: bool = False) -> Progress:
    """A progress bar, which shows only on a terminal, and not among JSON."""
    results = Console(highlight=False)
    console = results if results.is_terminal else Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal or (as_json and console is results),
        transient=True,
        # rich would send standard output to the bar's console, past a pipe.
        redirect_stdout=False,
        redirect_stderr=False,
    )


def show_result(result: ChunkResult, start_s: float, bar: Progress) -> None:
    """Write the outputs for a chunk as a line to standard output.

    On a terminal it is above a progress bar, and cut off at the edge.

    Args:
        result: the outputs.
        start_s: where in the recording the chunk begins.
        bar: the progress bar.
    """
    line = Text.assemble((f"{result.sequence:4} {start_s:7.2f} s", "dim"))
    for name, text in result.data_outputs.items():
        line.append(f"  {name} ", "bold").append(JSONHighlighter()(text))
    for name, buffer in result.audio_outputs.items():
        seconds = round(buffer.duration, 3)
        line.append(f"  {name} ", "bold").append(f"{seconds:g} s audio")
    for output in others(result):
        kind = "" if output.kind == "text" else output.kind
        line.append(f"  {output.name} ", "bold").append(f"{output.text} {kind}".strip())
    console = Console(highlight=False) if bar.console.stderr else bar.console
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        console.print(line, soft_wrap=True)


def shortened(text: str) -> str:
    """A text that is not too long for a table."""
    if len(text) <= _MAX_CHARACTERS:
        return text
    return f"{text[:_MAX_CHARACTERS]}… ({len(text)} characters; --json shows all)"


def outputs(result: ExecutionResult | ChunkResult) -> dict[str, Any]:
    """The outputs of a pipeline by kind, as JSON has them.

    Of audio, arrays, video and bytes it has only what they are.
    """
    audio, data = result.audio_outputs, result.data_outputs
    found: dict[str, Any] = {
        "audio": {name: described(buffer) for name, buffer in audio.items()},
        "data": {name: decoded(text) for name, text in data.items()},
    }
    for output in others(result):
        found.setdefault(output.kind, {})[output.name] = output.value
    return found


class Output(NamedTuple):
    """An output that is neither audio nor JSON.

    Attributes:
        name: its name.
        kind: what it is, such as ``"array"``.
        value: what JSON has of it.
        text: the same for people.
    """

    name: str
    kind: str
    value: object
    text: str


def others(result: ExecutionResult | ChunkResult) -> Iterator[Output]:
    """The outputs that are neither audio nor JSON, which the data contract may have."""
    buffers: Mapping[str, DataBuffer] = getattr(result, "outputs", {})
    for name, buffer in buffers.items():
        kind = buffer.which_oneof("data_type")
        if kind not in ("audio", "json"):
            yield Output(name, *_shown(kind, buffer))


def _shown(kind: str, buffer: DataBuffer) -> tuple[str, object, str]:
    """The kind, the value and the text of an output; what it states is not checked."""
    if kind in ("numpy", "tensor"):
        array = buffer.numpy if kind == "numpy" else buffer.tensor
        dtype, shape = _name(array.dtype), list(array.shape)
        return "array", {"dtype": dtype, "shape": shape}, f"{dtype} {tuple(shape)}"
    if kind == "video":
        frame = buffer.video
        pixels = _name(frame.format)
        value = {"width": frame.width, "height": frame.height, "format": pixels}
        return "video", value, f"{frame.width} x {frame.height} {pixels}"
    if kind == "text":
        try:
            text = buffer.text.text
        except ValueError:
            # Not in the encoding that it states.
            text = buffer.text.text_data.decode(errors="replace")
        return "text", text, text
    if kind == "binary":
        size, mime_type = len(buffer.binary.data), buffer.binary.mime_type
        value = {"bytes": size, "mime_type": mime_type}
        return "binary", value, f"{size} bytes {mime_type}".rstrip()
    if kind == "file":
        return "file", buffer.file.to_dict(), buffer.file.path
    return kind or "empty", {}, ""


def _name(value: str | Enum) -> str:
    """The name of a member; its number if it has none. A ``str`` stays as it is."""
    return value if isinstance(value, str) else value.name or str(int(value))


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
