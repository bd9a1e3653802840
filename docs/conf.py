"""How Sphinx makes the site of the documents: `make docs`."""

from __future__ import annotations

import builtins
import importlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.nodes import make_refnode

import remotemedia

project = "remotemedia"
version = release = remotemedia.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["conf.py"]
nitpicky = True

# Documents are plain Markdown, which a code host shows as well.
myst_heading_anchors = 3

# Signatures have one parameter on a line, with its type and its default as written.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 60
python_use_unqualified_type_names = True
python_display_short_literal_types = True
# `name` in a docstring is code.
default_role = "code"
# Quotes and ellipses, but no dashes: `--tls` is an option.
smartquotes_action = "qe"

html_theme = "furo"
html_title = f"remotemedia {version}"
html_copy_source = False
html_use_index = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp, .go"

PUBLIC_MODULES = (
    "remotemedia",
    "remotemedia.blocking",
    "remotemedia.testing",
    "remotemedia.otel",
    "remotemedia.grpc",
    "remotemedia.v1",
    "remotemedia.data",
    "remotemedia.data_v1",
)

# Every reference to a name of ours must lead somewhere. Those to other packages cannot,
# as the site is built without the network.
_OTHERS = "abc asyncio betterproto collections contextlib datetime enum grpclib h2 np "
_OTHERS += "npt numpy opentelemetry os pathlib ssl ssl_module types typing "
_OTHERS += "typing_extensions"
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(_OTHERS.split())})\..*"),
    (r"py:.*", "[Ee]llipsis(Type)?|Self|SSLContext|Supports\\w+|TracebackType"),
    (r"py:.*", "|".join(map(re.escape, dir(builtins)))),
    # Type variables, and members of literals.
    (r"py:.*", r"([\w.]*\.)?([A-Z]\w*)?T(_co)?|'\w+'"),
]
# The library makes their objects, so their constructors are nobody's concern.
_MADE_BY_US = re.compile(
    r"remotemedia\.((blocking\.)?(PipelineStream|ChunkResults|Responses|Stub)"
    r"|data\.(ExecutionResult|ChunkResult)"
    r"|grpc\.(Call|CallError|Caller|ChannelConfig|ResponseStream|StubCaller))"
)


def name_aliases(app: Sphinx, env: BuildEnvironment) -> None:
    """Make every public class known by each module that exports it.

    ``remotemedia.AudioBuffer`` and ``remotemedia.v1.AudioBuffer`` are one class, which
    is described once.
    """
    entries = env.domaindata["py"]["objects"]
    exported = {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in map(importlib.import_module, PUBLIC_MODULES)
        for name in module.__all__
    }
    described = {
        value: entries[name]
        for name, value in exported.items()
        if isinstance(value, type) and name in entries
    }
    for name, value in exported.items():
        if isinstance(value, type) and value in described:
            entries.setdefault(name, described[value]._replace(aliased=True))


def look_nearby_first(app: Sphinx, doctree: nodes.document) -> None:
    """Let the name of a type in a signature mean that of the page's own module.

    Both contracts have an ``AudioBuffer``. Sphinx would look in all modules at once.
    """
    for reference in doctree.findall(pending_xref):
        reference.attributes.pop("refspecific", None)


def find_by_ending(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Resolve a type in a signature that is written without all of its module.

    It is the one that is described under this name, public modules first.
    """
    if node.get("refdomain") != "py":
        return None
    found = [
        (not name.startswith(PUBLIC_MODULES), name, entry)
        for name, entry in env.domaindata["py"]["objects"].items()
        if f".{name}".endswith(f".{node['reftarget']}")
    ]
    if not found:
        return None
    _, name, entry = min(found)
    return make_refnode(
        app.builder, node["refdoc"], entry.docname, entry.node_id, content, name
    )


def read_google_style(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Turn the sections of a docstring into fields.

    The extension napoleon would do it, but it takes what stands before the first colon
    of an attribute's docstring for a type: "Number of channels: 1 for mono".
    """
    kind = "method" if what in {"attribute", "data", "property"} else what
    lines[:] = GoogleDocstring(
        lines,
        Config(napoleon_use_rtype=False),  # type: ignore[arg-type]  # as it is meant
        app,
        kind,
        name,
        value,
        options,
    ).lines()


def tidy_signature(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """Leave out constructors that are nobody's concern, and shorten two defaults."""
    if _MADE_BY_US.fullmatch(name):
        return "", None
    if signature is None:
        return None
    short = re.sub(r"= RetryPolicy\(.*?refill=[\d.]+\)", "= RetryPolicy()", signature)
    return short.replace("= Ellipsis", "= ..."), returns


def put_drawings_into_the_page(app: Sphinx, doctree: nodes.document) -> None:
    """Replace our drawings by their SVG, so that they follow the page's theme."""
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.parent.name == "images" and path.suffix == ".svg":
            drawing = nodes.raw("", path.read_text(encoding="utf-8"), format="html")
            image.replace_self(drawing)


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx."""
    # After Sphinx has made the paths of images relative to this folder.
    app.connect("doctree-read", put_drawings_into_the_page, priority=900)
    app.connect("doctree-read", look_nearby_first)
    app.connect("env-updated", name_aliases)
    app.connect("missing-reference", find_by_ending)
    app.connect("autodoc-process-docstring", read_google_style)
    app.connect("autodoc-process-signature", tidy_signature)
