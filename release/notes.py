"""The version, and what the changelog says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from release.process import ReleaseError


@dataclass(frozen=True)
class Notes:
    """The newest section of the changelog."""

    version: str
    date: str  # Or "unreleased".
    text: str


def read(project: Path) -> Notes:
    """Return the notes of the version that the package has."""
    source = (project / "remotemedia/__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', source, re.M)
    changelog = (project / "CHANGELOG.md").read_text()
    sections = re.split(r"^## ", changelog, flags=re.M)[1:]
    heading, _, text = (sections or [""])[0].partition("\n")
    found = re.fullmatch(r"(\S+) - (\d{4}-\d\d-\d\d|unreleased)", heading)
    if found is None or not text.strip():
        raise ReleaseError(f"CHANGELOG.md begins with no version and date: {heading!r}")
    if found[1] != version:
        raise ReleaseError(
            f"remotemedia.__version__ is {version}, and CHANGELOG.md begins with "
            f"{found[1]}"
        )
    return Notes(version, found[2], text.strip() + "\n")
