"""Fixtures of the codec tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.codec.generated import PROTOS, generate

if TYPE_CHECKING:
    from tests.codec.values import Pair


@pytest.fixture(scope="session")
def all_types(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Every message of `protos/`, by full name."""
    out = tmp_path_factory.mktemp("generated")
    return generate(PROTOS, out, "all_types", "elsewhere")
