"""Draw the chart of a comparison: cost relative to grpc.aio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.compare.clients import OURS, READY_MADE, STOCK, TITLES
from benchmarks.compare.results import Measured

PANELS = {"processor_us": "processor time", "wall_us": "wall time"}
MARKS = {OURS: ("#0b62c4", "o"), STOCK: ("#999999", "s"), READY_MADE: ("#2a9d4a", "|")}
TICKS = (0.25, 0.5, 1, 2, 4, 8)
_EVENT_LOOP = "asyncio"


def draw(found: Sequence[Measured], path: Path) -> None:
    """Draw the scenarios with calls and streams, on asyncio's own event loop."""
    shown = [m for m in found if "wall_us" in m.names(_EVENT_LOOP)]
    # A fixed salt, so that the same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
        _panel(axes, shown, name, title)
    panels[0].set_yticks(range(len(shown)), [m.title for m in shown])
    panels[0].invert_yaxis()
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5
    )
    figure.suptitle("Cost relative to grpc.aio (1); less is better")
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, shown: Sequence[Measured], name: str, title: str) -> None:
    axes.axvline(1, color="black", linewidth=1)
    for client, (colour, marker) in MARKS.items():
        ratios = [m.ratio(_EVENT_LOOP, name, client) for m in shown]
        points = [(r, y) for y, r in enumerate(ratios) if r is not None]
        axes.scatter(
            [ratio for ratio, _ in points],
            [y for _, y in points],
            color=colour,
            marker=marker,
            label=TITLES[client],
        )
    limits = [
        (target.limit, y)
        for y, m in enumerate(shown)
        if (target := m.target(_EVENT_LOOP, name))
    ]
    axes.scatter(
        [limit for limit, _ in limits],
        [y for _, y in limits],
        color="#c43b0b",
        marker="<",
        s=14,
        label="target of ours",
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.set_title(title)
