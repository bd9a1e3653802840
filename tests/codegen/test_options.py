"""The options of the command, and the plugin, which has them and writes the same."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)

from codegen import plugin, protoc
from codegen.__main__ import main
from codegen.options import OptionError, Options, parse_external
from codegen.render import HEADER
from conformance import oracle
from tests.codegen.conftest import CIRCLES, PROTOS

THING = """syntax = "proto3";
package shop;
import "money/price.proto";
import "rules/options.proto";
import "old/legacy.proto";
message Thing {
  money.Price price = 1;
  old.Legacy legacy = 2;
  string name = 3 [(rules.checked) = true];
}
"""
PRICE = """syntax = "proto3";
package money;
import "money/currency.proto";
message Price { Currency currency = 1; }
"""
CURRENCY = """syntax = "proto3";
package money;
enum Currency { CURRENCY_NONE = 0; }
"""
UNUSED = """syntax = "proto3";
package money;
message Unused {}
"""
RULES = """syntax = "proto2";
package rules;
import "rules/rule.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional bool checked = 50000; }
message Both { optional Rule rule = 1; }
"""
RULE = """syntax = "proto2";
package rules;
message Rule { optional string text = 1; }
"""
LEGACY = """syntax = "proto2";
package old;
enum Kind { KIND_A = 1; }
message Legacy { optional Kind kind = 1 [default = KIND_A]; optional Other other = 2; }
message Other { required string name = 1; }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with protos, and others that they import."""
    files = {
        "protos/shop/thing.proto": THING,
        "third/money/price.proto": PRICE,
        "third/money/currency.proto": CURRENCY,
        "third/money/unused.proto": UNUSED,
        "third/rules/options.proto": RULES,
        "third/rules/rule.proto": RULE,
        "third/old/legacy.proto": LEGACY,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(shop: Path, *options: str) -> int:
    protos, out = str(shop / "protos"), str(shop / "out")
    return main(["--protos", protos, "-I", str(shop / "third"), "--out", out, *options])


def tree(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.py")
    }


def names_in(protos: Path) -> list[str]:
    return sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.p*"))


def test_an_import_needs_its_folder(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--protos", str(shop / "protos"), "--out", str(shop / "out")]) == 1
    shown = capsys.readouterr().err
    assert "shop/thing.proto:3:1: Import" in shown
    assert "--include" in shown
    assert not (shop / "out").exists()


def test_a_folder_to_include_must_exist(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "--include", "nowhere") == 1
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_what_is_imported_is_generated_if_a_type_of_it_is_used(shop: Path) -> None:
    assert run(shop) == 0
    modules = {name for name in tree(shop / "out") if "__init__" not in name}
    assert modules == {
        *("shop/_codec.py", "shop/thing.py"),
        *("money/_codec.py", "money/price.py", "money/currency.py"),
        *("old/_codec.py", "old/legacy.py"),
    }


def test_a_message_of_proto2_is_carried(shop: Path) -> None:
    run(shop)
    with oracle.importable(shop / "out"):
        thing = importlib.import_module("shop").Thing
    data = bytes.fromhex("1209 0801 1205 0a03616263".replace(" ", ""))
    decoded = thing.FromString(data)
    assert bytes(decoded) == data
    assert "not proto3" in str(type(decoded.legacy).__doc__)
    assert "class Other" not in (shop / "out/old/legacy.py").read_text()


def test_a_file_for_options_may_be_among_the_protos(shop: Path) -> None:
    (shop / "third" / "rules").rename(shop / "protos" / "rules")
    assert run(shop) == 0
    assert not (shop / "out" / "rules").exists()


def test_an_enum_of_proto2_is_refused_with_file_and_line(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = THING.replace("old.Legacy legacy", "optional old.Kind kind")
    (shop / "protos/shop/thing.proto").write_text(text)
    assert run(shop) == 1
    assert "thing.proto:8" in capsys.readouterr().err


def test_external_files_are_only_imported(shop: Path) -> None:
    assert run(shop, "--external", "money=acme.common") == 0
    assert not (shop / "out" / "money").exists()
    text = (shop / "out/shop/thing.py").read_text()
    assert "from acme.common.money.price import Price" in text


def test_a_message_of_proto2_cannot_be_external(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, "--external", "old/legacy.proto") == 1
    shown = capsys.readouterr().err
    assert "shop/thing.proto:8: shop.Thing.legacy uses old.Legacy" in shown


def test_a_prefix_holds_all_packages(shop: Path) -> None:
    mine = shop / "out" / "acme" / "other"
    mine.mkdir(parents=True)
    (mine / "__init__.py").write_text(HEADER)
    assert run(shop, "--package-prefix", "acme.protos") == 0
    found = tree(shop / "out")
    # What stands beside the prefix is not ours to remove.
    assert "acme/other/__init__.py" in found
    assert "acme/protos/shop/thing.py" in found
    imported = "from acme.protos.money.price import Price"
    assert imported in found["acme/protos/shop/thing.py"]


def test_paths_choose_what_is_generated(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third, out = str(shop / "third"), str(shop / "out")
    assert main(["--protos", third, "--out", out, "money/currency.proto"]) == 0
    assert [*(shop / "out").iterdir()] == [shop / "out" / "money"]
    assert not (shop / "out/money/price.py").exists()
    assert main(["--protos", third, "--out", out, "nothing"]) == 1
    assert "there is no nothing in" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["a-b", "a..b", "class", "1"])
def test_a_prefix_is_the_name_of_a_package(prefix: str) -> None:
    with pytest.raises(OptionError, match="is not the dotted name of a package"):
        Options(package_prefix=prefix)


def test_external_names_a_path() -> None:
    assert parse_external(["a/b", "c=d.e"]) == {"a/b": "", "c": "d.e"}
    with pytest.raises(OptionError, match="names no proto file"):
        parse_external(["=a"])
    options = Options(external={"a/b": "x", "c.proto": ""})
    found = [options.external_prefix(f) for f in ("a/b/c.proto", "c.proto", "a/bc.p")]
    assert found == ["x", "", None]


PARAMETERS = {
    "": [],
    "package_prefix=acme.x": ["--package-prefix", "acme.x"],
    "relative_imports": ["--relative-imports"],
    "external=sounds,external=shapes=a.b": [
        *("--external", "sounds", "--external", "shapes=a.b")
    ],
}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_the_plugin_writes_the_same(tmp_path: Path, parameter: str) -> None:
    names = names_in(PROTOS)
    request = protoc.request(PROTOS, [], names)
    request.parameter = parameter
    response = plugin.respond(request)
    assert not response.error
    options = ["--out", str(tmp_path), *PARAMETERS[parameter]]
    assert main(["--protos", str(PROTOS), *options]) == 0
    # Packages that only hold others have no file that the plugin would write.
    found = tree(tmp_path)
    expected = {name: found[name] for name in found if found[name] != f"{HEADER}\n"}
    assert {file.name: file.content for file in response.file} == expected


def test_protoc_runs_the_plugin(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("protoc-gen-remotemedia")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{CIRCLES}"]
    command += [
        f"--plugin={program}",
        f"--remotemedia_out={tmp_path}",
        *names_in(CIRCLES),
    ]
    subprocess.run(command, check=True)
    assert (tmp_path / "circle/other/child/child.py").exists()
    command.insert(4, "--remotemedia_opt=colour=red")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "'colour=red' is not a parameter; there are package_prefix" in run.stderr


def test_the_plugin_supports_optional_fields_and_reports_errors() -> None:
    response = plugin.respond(CodeGeneratorRequest(parameter="package_prefix=a-b"))
    assert response.supported_features == CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    assert response.error == "'a-b' is not the dotted name of a package"


@pytest.mark.parametrize("arguments", [["-m", "codegen"], ["-c", "PLUGIN"]])
def test_a_missing_extra_is_named(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError(name='jinja2')\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from codegen.__main__ import main, run_plugin\n"
        f"sys.exit({'run_plugin()' if 'PLUGIN' in arguments else 'main([])'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=oracle.REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "'jinja2'" in run.stderr
    assert "pip install 'remotemedia[codegen]'" in run.stderr
