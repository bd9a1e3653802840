"""Builds the sdist and the wheel, and says what must be in them.

The same source gives the same bytes, wherever and whenever it is built, so that anyone
can check that a published file comes from this source.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from release.process import ReleaseError, run

# The folders of a wheel, by their names in the repository.
PACKAGES = {"remotemedia": "remotemedia", "codegen": "remotemedia_codegen"}
# What of these folders is for work in the repository only.
NOT_INSTALLED = ("codegen/editable/", "codegen/standard/", "codegen/descriptors.py")
# Sources, the marker of typed packages, and templates.
INSTALLED = (".py", "/py.typed", ".j2")
METADATA = (
    "METADATA",
    "RECORD",
    "WHEEL",
    "entry_points.txt",
    "licenses/LICENSE-APACHE",
    "licenses/LICENSE-MIT",
)


@dataclass(frozen=True)
class Archives:
    """What a release publishes."""

    sdist: Path
    wheel: Path


def sources(project: Path) -> set[str]:
    """Return the paths of all files that git knows, or would add."""
    listed = run(
        *("git", "ls-files", "--cached", "--others", "--exclude-standard"), cwd=project
    )
    return {path for path in listed.splitlines() if (project / path).exists()}


def build(project: Path, folder: Path, **variables: str) -> Archives:
    """Build both of a project into a new folder."""
    run(
        *(sys.executable, "-m", "hatchling", "build", "-d", folder),
        cwd=project,
        variables=variables,
    )
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return Archives(sdist, wheel)


def copy(project: Path, folder: Path) -> None:
    """Copy the sources of a project, with other times and permissions."""
    for path in sources(project):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / path, target)
        target.chmod(target.stat().st_mode & 0o700)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist; return the folder of the project."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


def check_same(one: Path, other: Path) -> None:
    """Check that two archives are the same, byte by byte."""
    if one.name != other.name or one.read_bytes() != other.read_bytes():
        raise ReleaseError(f"{one} and {other} differ")


def check_contents(archives: Archives, files: set[str]) -> None:
    """Check that the archives have the files that they must have, and no others."""
    name, version = archives.sdist.name.removesuffix(".tar.gz").split("-")
    if archives.wheel.name != f"{name}-{version}-py3-none-any.whl":
        raise ReleaseError(f"{archives.wheel.name} is not for every platform")
    with tarfile.open(archives.sdist) as sdist:
        found = {member.name for member in sdist if not member.isdir()}
    expected = {f"{name}-{version}/{path}" for path in {*files, "PKG-INFO"}}
    _check_equal(archives.sdist, found, expected)
    with zipfile.ZipFile(archives.wheel) as wheel:
        found = set(wheel.namelist())
    expected = {f"{name}-{version}.dist-info/{path}" for path in METADATA}
    expected |= {
        f"{PACKAGES[folder]}/{rest}"
        for folder, _, rest in (path.partition("/") for path in files)
        if folder in PACKAGES and rest.endswith((*INSTALLED, "py.typed"))
        if not f"{folder}/{rest}".startswith(NOT_INSTALLED)
    }
    _check_equal(archives.wheel, found, expected)


def _check_equal(archive: Path, found: set[str], expected: set[str]) -> None:
    lines = [f"  it has {name}" for name in sorted(found - expected)]
    lines += [f"  it lacks {name}" for name in sorted(expected - found)]
    if lines:
        raise ReleaseError(
            "\n".join([f"{archive.name} is not what it must be:", *lines])
        )
