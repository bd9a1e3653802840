"""The trees that the tests look at, each generated once, and all side by side."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegen.__main__ import main
from conformance import oracle
from tests.codegen import unusual

HERE = Path(__file__).parent
PROTOS = HERE / "protos"
CIRCLES = HERE / "circles"


def common_protos() -> Path:
    """Return the folder with the protos that Google's services have in common."""
    spec = importlib.util.find_spec("google.longrunning")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]).parents[1]


COMMON = sorted(
    path.relative_to(common_protos()).as_posix()
    for folder in ("api", "cloud", "gapic", "logging", "longrunning", "rpc", "type")
    for path in (common_protos() / "google" / folder).rglob("*.proto")
)


def generate(protos: Path, out: Path, *options: str) -> None:
    """Run the command."""
    assert main(["--protos", str(protos), "--out", str(out), *options]) == 0


@pytest.fixture(scope="package")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder that all protos were generated into, importable."""
    out = tmp_path_factory.mktemp("generated")
    generate(PROTOS, out)
    generate(CIRCLES, out)
    (out / "relative").mkdir()
    (out / "relative" / "__init__.py").touch()
    generate(CIRCLES, out / "relative", "--relative-imports")
    odd = tmp_path_factory.mktemp("unusual")
    unusual.write(odd)
    generate(odd, out)
    generate(common_protos(), out, "--package-prefix", "apis", *COMMON)
    with oracle.importable(out):
        yield out
