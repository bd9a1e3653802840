"""What the documents and the CI name exists: targets, programs, files and links."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
DOCUMENTS = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        REPOSITORY / "conformance/README.md",
        REPOSITORY / ".pre-commit-config.yaml",
        REPOSITORY / ".ci/run",
    ]
)
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)


@every_document
def test_every_target_is_in_the_makefile(document: Path) -> None:
    text = document.read_text()
    # In backticks, in a hook, or as a line of a script or a code block.
    named = re.findall(r"(?:`|entry: )make ([a-z-]+)", text)
    named += re.findall(r"^make ([a-z-]+)(?: *#.*| [A-Z_]+=.*)?$", text, re.M)
    assert set(named) <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


@every_document
def test_every_program_exists(document: Path) -> None:
    ours = r"-m ((?:benchmarks|codegen|conformance|fuzz|remotemedia)[\w.]*)"
    for name in re.findall(ours, document.read_text()):
        assert importlib.util.find_spec(name.rstrip(".")) is not None, name


@every_document
def test_every_linked_file_exists(document: Path) -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / path).exists(), path


@every_document
def test_every_path_exists(document: Path) -> None:
    # What tools make, such as `build`, need not be there.
    made = (REPOSITORY / ".gitignore").read_text().split()
    paths = (path for path in REPOSITORY.iterdir() if f"{path.name}/" not in made)
    folders = "|".join(path.name for path in paths if path.is_dir())
    for path in re.findall(rf"`((?:{folders})/[\w./]*)`", document.read_text()):
        assert (REPOSITORY / path).exists(), path


def test_the_commit_hooks_name_no_other_repository() -> None:
    text = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    languages = re.findall(r"language: (\S+)", text)
    assert languages == ["system"] * len(re.findall(r"- id: ", text))
