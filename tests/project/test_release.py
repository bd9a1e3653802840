"""What ``make release-check`` finds. CI runs it too, because it downloads packages."""

from __future__ import annotations

import gzip
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from release import archives, bounds, notes
from release.process import ReleaseError, run

REPOSITORY = Path(__file__).resolve().parents[2]

# An unpacked sdist is no repository of git.
pytestmark = pytest.mark.skipif(
    not (REPOSITORY / ".git").exists(), reason="it needs a repository of git"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> archives.Archives:
    """The sdist and the wheel."""
    return archives.build(REPOSITORY, tmp_path_factory.mktemp("built"))


def test_the_archives_have_what_they_must_have(built: archives.Archives) -> None:
    archives.check_contents(built, archives.sources(REPOSITORY))


def test_other_times_and_places_give_the_same_bytes(
    built: archives.Archives, tmp_path: Path
) -> None:
    archives.copy(REPOSITORY, tmp_path / "copy")
    again = archives.build(tmp_path / "copy", tmp_path / "again", TZ="Pacific/Apia")
    archives.check_same(built.sdist, again.sdist)
    archives.check_same(built.wheel, again.wheel)
    unpacked = archives.unpack(built.sdist, tmp_path)
    from_sdist = archives.build(unpacked, tmp_path / "from_sdist")
    archives.check_same(built.wheel, from_sdist.wheel)


def test_archives_that_differ_are_told_apart(
    built: archives.Archives, tmp_path: Path
) -> None:
    other = tmp_path / built.sdist.name
    other.write_bytes(gzip.compress(gzip.decompress(built.sdist.read_bytes())))
    with pytest.raises(ReleaseError, match="differ"):
        archives.check_same(built.sdist, other)


def test_stray_and_missing_files_are_named(
    built: archives.Archives, tmp_path: Path
) -> None:
    files = archives.sources(REPOSITORY)
    with pytest.raises(ReleaseError, match=r"it lacks remotemedia-.*/docs/new\.md"):
        archives.check_contents(built, {*files, "docs/new.md"})
    with pytest.raises(ReleaseError, match=r"it has remotemedia-.*/README\.md"):
        archives.check_contents(built, files - {"README.md"})
    wheel = tmp_path / built.wheel.name
    wheel.write_bytes(built.wheel.read_bytes())
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("remotemedia/notes.txt", "")
    with pytest.raises(ReleaseError, match=r"it has remotemedia/notes\.txt"):
        archives.check_contents(archives.Archives(built.sdist, wheel), files)


def test_a_wheel_for_one_platform_is_refused(built: archives.Archives) -> None:
    name = built.wheel.name.replace("-any", "-linux_x86_64")
    wheel = built.wheel.with_name(name)
    with pytest.raises(ReleaseError, match="is not for every platform"):
        archives.check_contents(archives.Archives(built.sdist, wheel), set())


def test_the_sdist_keeps_what_can_be_run(built: archives.Archives) -> None:
    with tarfile.open(built.sdist) as archive:
        modes = {member.name.partition("/")[2]: member.mode for member in archive}
    assert modes[".ci/run"] == 0o755
    assert modes["Makefile"] == 0o644


def project(folder: Path, version: str, changelog: str) -> Path:
    """Write what the notes are read from."""
    (folder / "remotemedia").mkdir()
    source = f'"""A package."""\n\n__version__ = "{version}"\n'
    (folder / "remotemedia/__init__.py").write_text(source)
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\nAll of it.\n\n{changelog}")
    return folder


def test_the_notes_are_the_newest_section(tmp_path: Path) -> None:
    changelog = (
        "## 1.2.0 - 2026-11-28\n\n### Added\n\n- This.\n\n"
        "## 1.1.0 - 2026-01-01\n\n- That.\n"
    )
    read = notes.read(project(tmp_path, "1.2.0", changelog))
    assert read == notes.Notes("1.2.0", "2026-11-28", "### Added\n\n- This.\n")


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        ("", "begins with no version"),
        ("## 1.2.0\n\n- This.\n", "begins with no version and date"),
        ("## 1.2.0 - soon\n\n- This.\n", "begins with no version and date"),
        ("## 1.2.0 - unreleased\n\n## 1.1.0 - 2026-01-01\n\n- That.\n", "no version"),
        ("## 1.3.0 - unreleased\n\n- This.\n", "is 1.2.0, .* begins with 1.3.0"),
    ],
)
def test_a_changelog_without_the_version_is_refused(
    tmp_path: Path, changelog: str, said: str
) -> None:
    with pytest.raises(ReleaseError, match=said):
        notes.read(project(tmp_path, "1.2.0", changelog))


def test_the_version_is_that_of_the_changelog() -> None:
    assert notes.read(REPOSITORY).text.startswith("### ")


def test_the_lowest_versions_are_those_of_users() -> None:
    requirements = [
        "h2<4.5,>=4.4",
        "betterproto==2.0.0b7",
        "click>=8.1; extra == 'all'",
        "click>=8.1; extra == 'cli'",
        "tqdm>=4.66; extra == 'examples'",
        "winloop>=1; sys_platform == 'no platform' and extra == 'all'",
        "pytest>=8; extra == 'test'",
        "hatchling>=1.27; extra == 'test'",
    ]
    found = set(bounds.lowest(requirements))
    assert found == {"h2==4.4", "click==8.1", "tqdm==4.66", "hatchling==1.27"}


def test_what_a_program_prints_is_said_where_it_fails() -> None:
    assert run(sys.executable, "-c", "print('fine')") == "fine\n"
    with pytest.raises(ReleaseError, match="ended with 3:\nwrong"):
        run(sys.executable, "-c", "print('wrong'); exit(3)")
    with pytest.raises(ReleaseError, match="ended with 0:\nfine"):
        run(sys.executable, "-c", "print('fine')", fails=True)
