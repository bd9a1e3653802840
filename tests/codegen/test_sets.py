"""Sets of proto files: several versions of one proto package, side by side."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from codegen import plugin
from codegen.__main__ import main
from codegen.options import OptionError
from codegen.sets import ProtoSet, sets_of
from conformance import oracle

PROTO = """syntax = "proto3";
package acme.v1;
import "google/protobuf/timestamp.proto";
message Order {{ {fields} google.protobuf.Timestamp at = 9; }}
"""
SETS = {
    "old": {"acme.v1": "acme.v1"},
    "new": {"acme.v1": "acme.v1_new"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with two sets, of which the second has another type."""
    for name, fields in (("old", "string price = 1;"), ("new", "uint64 price = 1;")):
        folder = tmp_path / "protos" / name
        folder.mkdir(parents=True)
        (folder / "order.proto").write_text(PROTO.format(fields=fields))
    write_table(tmp_path, SETS)
    return tmp_path


def write_table(project: Path, table: object) -> None:
    text = table if isinstance(table, str) else json.dumps(table)
    (project / "protos" / "packages.json").write_text(text)


def run(project: Path, *options: str) -> int:
    protos, out = str(project / "protos"), str(project / "out")
    return main(["--protos", protos, "--out", out, *options])


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*.py")
    }


def test_each_set_becomes_a_package_of_its_own(project: Path) -> None:
    assert run(project) == 0
    assert sorted(tree(project / "out")) == [
        "acme/__init__.py",
        *(f"acme/v1/{name}.py" for name in ("__init__", "_codec", "order")),
        *(f"acme/v1_new/{name}.py" for name in ("__init__", "_codec", "order")),
    ]
    with oracle.importable(project / "out"):
        old = importlib.import_module("acme.v1").Order(price="12")
        new = importlib.import_module("acme.v1_new").Order(price=12)
    assert bytes(old) == b"\x0a\x0212"
    assert bytes(new) == b"\x08\x0c"
    # What goes over the wire, and into an Any, has the name in the proto.
    assert old.__proto_name__ == new.__proto_name__ == "acme.v1.Order"


def test_a_second_run_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project) == 0
    capsys.readouterr()
    before = tree(project / "out")
    assert run(project) == 0
    assert run(project, "--check") == 0
    assert capsys.readouterr().out == ""
    assert tree(project / "out") == before


def test_a_check_shows_what_a_change_of_one_set_does(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project)
    capsys.readouterr()
    proto = project / "protos" / "new" / "order.proto"
    proto.write_text(PROTO.format(fields="uint64 price = 1; string note = 2;"))
    assert run(project, "--check") == 1
    shown = capsys.readouterr().out
    assert "acme/v1_new/order.py" in shown
    assert "acme/v1/" not in shown


def test_a_set_that_is_no_longer_named_is_removed(project: Path) -> None:
    run(project)
    write_table(project, {"old": SETS["old"]})
    assert run(project) == 0
    assert not any(name.startswith("acme/v1_new") for name in tree(project / "out"))


def test_without_a_table_the_folder_is_one_set(tmp_path: Path) -> None:
    assert sets_of(tmp_path) == [ProtoSet(tmp_path)]


def test_sets_are_those_of_the_table(project: Path) -> None:
    protos = project / "protos"
    assert sets_of(protos) == [
        ProtoSet(protos / name, packages) for name, packages in SETS.items()
    ]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("{", "packages.json: "),
        ([], "must be an object of folders"),
        ({}, "must be an object of folders"),
        ({"old": "acme"}, "must be an object of folders"),
        ({"old": {"acme.v1": 1}}, "must be an object of folders"),
        ({"nowhere": {}}, "there is no folder"),
        (
            {"old": {"acme.v1": "acme"}, "new": {"acme.v1": "acme"}},
            "'old' and 'new' both make the Python package 'acme'",
        ),
        ({"old": {"acme.v1": "a-b"}}, "'a-b' is not the dotted name of a package"),
    ],
)
def test_a_wrong_table_is_an_error_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], table: object, text: str
) -> None:
    write_table(project, table)
    assert run(project) == 1
    assert text in capsys.readouterr().err
    assert not (project / "out").exists()


def test_the_plugin_knows_no_sets() -> None:
    with pytest.raises(OptionError, match="there are package_prefix"):
        plugin.parse("packages=a")
