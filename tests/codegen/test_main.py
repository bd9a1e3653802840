"""The command line: the files that it writes and removes, and its messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.__main__ import main
from conformance import oracle
from tests.codegen.conftest import PROTOS

PROTO = """
syntax = "proto3";
package some.where;
message Thing { string name = 1; }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with one proto, and the place to generate into."""
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "thing.proto").write_text(PROTO)
    return tmp_path


def run(project: Path, *options: str) -> int:
    return main(
        ["--protos", str(project / "protos"), "--out", str(project / "out"), *options]
    )


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
    }


def test_the_repository_is_up_to_date() -> None:
    command = [sys.executable, "-m", "codegen", "--check"]
    done = subprocess.run(
        command, cwd=oracle.REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_package_is_written_with_its_parent_packages(project: Path) -> None:
    assert run(project) == 0
    assert sorted(tree(project / "out")) == [
        "some/__init__.py",
        "some/where/__init__.py",
        "some/where/_codec.py",
        "some/where/thing.py",
    ]


def test_a_second_run_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project)
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*.py")}
    assert run(project) == 0
    assert capsys.readouterr().out == ""
    assert before == {path: path.stat().st_mtime_ns for path in project.rglob("*.py")}


def test_the_output_depends_on_the_protos_alone(project: Path) -> None:
    run(project)
    elsewhere = project / "a" / "place" / "elsewhere"
    (elsewhere / "ruff.toml").parent.mkdir(parents=True)
    (elsewhere / "ruff.toml").write_text("line-length = 40\n")
    (project / "protos").rename(elsewhere / "other")
    command = [sys.executable, "-m", "codegen", "--protos", "other", "--out", "."]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    environment["PYTHONPATH"] = str(oracle.REPOSITORY)
    subprocess.run(command, cwd=elsewhere, env=environment, check=True)
    assert tree(elsewhere) == tree(project / "out")
    assert not any(str(project) in text for text in tree(elsewhere).values())


def test_check_is_silent_if_nothing_differs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project)
    capsys.readouterr()
    assert run(project, "--check") == 0
    assert capsys.readouterr().out == ""


def test_check_shows_a_diff_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project)
    module = project / "out" / "some" / "where" / "thing.py"
    module.write_text(module.read_text().replace("Thing", "Think"))
    before = tree(project)
    capsys.readouterr()
    assert run(project, "--check") == 1
    shown = capsys.readouterr().out
    assert "-class Think(protobuf.Message):" in shown
    assert "+class Thing(protobuf.Message):" in shown
    assert tree(project) == before


def test_check_notices_missing_and_stale_files(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "--check") == 1
    assert "+class Thing(protobuf.Message):" in capsys.readouterr().out
    assert not (project / "out").exists()
    run(project)
    (project / "protos" / "thing.proto").rename(project / "protos" / "renamed.proto")
    capsys.readouterr()
    assert run(project, "--check") == 1
    shown = capsys.readouterr().out
    assert "-class Thing(protobuf.Message):" in shown
    assert "+class Thing(protobuf.Message):" in shown


def test_only_the_files_of_a_removed_proto_are_removed(project: Path) -> None:
    run(project)
    (project / "out/some/where/mine.py").write_text("x = 1\n")
    (project / "protos" / "other.proto").write_text(PROTO.replace("where", "other"))
    (project / "protos" / "thing.proto").unlink()
    run(project)
    assert sorted(tree(project / "out")) == [
        "some/__init__.py",
        "some/other/__init__.py",
        "some/other/_codec.py",
        "some/other/other.py",
        "some/where/mine.py",
    ]


def test_a_file_without_a_package_becomes_a_package_of_its_own(project: Path) -> None:
    loose = PROTO.replace("package some.where;", "")
    (project / "protos" / "one.proto").write_text(loose)
    (project / "protos" / "two.proto").write_text(loose.replace("Thing", "Other"))
    (project / "protos" / "thing.proto").unlink()
    run(project)
    one, two = (
        [f"{name}/__init__.py", f"{name}/_codec.py", f"{name}/{name}.py"]
        for name in ("one", "two")
    )
    assert sorted(tree(project / "out")) == one + two
    (project / "protos" / "two.proto").unlink()
    (project / "out" / "mine").mkdir()
    (project / "out" / "mine" / "__init__.py").write_text("x = 1\n")
    assert run(project, "--check") == 1
    run(project)
    assert sorted(tree(project / "out")) == ["mine/__init__.py", *one]


def test_other_generated_packages_are_left_alone(project: Path) -> None:
    run(project)
    before = tree(project / "out")
    loose = PROTO.replace("package some.where;", "")
    (project / "protos" / "one.proto").write_text(loose)
    (project / "protos" / "thing.proto").unlink()
    run(project)
    after = tree(project / "out")
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {
        *("one/__init__.py", "one/_codec.py", "one/one.py"),
    }


def test_a_package_without_messages_has_no_codec(project: Path) -> None:
    (project / "protos" / "thing.proto").write_text(
        'syntax = "proto3";\npackage some.where;\nenum Level { LEVEL_LOW = 0; }\n'
    )
    run(project)
    assert sorted(tree(project / "out")) == [
        "some/__init__.py",
        "some/where/__init__.py",
        "some/where/thing.py",
    ]


@pytest.mark.parametrize("text", ["import os\n", ""])
def test_a_hand_written_package_is_left_alone(project: Path, text: str) -> None:
    package = project / "out" / "some" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(text)
    assert run(project) == 0
    assert package.read_text() == text
    assert run(project, "--check") == 0


@pytest.mark.parametrize("name", ["thing.py", "__init__.py"])
def test_a_hand_written_file_is_not_overwritten(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    mine = project / "out" / "some" / "where" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("x = 1\n")
    before = tree(project)
    assert run(project) == 1
    assert f"{name} is not a generated file" in capsys.readouterr().err
    assert tree(project) == before


def test_a_shared_namespace_gets_no_init(project: Path) -> None:
    proto = project / "protos" / "thing.proto"
    proto.write_text(PROTO.replace("some.where", "google.thing"))
    run(project)
    assert not (project / "out" / "google" / "__init__.py").exists()
    assert (project / "out" / "google" / "thing" / "__init__.py").exists()


def test_a_broken_proto_is_shown_with_its_line_and_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project)
    before = tree(project)
    (project / "protos" / "broken.proto").write_text('syntax = "proto3";\nmessage {')
    capsys.readouterr()
    assert run(project) == 1
    shown = capsys.readouterr()
    assert "broken.proto:2:9: Expected message name." in shown.err
    assert shown.out == ""
    assert tree(project) == before


@pytest.mark.parametrize(
    ("syntax", "named"), [('syntax = "proto2";', "proto2"), ('edition = "2023";', "ed")]
)
def test_other_syntaxes_are_refused_by_name(
    project: Path, capsys: pytest.CaptureFixture[str], syntax: str, named: str
) -> None:
    (project / "protos" / "old.proto").write_text(f"{syntax}\nmessage Old {{}}\n")
    assert run(project) == 1
    shown = capsys.readouterr().err
    assert "old.proto: only proto3 is supported" in shown
    assert named in shown


def test_a_type_of_proto2_is_refused_by_name(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "protos" / "meta.proto").write_text(
        'syntax = "proto3";\nimport "google/protobuf/descriptor.proto";\n'
        "message Meta { google.protobuf.FileDescriptorProto file = 1; }\n"
    )
    assert run(project) == 1
    shown = capsys.readouterr().err
    assert "meta.proto:3: Meta.file uses google.protobuf.FileDescriptorProto" in shown


def test_a_folder_without_protos_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--protos", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "there are no .proto files in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--protos", "nowhere"], "there is no folder nowhere: --protos names"),
        (["--protos", "protos/thing.proto"], "there is no folder protos/thing.proto"),
        (["protos/thing.proto"], "PATH is relative to the folder of --protos"),
        (["../protos/thing.proto"], "there is no ../protos/thing.proto in protos"),
        (["notes.txt"], "protos/notes.txt is no .proto file"),
        (["empty"], "there are no .proto files in protos/empty"),
        (["--out", "protos/thing.proto"], "--out protos/thing.proto is no folder"),
    ],
)
def test_a_path_that_makes_no_sense_is_an_error(
    project: Path,
    arguments: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (project / "protos" / "empty").mkdir()
    (project / "protos" / "notes.txt").write_text("what is missing")
    monkeypatch.chdir(project)
    assert main(arguments) == 1
    assert text in capsys.readouterr().err


def test_custom_options_are_ignored(project: Path) -> None:
    (project / "protos" / "options.proto").write_text(
        'syntax = "proto3";\npackage some.where;\n'
        'import "google/protobuf/descriptor.proto";\n'
        "extend google.protobuf.FieldOptions { string unit = 50000; }\n"
        'message Sized { int32 size = 1 [(unit) = "bytes", deprecated = true]; }\n'
    )
    assert run(project) == 0


def test_the_generator_does_not_import_what_it_generates(project: Path) -> None:
    # New protos may break the library; then only the generator can repair it.
    (project / "remotemedia").mkdir()
    (project / "remotemedia" / "__init__.py").write_text("raise ImportError\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(project), str(oracle.REPOSITORY)]),
    }
    command = [sys.executable, "-P", "-m", "codegen"]
    if sys.version_info < (3, 11):
        command.remove("-P")
    command += ["--protos", str(PROTOS), "--out", str(project / "out")]
    subprocess.run(command, cwd=project, env=environment, check=True)
