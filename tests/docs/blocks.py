"""Finds the code blocks of the documents, and what the documents say they print."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    """A code block of a page.

    Attributes:
        language: the word after the fence.
        code: the text of the block.
        line: the line of the page that it begins in.
        output: the text of the block after it, if that is of the language `text` and in
            the same section: what the block prints. `…` stands for what differs.
    """

    language: str
    code: str
    line: int
    output: str | None = None

    @property
    def file_name(self) -> str | None:
        """The name of the file that it is, by its first line; None for no name."""
        named = re.match(r"(?:#|//) ([\w/]+\.\w+)\n", self.code)
        return None if named is None else named[1]

    @property
    def is_test(self) -> bool:
        """Whether it is a module of tests, for pytest."""
        tests = re.search(r"^(async )?def test_", self.code, re.MULTILINE)
        return self.language == "python" and tests is not None

    @property
    def is_run(self) -> bool:
        """Whether it is run: a program of Python, or whatever has its output shown.

        A file with a name is for another block to use, unless its output is shown.
        """
        if self.output is not None:
            return True
        return self.language == "python" and not (self.is_test or self.file_name)


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page, or those that are in one of these languages."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(match[2], textwrap.dedent(match[3]), line)
        is_new_section = re.search(r"^#", text[end : match.start()], re.MULTILINE)
        if block.language == "text" and found and not is_new_section:
            found[-1].output = block.code
        found.append(block)
        end = match.end()
    return [each for each in found if not languages or each.language in languages]


def name_of(page: Path) -> str:
    """Return the path of a page in the repository."""
    return page.relative_to(REPOSITORY).as_posix()
