"""Comments become docstrings that hold the same words, whatever the comments hold."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.docstrings import WIDTH, docstring

LONG = "x" * 100
PIECES = ['"', '"""', "\\", "\n", " ", "a b", "- item", "    code", "```", "|", LONG]
PIECES += ["\x00", "\r", "\x0c", "\u2028", "\u202e", "é", "漢", "#", "{", "'''"]
COMMENTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1).map(
    lambda parts: "".join(parts).encode("utf-8", "replace").decode().strip("\n")
)


def value(text: str, indent: int = 0) -> str:
    """Return the string that the docstring is."""
    found = ast.literal_eval(docstring(text, indent))
    assert isinstance(found, str)
    return found


@given(COMMENTS.filter(str.strip), st.sampled_from([0, 4, 8]))
def test_the_words_stay_as_they_are(text: str, indent: int) -> None:
    assert value(text, indent).split() == text.split()


@pytest.mark.parametrize("text", ['"""', 'ends in """', 'ends in "', "ends in \\", "'"])
def test_a_comment_may_end_in_anything(text: str) -> None:
    assert value(text) == text


def test_long_lines_are_wrapped_between_words() -> None:
    lines = docstring("word " * 40, 4).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= WIDTH


def test_a_word_longer_than_a_line_is_not_cut() -> None:
    url = "https://example.org/" + "a-b/" * 40
    path = "C:\\some\\where" * 12
    assert {url, path} <= set(value(f"See {url} and {path} for more.").split())


def test_the_items_of_a_list_are_indented() -> None:
    text = value("- " + "word " * 30 + "\n12. " + "word " * 30)
    first, second, third, fourth, *_ = text.splitlines()
    assert (first[:2], second[:3], third[:4], fourth[:5]) == (
        *("- ", "  w", "12. ", "    w"),
    )


@pytest.mark.parametrize(
    "text",
    [
        f"Code:\n\n    {'code ' * 30}\n\nText.",
        f"Code:\n```\n{'code ' * 30}\n```\nText.",
        f"| {'column | ' * 20}\n| {'--- | ' * 20}",
    ],
)
def test_code_and_tables_are_kept(text: str) -> None:
    assert [line.rstrip() for line in value(text).splitlines() if line] == [
        line.rstrip() for line in text.splitlines() if line
    ]
