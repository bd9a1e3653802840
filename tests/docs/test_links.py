"""The links of the documents: to headings, and to other hosts as far as can be told."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.blocks import PAGES, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_external_link_is_an_address(page: Path) -> None:
    for url in re.findall(r"\]\((\w+:[^)\s]+)\)", page.read_text(encoding="utf-8")):
        assert urlsplit(url).scheme == "https"
        assert urlsplit(url).hostname


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_linked_heading_exists(page: Path) -> None:
    """Also on a code host, and in the pages that are not of the site."""
    for path, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        target = page.parent / path if path else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        slugs = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in headings
        }
        assert anchor in slugs, f"{path}#{anchor}"
