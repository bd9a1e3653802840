"""What was measured, and what is asked of it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmarks.compare.clients import GRPC_AIO, OURS

Figures = dict[str, float]
"""The figures of one round, by a name that ends in the unit."""


@dataclass(frozen=True)
class Target:
    """What a figure of ours must not be above.

    Attributes:
        limit: the number.
        is_ratio: whether it is of ours divided by grpc.aio's.
        event_loop: the event loop that it is to be reached with.
    """

    limit: float
    is_ratio: bool = True
    event_loop: str = "asyncio"


@dataclass
class Measured:
    """All figures of one scenario.

    Attributes:
        title: what was done.
        targets: by the figure's name.
        rounds: by client and event loop; a round that failed has no figures.
    """

    title: str
    targets: dict[str, Target]
    rounds: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)

    def add(self, client: str, event_loop: str, figures: Figures) -> None:
        """Take the figures of a round."""
        self.rounds.setdefault((client, event_loop), []).append(figures)

    def names(self, event_loop: str) -> list[str]:
        """The names of the figures that there are."""
        return list(
            dict.fromkeys(
                name
                for (_, loop), rounds in self.rounds.items()
                if loop == event_loop
                for figures in rounds
                for name in figures
            )
        )

    def median(self, client: str, event_loop: str, name: str) -> float | None:
        """The median of all rounds, or None where nothing was measured."""
        values = [
            figures[name]
            for figures in self.rounds.get((client, event_loop), ())
            if name in figures
        ]
        return statistics.median(values) if values else None

    def ratio(self, event_loop: str, name: str, client: str = OURS) -> float | None:
        """The median of a client's figure divided by grpc.aio's of the same round."""
        pairs = zip(
            self.rounds.get((client, event_loop), ()),
            self.rounds.get((GRPC_AIO, event_loop), ()),
            strict=False,
        )
        ratios = [
            theirs[name] / base[name]
            for theirs, base in pairs
            if name in theirs and name in base
        ]
        return statistics.median(ratios) if ratios else None

    def target(self, event_loop: str, name: str) -> Target | None:
        """What is asked of a figure with an event loop."""
        target = self.targets.get(name)
        return target if target and target.event_loop == event_loop else None

    def is_met(self, event_loop: str, name: str, target: Target) -> bool:
        """Whether a target is reached."""
        value = (
            self.ratio(event_loop, name)
            if target.is_ratio
            else self.median(OURS, event_loop, name)
        )
        return value is not None and value <= target.limit
