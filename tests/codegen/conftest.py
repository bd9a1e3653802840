"""The fixture protos, generated once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codegen.__main__ import main
from conformance import oracle

PROTOS = Path(__file__).parent / "protos"


@pytest.fixture(scope="package")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder that the fixture protos were generated into, importable."""
    out = tmp_path_factory.mktemp("generated")
    assert main(["--protos", str(PROTOS), "--out", str(out)]) == 0
    with oracle.importable(out):
        yield out
