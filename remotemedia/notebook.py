"""HTML for notebooks: the waveform of audio with a player, and messages as tables.

Notebooks call the method ``_repr_html_`` of what a cell evaluates to, and those methods
call this module. What it returns is bounded in size and escaped, and needs no other
package than numpy.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import wave
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

_WIDTH, _HEIGHT = 400, 80
"""The size of a waveform, in pixels, which is also how many columns it has."""

_PLAYER_S = 60
_PLAYER_RATE = 384_000
"""The highest sample rate that browsers play, in Hz."""
_PLAYER_SAMPLES = _PLAYER_S * 48_000 * 2
"""What one minute of stereo at 48 kHz has: 11.5 MB as 16 bits."""

_MAX_ROWS = 100
_MAX_TEXT = 300


def text(value: object) -> str:
    """Show a value as text, shortened."""
    shown = str(value)
    if len(shown) > _MAX_TEXT:
        shown = f"{shown[:_MAX_TEXT]}..."
    return f"<code>{html.escape(shown)}</code>"


def audio(array: npt.NDArray[Any], sample_rate: int) -> str:
    """Show audio: what it is, its waveform, and a player for the first minute.

    Args:
        array: the samples: shape ``(frames, channels)``, float32, int16 or int32.
        sample_rate: frames per second, in Hz.
    """
    frames, channels = array.shape
    about = (
        f"{frames / sample_rate:.3f} s, {sample_rate} Hz, {channels} "
        f"channel{'s' if channels > 1 else ''}, {array.dtype.name}"
    )
    shown = [f"<div>{about}</div>"]
    if frames:
        shown.append(_waveform(array))
        if sample_rate <= _PLAYER_RATE:
            shown.append(_player(array, sample_rate))
    return f"<div>{''.join(shown)}</div>"


def _floats(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert samples to floats from -1 to 1, with NaN as silence."""
    import numpy as np

    floats = array.astype(np.float32)
    if array.dtype.kind == "i":
        floats /= 1 << 8 * array.dtype.itemsize - 1
    return np.nan_to_num(floats).clip(-1, 1)


def _waveform(array: npt.NDArray[Any]) -> str:
    """Draw the lowest and the highest sample of each column, over all channels."""
    columns = min(_WIDTH, len(array))
    lines = []
    for column in range(columns):
        start = column * len(array) // columns
        part = _floats(array[start : (column + 1) * len(array) // columns])
        top, bottom = ((1 - level) * _HEIGHT / 2 for level in (part.max(), part.min()))
        x = (column + 0.5) * _WIDTH / columns
        # A constant level would be a line without a length, which is not drawn.
        lines.append(f"M{x:.1f} {top - 0.5:.1f}V{bottom + 0.5:.1f}")
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="waveform"><path d="{"".join(lines)}" '
        f'stroke="steelblue" stroke-width="{_WIDTH / columns:.2f}"/></svg>'
    )


def _player(array: npt.NDArray[Any], sample_rate: int) -> str:
    channels = min(array.shape[1], 2)
    frames = min(_PLAYER_S * sample_rate, _PLAYER_SAMPLES // channels)
    floats = _floats(array[:frames])
    if array.shape[1] > 2:
        channels = 1
        floats = floats.mean(axis=1)
    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((floats * 32767).astype("<i2").tobytes())
    data = base64.b64encode(wav.getbuffer()).decode()
    note = ""
    if frames < len(array):
        note = f"<div>The player has the first {frames / sample_rate:g} s.</div>"
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>{note}'


def table(message: Any) -> str:
    """Show the fields of a message that are set as a table.

    Maps and lists get a row for each item, and messages one for each of their fields.
    """
    rows: list[str] = []
    for name, value in _rows(message):
        if len(rows) == _MAX_ROWS:
            rows.append('<tr><td colspan="2">...</td></tr>')
            break
        cells = "".join(
            f'<td style="text-align: left">{text(cell)}</td>' for cell in (name, value)
        )
        rows.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _rows(message: Any) -> Iterator[tuple[str, object]]:
    # A message has no fields for messages that are not set.
    for field in dataclasses.fields(message):
        name, value = field.name, getattr(message, field.name)
        if isinstance(value, dict):
            yield from ((f"{name}[{key!r}]", item) for key, item in value.items())
        elif isinstance(value, list):
            yield from ((f"{name}[{at}]", item) for at, item in enumerate(value))
        elif dataclasses.is_dataclass(value):
            yield from ((f"{name}.{inner}", item) for inner, item in _rows(value))
        else:
            yield name, value
