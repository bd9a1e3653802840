"""What is used of betterproto is what docs/explanation/betterproto.md lists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import betterproto
import pytest

from remotemedia import protobuf

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = (REPOSITORY / "docs/explanation/betterproto.md").read_text()


def section(title: str) -> str:
    return DOCUMENT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def used(folder: str, but: str | None) -> set[str]:
    """Return the full names of betterproto's that the modules in a folder use.

    Args:
        folder: the folder.
        but: a folder in it that does not count, or None.
    """
    found = set()
    for path in (REPOSITORY / folder).rglob("*.py"):
        if but is not None and path.is_relative_to(REPOSITORY / but):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add(f"{node.value.id}.{node.attr}")
    return {name for name in found if name.startswith("betterproto.")}


@pytest.mark.parametrize(
    ("title", "folder", "but"),
    [
        ("In messages and the client", "remotemedia", "remotemedia/testing"),
        ("In the embedded service", "remotemedia/testing", None),
        ("In the generator", "codegen", None),
    ],
)
def test_every_name_that_is_used_is_listed(
    title: str, folder: str, but: str | None
) -> None:
    listed = re.findall(r"`(betterproto\.[\w.]+)`", section(title))
    assert sorted(listed) == sorted(used(folder, but))


def test_every_method_that_messages_inherit_is_listed() -> None:
    def is_inherited(name: str) -> bool:
        owners = (cls for cls in protobuf.Message.__mro__ if name in vars(cls))
        return next(owners) is betterproto.Message

    inherited = filter(is_inherited, vars(betterproto.Message))
    methods = {name for name in inherited if re.match(r"[a-z]|__[a-z]", name)}
    text = section("In messages and the client").partition(
        "Messages inherit these methods:"
    )[2]
    listed = set(re.findall(r"`(\w+)`", text)) - {"rich"}
    assert listed == methods - {"__dict__", "__weakref__"}
