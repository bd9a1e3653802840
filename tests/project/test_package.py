"""The package as users get it: exports, imports, and the installed wheel.

``test_release.py`` is about what is in the wheel, and its version.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import remotemedia
from tests.support.environments import Environment, build_wheel

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "remotemedia"


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
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A new environment with the wheel."""
    wheel = build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.install(wheel)
    return environment


def test_the_installed_generator_is_a_program_and_a_plugin(
    installed: Environment, tmp_path: Path
) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "thing.proto").write_text(
        'syntax = "proto3";\npackage shop;\nmessage Thing { string name = 1; }\n'
    )
    (tmp_path / "two").mkdir()
    run = functools.partial(subprocess.run, cwd=tmp_path, check=True)
    programs = installed.programs
    run([programs / "remotemedia-codegen", "--out", "one"], stdout=subprocess.DEVNULL)
    plugin = programs / "protoc-gen-remotemedia"
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
        f"    assert module.__file__.startswith({str(installed.packages)!r})\n"
        "assert bytes(shop.Thing(name='a')) == b'\\x0a\\x01a'\n"
    )
    subprocess.run(
        [programs / "python", "-c", program], cwd=tmp_path / "one", check=True
    )


@pytest.mark.parametrize("program", ["main", "run_plugin"])
def test_without_the_extra_a_program_says_what_to_install(
    installed: Environment, program: str
) -> None:
    # Without the `site` module the dependencies are not found.
    run = installed.run(
        *("python", "-S", "-c"),
        f"import sys; sys.path.insert(0, {str(installed.packages)!r})\n"
        f"from remotemedia_codegen.__main__ import {program}\n"
        f"sys.exit({program}())",
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "pip install 'remotemedia[codegen]'" in run.stderr


def test_what_the_messages_say_to_install_needs_no_index_for_the_library(
    installed: Environment,
) -> None:
    """It may come from a wheel or a checkout: pip keeps it, and adds the extra."""
    installed.pip("install", "--no-index", "remotemedia[cli,codegen,otel]")
    run = installed.run(
        "python", "-c", "import remotemedia; print(remotemedia.__file__)"
    )
    assert run.stdout.startswith(str(installed.packages))
