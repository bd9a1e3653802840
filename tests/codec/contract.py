"""The messages of both contracts, each as Google's class and as ours."""

from __future__ import annotations

import pytest

from conformance import oracle
from tests.codec.values import Pair, pair_of


def pairs_of(google: oracle.Google, package: str) -> dict[str, Pair]:
    """Return the messages of a contract; `package` is the Python package of ours."""
    descriptors = sorted(
        google.descriptors("remotemedia.v1"), key=lambda found: found.full_name
    )
    return {found.name: pair_of(found, package) for found in descriptors}


PAIRS = pairs_of(oracle.load(), "remotemedia.v1")
DATA_PAIRS = pairs_of(oracle.load(oracle.DATA_CONTRACT), "remotemedia.data_v1")


def pair(name: str) -> Pair:
    """Return the audio contract's message of that name."""
    return PAIRS[name]


# A part of the data contract is deprecated: constructing it warns.
data_messages = [
    pytest.param(
        pair,
        id=f"data-{name}",
        marks=pytest.mark.filterwarnings(r"ignore:[\w.]+ is deprecated"),
    )
    for name, pair in DATA_PAIRS.items()
]
every_message = pytest.mark.parametrize(
    "pair",
    [*(pytest.param(pair, id=name) for name, pair in PAIRS.items()), *data_messages],
)
