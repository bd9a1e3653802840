"""Builds what a release publishes, and checks it: `make release-check`.

It installs packages from the index. The exit status is 0 if all checks pass.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release import archives, notes
from release.process import ReleaseError, run
from release.trial import EXTRA, Environment

PROJECT = Path(__file__).resolve().parents[1]
# The wheel has two packages, and W009 takes that for a mistake.
LINTER = ("check-wheel-contents", "--ignore", "W009")


def check(scratch: Path) -> None:
    """Run all checks, with a folder for what they write."""
    version = notes.read(PROJECT)
    print(f"version {version.version}, {version.date}, as in the changelog")

    dist = PROJECT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    built = archives.build(PROJECT, dist)
    print(f"built {built.sdist.name} and {built.wheel.name}")
    archives.check_contents(built, archives.sources(PROJECT))
    print("they have the files of the repository and of the package, and no others")

    archives.copy(PROJECT, scratch / "copy")
    again = archives.build(scratch / "copy", scratch / "again", TZ="Pacific/Apia")
    archives.check_same(built.sdist, again.sdist)
    archives.check_same(built.wheel, again.wheel)
    unpacked = archives.unpack(built.sdist, scratch)
    from_sdist = archives.build(unpacked, scratch / "from_sdist")
    archives.check_same(built.wheel, from_sdist.wheel)
    print("a copy of the repository gives the same bytes, and so does the sdist")

    programs = Path(sys.executable).parent
    run(programs / "twine", "check", "--strict", built.sdist, built.wheel)
    run(programs / LINTER[0], *LINTER[1:], built.wheel)
    print("twine and check-wheel-contents find nothing")

    environment = Environment(scratch / "environment")
    environment.install(built.wheel)
    environment.run_the_readme(PROJECT, extras=False)
    environment.look_for_the_hint()
    print("the wheel alone runs the quick start, and the command names its extra")
    environment.install(EXTRA)
    environment.run_the_command(version.version)
    environment.install("remotemedia[all]")
    environment.run("remotemedia-codegen", "--help")
    print("with the extras, the commands run")
    environment.install("--force-reinstall", "--no-deps", built.sdist)
    environment.run_the_readme(PROJECT, extras=True)
    print("the sdist installs, and runs all programs of the README")

    pytest = (sys.executable, "-m", "pytest", "-q", "--numprocesses=auto")
    result = run(*pytest, "-m", "not slow", cwd=unpacked)
    print(f"the fast tests in the sdist: {result.splitlines()[-1]}")

    (PROJECT / "build").mkdir(exist_ok=True)
    written = PROJECT / "build/RELEASE_NOTES.md"
    written.write_text(version.text)
    print(f"the notes are in {written.relative_to(PROJECT)}")


def main() -> int:
    """Run all checks; return the exit status."""
    with TemporaryDirectory() as folder:
        try:
            check(Path(folder))
        except ReleaseError as error:
            print(f"release-check: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
