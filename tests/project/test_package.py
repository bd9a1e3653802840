"""Guards against drift: exports, version, and what a wheel carries."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import remotemedia

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "remotemedia"


def test_all_is_what_is_exported() -> None:
    public = {
        name
        for name, value in vars(remotemedia).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public | {"__version__"} == set(remotemedia.__all__)
    assert remotemedia.__all__ == sorted(remotemedia.__all__)


def test_the_package_gives_what_the_generated_code_gives() -> None:
    from remotemedia import v1

    for name in set(remotemedia.__all__) & set(v1.__all__):
        assert getattr(remotemedia, name) is getattr(v1, name)


def test_the_changelog_begins_with_this_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == remotemedia.__version__


def test_nothing_imports_the_generator() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert "import codegen" not in path.read_text()
        assert "from codegen" not in path.read_text()


def test_importing_does_not_need_the_extras() -> None:
    """Not even where they are installed: they load when they are used."""
    program = (
        "import sys, remotemedia, remotemedia.testing;"
        "extras = {'soundfile', 'soxr', 'matplotlib', 'tqdm', 'grpc', 'uvloop'};"
        "sys.exit(len(extras & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_does_not_load_what_can_wait() -> None:
    """What few programs need, or only some errors, loads when it is used."""
    program = (
        "import sys\n"
        "from remotemedia import *\n"
        "chunk = AudioBuffer(samples=bytes(8), sample_rate=8000, channels=1,\n"
        "    format=AudioFormat.F32, num_samples=2)\n"
        "chunk.validate()\n"
        "assert len(list(chunk.chunks(1))) == 2\n"
        "waiting = {'numpy', 'uuid', 'difflib', 'remotemedia.protobuf.wkt'}\n"
        "sys.exit(len(waiting & set(sys.modules)))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_client_does_not_read_the_metadata_of_packages() -> None:
    """It takes as long as importing all of the client's own modules does."""
    for path in PACKAGE.rglob("*.py"):
        if "testing" in path.parts:
            continue
        assert "importlib.metadata" not in path.read_text()


def test_a_wheel_carries_what_is_needed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.split("-")[1] == remotemedia.__version__
    names = zipfile.ZipFile(wheel).namelist()
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    carried = {name for name in names if ".dist-info/" not in name}
    assert carried == sources
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE-MIT", "LICENSE-APACHE"}
