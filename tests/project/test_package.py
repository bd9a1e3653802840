"""The package as users get it: exports, version, imports, and the wheel."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import remotemedia

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "remotemedia"
GENERATOR = REPOSITORY / "codegen"


def test_all_is_what_is_exported() -> None:
    public = {
        name
        for name, value in vars(remotemedia).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public | {"__version__"} == set(remotemedia.__all__)
    # Constants, and whatever is written like one, come first, as ruff sorts them.
    by_kind = sorted(remotemedia.__all__, key=lambda name: (not name.isupper(), name))
    assert remotemedia.__all__ == by_kind


def test_the_package_reexports_the_generated_classes() -> None:
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
    """Extras are imported when they are used, even where they are installed."""
    program = (
        "import sys, remotemedia, remotemedia.testing;"
        "extras = {'soundfile', 'soxr', 'matplotlib', 'tqdm', 'grpc', 'uvloop'};"
        "sys.exit(len(extras & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_does_not_load_what_few_programs_need() -> None:
    """Modules that few programs or only some errors need are imported on first use."""
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
    """Reading it takes as long as importing all modules of the client.

    Only an import that fails reads it, to say whose files are in the way.
    """
    for path in PACKAGE.rglob("*.py"):
        if "testing" in path.parts or path.name == "foreign.py":
            continue
        assert "importlib.metadata" not in path.read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_a_wheel_has_all_sources_and_licences(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == remotemedia.__version__
    names = zipfile.ZipFile(wheel).namelist()
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    sources |= {
        f"remotemedia_codegen/{path.relative_to(GENERATOR).as_posix()}"
        for path in GENERATOR.rglob("*")
        if path.suffix in (".py", ".j2")
        if path.parent.name != "editable" and path.name != "descriptors.py"
    }
    carried = {name for name in names if ".dist-info/" not in name}
    assert carried == sources
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE-MIT", "LICENSE-APACHE"}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment; return its folder of programs.

    What the wheel depends on is that of this environment, because no test downloads.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(folder)})
    programs = Path(paths["scripts"])
    pip = [sys.executable, "-m", "pip", f"--python={programs / 'python'}", "install"]
    pip += ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel], check=True)
    dependencies = Path(paths["purelib"]) / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib"))
    return programs


def test_the_installed_generator_is_a_program_and_a_plugin(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "thing.proto").write_text(
        'syntax = "proto3";\npackage shop;\nmessage Thing { string name = 1; }\n'
    )
    (tmp_path / "two").mkdir()
    run = functools.partial(subprocess.run, cwd=tmp_path, check=True)
    run([installed / "remotemedia-codegen", "--out", "one"], stdout=subprocess.DEVNULL)
    plugin = installed / "protoc-gen-remotemedia"
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "thing.proto"]
    run([*protoc, f"--plugin={plugin}", "--remotemedia_out=two"])
    one, two = (
        {path.name: path.read_text() for path in (tmp_path / name / "shop").iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    program = (
        "import remotemedia, remotemedia_codegen, shop\n"
        "for module in (remotemedia, remotemedia_codegen):\n"
        f"    assert module.__file__.startswith({str(installed.parent)!r})\n"
        "assert bytes(shop.Thing(name='a')) == b'\\x0a\\x01a'\n"
    )
    subprocess.run(
        [installed / "python", "-c", program], cwd=tmp_path / "one", check=True
    )


@pytest.mark.parametrize("program", ["main", "run_plugin"])
def test_without_the_extra_a_program_says_what_to_install(
    installed: Path, program: str
) -> None:
    # Without the `site` module the dependencies are not found.
    packages = sysconfig.get_path("purelib", vars={"base": str(installed.parent)})
    run = subprocess.run(
        [
            *(installed / "python", "-S", "-c"),
            f"import sys; sys.path.insert(0, {packages!r})\n"
            f"from remotemedia_codegen.__main__ import {program}\n"
            f"sys.exit({program}())",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "pip install 'remotemedia[codegen]'" in run.stderr
