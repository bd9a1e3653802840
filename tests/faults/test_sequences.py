"""Random sequences of frames; ``ordeal.py`` says what holds for each of them."""

from __future__ import annotations

import pytest

from tests.faults.ordeal import ordeal


@pytest.mark.parametrize("seed", range(40))
async def test_any_sequence_costs_no_more_than_its_connection(seed: int) -> None:
    await ordeal(seed)
