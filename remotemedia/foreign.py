"""Notices files of other packages in the folder of this one.

The service project's own SDK installs a package called ``remotemedia`` too, from the
distributions ``remotemedia-client`` and ``remotemedia-ffi``. In one environment with
this library each overwrites files of the other, and no installer says so. Code of both
then runs as if it were of one.

So the folder is listed when the library is imported, which is one system call. Where
files of another package stand in it, the import fails, and says which files they are,
whose, and what to do. Nothing else here runs in a sound environment.

This module imports nothing of the library, so that it also runs on its own: see
``client_command`` of the generator.
"""

from __future__ import annotations

from pathlib import Path

# What the names in the folder begin with, up to their first dot. Nothing is before the
# dot of a hidden file, such as those of editors and of macOS.
_OURS = frozenset(
    [
        "",
        "__init__",
        "__main__",
        "__pycache__",
        "audio",
        "audio_files",
        "blocking",
        "cli",
        "client",
        "client_caller",
        "contracts",
        "data",
        "data_v1",
        "errors",
        "foreign",
        "grpc",
        "http2",
        "link",
        "manifest",
        "media",
        "notebook",
        "operation",
        "otel",
        "protobuf",
        "py",  # py.typed
        "readiness",
        "record",
        "results",
        "session",
        "testing",
        "v1",
        "values",
    ]
)


def _check(folder: Path) -> None:
    """Raise ``ImportError`` if the folder is not as it was installed."""
    try:
        entries = list(folder.iterdir())
    except OSError:  # The library is in a zip file.
        return
    stems = {_stem(entry) for entry in entries}
    if "__init__" not in stems:
        raise ImportError(
            f"{folder / '__init__.py'} is missing: another package had overwritten it, "
            f"and took it along when it was uninstalled. Install this library again:\n"
            f"  python -m pip install --force-reinstall --no-deps {_source()}"
        )
    if stems <= _OURS:
        return
    strange = [entry for entry in entries if _stem(entry) not in _OURS]
    names = sorted(entry.name for entry in strange if _has_code(entry))
    owners, is_installed = _owners(folder, names)
    if owners:
        raise ImportError(
            f"{folder} has files of other packages, {', '.join(owners)}: "
            f"{', '.join(names)}. They and this library install into folders of the "
            f"same name, and have overwritten files of each other. Uninstall all of "
            f"them, and install this library again; use the others in another "
            f"environment:\n"
            f"  python -m pip uninstall {' '.join(owners)} remotemedia\n"
            f"  python -m pip install {_source()}"
        )
    if names and is_installed:
        raise ImportError(
            f"{folder} has files that are not of this library, and that no installed "
            f"package owns: {', '.join(names)}. Delete that folder, and install this "
            f"library again:\n"
            f"  python -m pip install --force-reinstall --no-deps {_source()}"
        )


def _stem(entry: Path) -> str:
    return entry.name.partition(".")[0]


def _has_code(entry: Path) -> bool:
    """Return whether something can be imported from a file or a folder.

    Uninstallers leave folders behind in which there are compiled files only.
    """
    from importlib.machinery import EXTENSION_SUFFIXES

    files = entry.rglob("*") if entry.is_dir() else [entry]
    return any(file.name.endswith((".py", *EXTENSION_SUFFIXES)) for file in files)


def _owners(folder: Path, names: list[str]) -> tuple[list[str], bool]:
    """Return the packages that own the names, and whether we are installed.

    In a checkout, and in a copy of the library, nothing says what the folder may hold,
    and whoever adds a module to it knows.
    """
    from importlib import metadata

    others = set()
    is_installed = False
    for distribution in metadata.distributions():
        files = distribution.read_text("RECORD") or ""
        paths = (line.split(",")[0].split("/") for line in files.splitlines())
        found = {path[1] for path in paths if path[0] == folder.name and path[1:]}
        place = Path(str(distribution.locate_file(folder.name)))
        if not found or place.resolve() != folder.resolve():
            continue
        name: str = distribution.metadata["Name"]
        if name == "remotemedia":
            is_installed = True
        elif found.intersection(names):
            others.add(name)
    return sorted(others), is_installed


def _source() -> str:
    """Return what pip is to install again: where the library came from."""
    import json
    import shlex
    from importlib import metadata

    try:
        text = metadata.distribution("remotemedia").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        text = None
    return shlex.quote(json.loads(text)["url"]) if text else "remotemedia"


if "__file__" in globals():  # Programs that are compiled into one file may have none.
    _check(Path(__file__).parent)
