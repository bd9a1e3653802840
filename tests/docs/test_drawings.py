"""The drawings are those that the tables in the code make."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from remotemedia.session.machine import TRANSITIONS, State
from tests.docs.drawings import ARROWS, DRAWINGS, IMAGES, PLACES, layers
from tests.project.test_wings import WINGS


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_up_to_date(name: str) -> None:
    """Else, run `python -m tests.docs.drawings`."""
    assert (IMAGES / name).read_text(encoding="utf-8") == DRAWINGS[name]()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_svg_with_a_title(name: str) -> None:
    svg = ET.parse(IMAGES / name).getroot()
    assert svg.findtext("{http://www.w3.org/2000/svg}title")


def test_a_part_stands_above_all_that_it_imports() -> None:
    rows = layers(WINGS)
    row_of = {wing: number for number, row in enumerate(rows) for wing in row}
    assert row_of.keys() == WINGS.keys()
    for wing, imported in WINGS.items():
        for name in imported & WINGS.keys():
            assert row_of[wing] < row_of[name], f"{wing} imports {name}"


def test_every_state_and_every_step_is_drawn() -> None:
    assert PLACES.keys() == set(State)
    steps = {(before, after) for (before, _), after in TRANSITIONS.items()}
    assert ARROWS.keys() == {(one, other) for one, other in steps if one is not other}
