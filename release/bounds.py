"""`python -m release.bounds` prints the lowest versions that the library allows.

They are for pip, and of what users install. Packages that only development needs are
left out.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement

EXTRAS = ("", "all", "examples")
# Of the extra `test`: what builds the library, and what needs the same version of the
# package `opentelemetry-api`.
TOOLS = ("hatchling", "opentelemetry-sdk")


def lowest(requirements: Iterable[str]) -> Iterator[str]:
    """Yield the lowest version of each requirement that has a lower bound."""
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        extras = (*EXTRAS, "test") if requirement.name in TOOLS else EXTRAS
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        for bound in requirement.specifier:
            if bound.operator == ">=":
                yield f"{requirement.name}=={bound.version}"


if __name__ == "__main__":
    print(*sorted(set(lowest(importlib.metadata.requires("remotemedia") or ()))))
