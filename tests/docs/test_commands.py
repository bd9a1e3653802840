"""The commands that the documents name exist, with their options and extras."""

from __future__ import annotations

import importlib.util
import re
import shlex
from importlib.metadata import metadata
from pathlib import Path

import click
import pytest

from codegen.command import _parser as generator
from remotemedia.cli.app import app
from tests.docs.blocks import PAGES, REPOSITORY, blocks, name_of

# Commands that are not ours, which the documents may name.
OTHERS = {
    *(".", "cat", "cd", "curl", "echo", "git", "grep", "kill", "mkdir"),
    *("grpcurl", "gunicorn", "jupyter", "protoc", "pytest", "uvicorn"),
}
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
EXTRAS = set(metadata("remotemedia").get_all("Provides-Extra", []))


def commands(page: Path) -> list[str]:
    """Return every command of the shell blocks of a page, and ours in its sentences."""
    found = []
    for block in blocks(page, "sh", "console", "bash"):
        lines = block.code.replace("\\\n", " ").splitlines()
        if block.language == "console":
            # What follows a line without a prompt is output.
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found += lines
    sentences = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    ours = r"`((?:remotemedia|make|python3? -m) [^`]+)`"
    found += [" ".join(name.split()) for name in re.findall(ours, sentences)]
    return [line for line in found if shlex.split(line, comments=True)]


def check(words: list[str], page: Path) -> None:
    """Check one command, from its name to the last argument."""
    name, *rest = words
    if name == "make":
        targets = {word for word in rest if "=" not in word and word != "-j"}
        assert targets <= TARGETS
    elif name == "remotemedia":
        check_ours(rest)
    elif name == "remotemedia-codegen":
        options = {name for a in generator()._actions for name in a.option_strings}
        assert {word for word in rest if word.startswith("-")} <= options
    elif name in {"python", "python3", ".venv/bin/python"}:
        check_python(rest, page)
    elif name == "pip":
        assert rest[0] in {"install", "uninstall"}
    else:
        assert name in OTHERS, f"unknown command {name}"


def check_ours(words: list[str]) -> None:
    """Check a command of ``remotemedia``: its name and its options."""
    command: click.Command = app
    if words and words[0] in app.commands:
        command = app.commands[words.pop(0)]
    elif words:
        assert words[0] in {"COMMAND", "--help", "--version"}, words[0]
        return
    known = {option for each in command.params for option in each.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


def check_python(words: list[str], page: Path) -> None:
    """Check that a module or a program exists."""
    while words and words[0] in {"-W", "-X"}:
        words = words[2:]
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None, words[1]
        if words[1] == "remotemedia":
            check_ours(words[2:])
    elif words[0] != "-c":
        named = {block.file_name for block in blocks(page, "python")}
        assert words[0] in named or (REPOSITORY / words[0]).exists(), words[0]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    for line in commands(page):
        for part in re.split(r"\s(?:\||&&|;)\s", line):
            words = shlex.split(part.rstrip("& "), comments=True)
            # Variables before the command.
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and not words[0].startswith("pre-commit"):
                check(words, page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_extra_exists(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"(?:remotemedia|['\" ]\.)\[([\w,-]+)\]", text)
    assert {extra for names in named for extra in names.split(",")} <= EXTRAS
