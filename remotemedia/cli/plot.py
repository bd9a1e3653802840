"""A picture of a stream: its audio, and the round trip of each chunk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from remotemedia.v1 import AudioBuffer


def check_ending(path: Path) -> None:
    """Check that matplotlib writes files with the ending of a path.

    Raises:
        click.BadParameter: it does not.
    """
    endings = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in endings:
        raise click.BadParameter(
            f"{path.name} does not end as a picture does: .png or .svg, for example",
            param_hint="--plot",
        )


def draw(
    path: Path, sent: Sequence[AudioBuffer], round_trips_ms: Sequence[float]
) -> None:
    """Write a picture; the ending of the path decides its kind.

    Raises:
        OSError: the file cannot be written.
        ValueError: matplotlib writes no files with this ending.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    above, below = figure.subplots(2, 1)
    if sent:
        samples = np.concatenate([buffer.to_float32()[:, 0] for buffer in sent])
        above.plot(
            np.arange(len(samples)) / sent[0].sample_rate, samples, linewidth=0.5
        )
    above.set(xlabel="time in s", ylabel="first channel", ylim=(-1, 1))
    below.plot(round_trips_ms, marker=".", linewidth=0.8)
    below.set(xlabel="result", ylabel="round trip in ms")
    below.set_ylim(bottom=0)
    figure.savefig(path)
