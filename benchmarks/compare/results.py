"""The figures of a comparison, and the targets for them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmarks.compare.clients import GRPC_AIO, OURS

Figures = dict[str, float]
"""The figures of one round. Each name ends in its unit."""


@dataclass(frozen=True)
class Target:
    """The largest value that one of our figures should have.

    Attributes:
        limit: the largest value.
        is_ratio: whether the limit is for our figure divided by grpc.aio's.
        event_loop: the event loop for which the target holds.
    """

    limit: float
    is_ratio: bool = True
    event_loop: str = "asyncio"


@dataclass
class Measured:
    """All figures of one scenario.

    Attributes:
        title: what the scenario does.
        targets: the targets, by the names of their figures.
        rounds: the rounds, by client and event loop. A failed round has no figures.
    """

    title: str
    targets: dict[str, Target]
    rounds: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)

    def add(self, client: str, event_loop: str, figures: Figures) -> None:
        """Add the figures of a round."""
        self.rounds.setdefault((client, event_loop), []).append(figures)

    def names(self, event_loop: str) -> list[str]:
        """Return the names of all measured figures."""
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
        """Return the median of all rounds, or None if nothing was measured."""
        values = [
            figures[name]
            for figures in self.rounds.get((client, event_loop), ())
            if name in figures
        ]
        return statistics.median(values) if values else None

    def ratio(self, event_loop: str, name: str, client: str = OURS) -> float | None:
        """Return the median of the rounds' ratios of a client to grpc.aio."""
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
        """Return the target for a figure with an event loop, if there is one."""
        target = self.targets.get(name)
        return target if target and target.event_loop == event_loop else None

    def is_met(self, event_loop: str, name: str, target: Target) -> bool:
        """Tell whether a target is met."""
        value = (
            self.ratio(event_loop, name)
            if target.is_ratio
            else self.median(OURS, event_loop, name)
        )
        return value is not None and value <= target.limit
