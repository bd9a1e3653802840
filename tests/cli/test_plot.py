"""The picture of a stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from remotemedia.cli.plot import draw
from tests.support.pipelines import tone


def test_nothing_can_be_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "picture.svg", [], [])
    assert "<svg" in (tmp_path / "picture.svg").read_text()


def test_the_ending_decides_the_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="xyz"):
        draw(tmp_path / "picture.xyz", [tone(160)], [1.0])
