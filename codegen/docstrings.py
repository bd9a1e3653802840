"""Turns the comments of a proto into docstrings.

A comment may hold anything, and the docstring holds the same text: quotes, backslashes
and control characters are escaped, and long lines are wrapped between words. The lines
of lists, tables and code keep their shape, because wrapping would destroy it.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

WIDTH = 88
"""Columns of the generated code."""

# The bullet or the number of a list's item, with the space around it.
_ITEM = re.compile(r"\s*(?:(?:[-*+•]|\d+[.)])\s+)?")
_FENCE = re.compile(r"\s*(?:```|~~~)")
# Lines that wrapping would destroy: code, which is indented, and rows of tables.
_VERBATIM = re.compile(r" {4}|\s*\|")
_PLAIN = re.compile(r"[\n -~]*")
# Characters that break the source or do not show: control and format characters,
# surrogates, and separators of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def docstring(text: str, indent: int = 0) -> str:
    """Format a comment as a docstring that stands `indent` columns from the left."""
    lines = _wrap(_escape(text), WIDTH - indent - 6)
    if len(lines) == 1:
        return f'"""{_escape_end(lines[0])}"""'
    pad = " " * indent
    return "\n".join(
        [
            f'"""{lines[0]}',
            *(pad + line if line else "" for line in lines[1:]),
            f'{pad}"""',
        ]
    )


def _escape(text: str) -> str:
    """Escape what would end the string, or mean something else in it."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return text if _PLAIN.fullmatch(text) else "".join(map(_escape_hidden, text))


def _escape_hidden(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode()


def _escape_end(line: str) -> str:
    """Escape a quote at the end, which would be taken for one of the closing ones."""
    found = re.search(r'(\\*)"$', line)
    is_escaped = found is None or len(found[1]) % 2 == 1
    return line if is_escaped else f'{line[:-1]}\\"'


def _wrap(text: str, width: int) -> list[str]:
    lines: list[str] = []
    in_code = False
    for line in text.split("\n"):
        is_fence = _FENCE.match(line) is not None
        if len(line) <= width or in_code or is_fence or _VERBATIM.match(line):
            lines.append(line)
        else:
            lines += textwrap.wrap(
                line,
                width,
                subsequent_indent=" " * len(_ITEM.match(line)[0]),  # type: ignore[index]  # it matches anything
                break_long_words=False,
                break_on_hyphens=False,
            )
        in_code ^= is_fence
    return lines
