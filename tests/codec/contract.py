"""The messages of the contract, each as Google's class and as ours."""

from __future__ import annotations

import pytest

from conformance import oracle
from tests.codec.values import Pair, pair_of

GOOGLE = oracle.load()
PAIRS = {
    descriptor.name: pair_of(descriptor)
    for descriptor in sorted(
        GOOGLE.descriptors("remotemedia.v1"), key=lambda found: found.full_name
    )
}


def pair(name: str) -> Pair:
    """Return the contract's message of that name."""
    return PAIRS[name]


every_message = pytest.mark.parametrize("pair", PAIRS.values(), ids=str)
