"""Files of other packages in the folder of the library: what users are told.

The wheels of ``sdk`` and ``runtime`` have the names and the layout of those that the
service project publishes.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import remotemedia
from remotemedia import foreign
from tests.support.environments import Environment, build_wheel

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path(remotemedia.__file__).parent

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "0.2.0"
[tool.hatch.build.targets.wheel]
include = ["remotemedia"]
"""
IMPORTS = ("import remotemedia", "from remotemedia.blocking import RemoteMediaClient")


def foreign_wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Build the wheel of another package that is imported as ``remotemedia``."""
    (folder / "remotemedia/core").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name))
    for path, text in files.items():
        (folder / "remotemedia" / path).write_text(text)
    return build_wheel(folder, folder / "dist")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this library."""
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel like that of ``remotemedia-client``."""
    files = {
        "__init__.py": "import a_package_that_is_missing\n",
        "cli.py": "",
        "core/__init__.py": "",
    }
    return foreign_wheel(tmp_path_factory.mktemp("sdk"), "remotemedia-client", files)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel like that of ``remotemedia-ffi``: its one module is in machine code."""
    files = {"__init__.py": "# Namespace package\n", "runtime.abi3.so": ""}
    return foreign_wheel(tmp_path_factory.mktemp("runtime"), "remotemedia-ffi", files)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A new environment."""
    return Environment(tmp_path / "environment")


def refusal_of_the_command(environment: Environment) -> str:
    """Run the command, which fails, and return what it says."""
    run = environment.run("remotemedia", "--help")
    assert (run.returncode, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr
    return run.stderr.strip()


def refusal(environment: Environment, statement: str) -> str:
    """Run a statement, which fails to import, and return the message."""
    run = environment.run("python", "-c", statement)
    assert run.returncode == 1
    before, _, message = run.stderr.partition("\nImportError: ")
    assert before.startswith("Traceback"), run.stderr
    return message.strip()


def test_an_environment_without_other_packages_is_sound(
    environment: Environment, ours: Path
) -> None:
    environment.install(ours)
    folder = environment.packages / "remotemedia"
    (folder / ".DS_Store").touch()
    (folder / "removed/__pycache__").mkdir(parents=True)
    (folder / "removed/__pycache__/__init__.cpython-310.pyc").touch()
    for statement in IMPORTS:
        run = environment.run("python", "-W", "error", "-c", statement)
        assert (run.returncode, run.stderr) == (0, "")
    run = environment.run("remotemedia", "--help")
    assert run.returncode == 0
    assert "stream" in run.stdout


def test_over_files_of_another_package_nothing_is_imported(
    environment: Environment, ours: Path, sdk: Path
) -> None:
    environment.install(sdk)
    environment.install(ours)
    said = refusal_of_the_command(environment)
    assert f"{environment.packages / 'remotemedia'} has files of other packages" in said
    assert "remotemedia-client: core." in said
    for statement in IMPORTS:
        assert refusal(environment, statement) == said
    # It is the first thing that is imported, so that the traceback is short.
    traceback = environment.run("python", "-c", IMPORTS[0]).stderr
    assert traceback.count("  File ") == 4
    # What it says to do helps.
    uninstall, install = (shlex.split(line) for line in said.splitlines()[1:])
    assert uninstall[:4] == ["python", "-m", "pip", "uninstall"]
    assert install[:4] == ["python", "-m", "pip", "install"]
    environment.pip("uninstall", "--yes", *uninstall[4:])
    environment.pip("install", "--no-deps", "--no-index", *install[4:])
    assert environment.run("remotemedia", "--help").returncode == 0


def test_where_its_files_are_overwritten_the_command_still_speaks(
    environment: Environment, ours: Path, sdk: Path
) -> None:
    environment.install(ours)
    environment.install(sdk)
    assert "remotemedia-client: core." in refusal_of_the_command(environment)
    # Python runs the other package's code, and none of ours.
    run = environment.run("python", "-c", "import remotemedia")
    assert "a_package_that_is_missing" in run.stderr


def test_where_its_files_are_overwritten_no_call_is_made(
    environment: Environment, ours: Path, runtime: Path
) -> None:
    environment.install(ours)
    environment.install(runtime)
    said = refusal_of_the_command(environment)
    assert "remotemedia-ffi: runtime.abi3.so." in said
    for module in ("blocking", "testing", "v1", "grpc", "otel"):
        assert refusal(environment, f"import remotemedia.{module}") == said


def test_what_another_package_took_along_is_missed(
    environment: Environment, ours: Path, runtime: Path
) -> None:
    environment.install(ours)
    environment.install(runtime)
    environment.pip("uninstall", "--yes", "remotemedia-ffi")
    said = refusal_of_the_command(environment)
    assert f"{Path('remotemedia', '__init__.py')} is missing" in said
    assert refusal(environment, IMPORTS[1]) == said
    command = shlex.split(said.splitlines()[1])
    environment.pip("install", "--no-index", *command[4:])
    assert environment.run("remotemedia", "--help").returncode == 0


def test_files_that_nobody_owns_are_refused_in_an_installed_package(
    environment: Environment, ours: Path
) -> None:
    environment.install(ours)
    (environment.packages / "remotemedia/core.py").touch()
    said = refusal_of_the_command(environment)
    assert "no installed package owns: core.py." in said
    assert refusal(environment, IMPORTS[0]) == said


def test_another_package_that_is_found_first_is_named(
    environment: Environment, ours: Path
) -> None:
    environment.install(ours)
    other = environment.packages / "other"
    shutil.move(environment.packages / "remotemedia", other / "remotemedia")
    (environment.packages / "remotemedia").mkdir()
    (environment.packages / "remotemedia/__init__.py").touch()
    said = refusal_of_the_command(environment)
    assert f"finds another package, in {environment.packages / 'remotemedia'}." in said


def test_a_module_may_be_added_to_a_copy(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "remotemedia")
    (tmp_path / "remotemedia/core.py").touch()
    program = "import remotemedia; print(remotemedia.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(str(tmp_path))


def test_the_names_are_those_in_the_folder() -> None:
    names = {path.name.partition(".")[0] for path in PACKAGE.iterdir()}
    assert names | {"", "__pycache__"} == foreign._OURS


def test_a_sound_folder_is_only_listed() -> None:
    """What it takes to name the owners is not even imported."""
    program = (
        "import sys, runpy\n"
        f"runpy.run_path({foreign.__file__!r})\n"
        "sys.exit(len({'importlib.metadata', 'json', 'shlex'} & set(sys.modules)))\n"
    )
    subprocess.run([sys.executable, "-S", "-c", program], check=True)
