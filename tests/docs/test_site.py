"""The site is built without a warning, and has every public name and option."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from sphinx.util.inventory import InventoryFile

from remotemedia.cli.app import app
from tests.docs.blocks import REPOSITORY

MODULES = (
    "remotemedia",
    "remotemedia.blocking",
    "remotemedia.testing",
    "remotemedia.otel",
    "remotemedia.grpc",
    "remotemedia.v1",
    "remotemedia.data",
    "remotemedia.data_v1",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning"),
            *("--keep-going", "--doctree-dir", folder / "doctrees"),
            *("docs", folder / "html"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_public_name_is_in_the_inventory(site: Path) -> None:
    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(
            file,  # pyright: ignore[reportArgumentType]  # `size` is positional in files
            "",
            lambda base, uri: uri,
        )
    described = {name for kind in inventory.values() for name in kind}
    public = {
        f"{module}.{name}"
        for module in MODULES
        for name in importlib.import_module(module).__all__
        if name != "__version__"
    }
    assert not public - described


def test_every_command_and_option_is_described(site: Path) -> None:
    page = (site / "reference/cli.html").read_text(encoding="utf-8")
    for name, command in app.commands.items():
        assert f'id="remotemedia-{name}"' in page
        for option in command.params:
            if isinstance(option, click.Option):
                for text in option.opts:
                    assert (
                        f'id="cmdoption-remotemedia-{name}-{text.strip("-")}"' in page
                    )


def test_the_site_needs_no_other_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]* href=\"([^\"]+)\"", text)
        assert not [url for url in loaded if urlsplit(url).netloc], path
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), path


def test_every_page_has_its_drawings(site: Path) -> None:
    for page, name in [
        ("index", "flow"),
        ("explanation/design", "wings"),
        ("explanation/sessions", "states"),
    ]:
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert 'class="drawing"' in text, name
