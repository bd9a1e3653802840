"""The generated modules: their names, documentation, defaults and layout."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import betterproto
import pytest

from codegen import naming
from conformance import oracle
from remotemedia import protobuf
from tests.codegen.conftest import PROTOS

pytestmark = pytest.mark.usefixtures("generated")


def load(name: str) -> Any:
    """Import a generated module, which has no static types here."""
    return importlib.import_module(name)


def test_a_package_exports_everything_sorted() -> None:
    shapes = load("fixtures.shapes")
    assert shapes.__all__ == ["Framed", "More", "Shape"]
    kinds = load("fixtures.kinds")
    assert kinds.__all__ == ["CallsBase", "CallsStub", "Kinds", "WellKnown"]


def test_each_file_becomes_a_module() -> None:
    assert load("fixtures.kinds").Kinds.__module__ == "fixtures.kinds.kinds"
    # Two files have the same name, and one has a keyword as its name.
    assert load("fixtures.shapes").Shape.__module__ == "fixtures.shapes.shapes_common"
    assert load("fixtures.shapes").More.__module__ == "fixtures.shapes.more_common"
    assert load("fixtures.shapes").Framed.__module__ == "fixtures.shapes.class_"
    # Files without a package hide neither the standard library nor a package.
    assert load("types_").Loose(name="a").name == "a"
    assert load("fixtures_").Looser(name="a").name == "a"


def test_nothing_hides_the_codec_of_a_package() -> None:
    coded = load("fixtures._codec_").Coded
    assert coded.__module__ == "fixtures._codec_._codec_"
    assert coded._encode.__module__ == "fixtures._codec_._codec"


def test_a_module_holds_no_code_of_the_codec(generated: Path) -> None:
    text = (generated / "fixtures" / "kinds" / "kinds.py").read_text()
    assert "wire" not in text
    assert "_decode" not in text
    codec = (generated / "fixtures" / "kinds" / "_codec.py").read_text()
    assert codec.count("attach_codec(Kinds, ") == 1


def test_a_package_imports_its_codec_however_it_is_imported(generated: Path) -> None:
    program = (
        "from fixtures.kinds.kinds import Kinds\n"
        "assert bytes(Kinds.FromString(b'\\x08\\x05')) == b'\\x08\\x05'\n"
    )
    path = os.pathsep.join([str(generated), str(oracle.REPOSITORY)])
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


def test_types_of_other_packages_are_the_same_classes() -> None:
    kinds, sounds = load("fixtures.kinds"), load("fixtures.sounds")
    heard = load("fixtures.import_").Heard(sound=sounds.Sound(name="s"))
    assert kinds.Kinds(sound=heard.sound).sound is heard.sound
    shape = load("fixtures.shapes").Shape(name="s")
    assert (
        load("fixtures.shapes").Framed.FromString(b"\x0a\x03\x0a\x01s").shape == shape
    )


def test_comments_are_documentation(generated: Path) -> None:
    kinds = load("fixtures.kinds.kinds")
    assert inspect.getdoc(kinds.Kinds) == (
        "Leading comment of the message.\n"
        'Its second line has "quotes", a \\ backslash and """three quotes""".\n'
        "\n"
        "At most one of ``text``, ``raw``, ``deeper``, ``number`` is set "
        "(``choice``).\n"
        "Comment of the oneof."
    )
    assert inspect.getdoc(kinds) == "Every way to hold a value."
    assert inspect.getdoc(kinds.CallsStub) == "One method of every shape."
    assert inspect.getdoc(kinds.CallsBase.many) == "One to many."
    text = (generated / "fixtures" / "kinds" / "kinds.py").read_text()
    documented = (
        '    plain: int = protobuf.field(1, "int32", 0)\n'
        '    """Leading comment of the field.\n'
        "\n"
        "    Trailing comment of the field.\n"
        '    """\n'
    )
    assert documented in text
    comments = [line for line in text.splitlines() if "much longer" in line]
    assert comments
    assert max(map(len, comments)) <= 88


def test_each_class_cites_its_line_of_the_proto(generated: Path) -> None:
    text = (generated / "fixtures" / "kinds" / "kinds.py").read_text()
    cited = dict(re.findall(r"^# (kinds.proto:\d+)\n(?:@.*\n)?class (\w+)", text, re.M))
    lines = (PROTOS / "kinds.proto").read_text().splitlines()
    assert {
        name: lines[int(place.rpartition(":")[2]) - 1] for place, name in cited.items()
    } == {
        "Kinds": "message Kinds {",
        "WellKnown": "message WellKnown {",
        "CallsStub": "service Calls {",
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"text": ""}, ("text", "")),
        ({"raw": b"r"}, ("raw", b"r")),
        ({"number": 0}, ("number", 0)),
        ({}, None),
    ],
)
def test_a_oneof_is_matched(fields: dict[str, Any], found: object) -> None:
    cls = load("fixtures.kinds").Kinds

    def matched(message: object) -> object:
        match message:
            case cls(text=text):
                return "text", text
            case cls(raw=raw):
                return "raw", raw
            case cls(number=number):
                return "number", number
        return None

    assert matched(cls(**fields)) == found
    assert matched(cls.FromString(bytes(cls(**fields)))) == found


def test_names_that_clash_get_underscores() -> None:
    names = load("fixtures.names")
    assert [field.name for field in dataclasses.fields(names.Fields)] == [
        *("from_", "class_", "str", "bytes", "int", "bool", "float", "list", "dict"),
        *("len", "self_", "dump_", "parse_", "to_dict_", "type", "datetime"),
        *("builtins_", "dt_", "protobuf_", "values", "values_", "d", "from_string"),
        *("isinstance", "object", "sample_rate", "sample_rate_", "_1", "which_oneof_"),
        *("tag", "staticmethod", "frozenset", "property", "memoryview"),
    ]
    assert names.Outer(inner=names.OuterInner(first=1)).inner.first == 1
    assert names.OuterInner_(second=2).second == 2
    assert names.None_(none="x").none == "x"
    assert names.LowerCase(by_name={"a": names.LowerCaseNested()})


def test_fields_with_awkward_names_work() -> None:
    cls = load("fixtures.names").Fields
    given: dict[str, Any] = {
        "from_": "a",
        "class_": "b",
        "str": "c",
        "bytes": b"d",
        "int": 1,
        "bool": True,
        "float": 0.5,
        "list": ["e"],
        "dict": {"f": 2},
        "len": 3,
        "self_": "g",
        "dump_": "h",
        "parse_": "i",
        "to_dict_": "j",
        "type": "k",
        "sample_rate": "l",
        "sample_rate_": "m",
        "memoryview": b"n",
        "staticmethod": "o",
        "frozenset": "p",
        "isinstance": "q",
        "object": "r",
    }
    message = cls(**given)
    for decoded in (
        cls.FromString(bytes(message)),
        pickle.loads(pickle.dumps(message)),
    ):
        assert decoded == message
        assert {name: getattr(decoded, name) for name in given} == given
    message = cls(from_="a", dump_="h", str="c", class_="b")
    assert message.to_dict() == {"from": "a", "dump": "h", "str": "c", "class": "b"}
    assert cls().from_json(message.to_json()) == message


def test_every_public_name_of_the_base_classes_is_reserved() -> None:
    public = {name for name in dir(protobuf.Message) if not name.startswith("_")}
    assert {naming.field_scope().name(name) for name in public} == {
        f"{name}_" for name in public
    }


def test_enum_members_are_named_without_the_enum() -> None:
    odd = load("fixtures.names").Odd
    assert {name: int(member) for name, member in odd.__members__.items()} == {
        "UNSPECIFIED": 0,
        "mro_": 1,
        "name_": 2,
        "value_": 3,
        "NEGATIVE": -1,
        "LOWEST": -(2**31),
        "ALIAS": 1,
        "NOT_ODD_ONE": 4,
        "None_": 5,
        "class_": 6,
        "private": 7,
    }
    assert odd.ALIAS is odd.mro_
    # Without the prefix these would not be identifiers.
    kinds = load("fixtures.names").EnumType
    assert list(kinds.__members__) == ["TYPE_UNSPECIFIED", "_1", "_1ST"]


def test_unset_fields_read_as_their_defaults() -> None:
    message = load("fixtures.kinds").Kinds()
    values = (message.plain, message.maybe, message.many, message.by_name)
    assert values == (0, None, [], {})
    assert message.shape.name == ""
    assert betterproto.which_one_of(message, "choice") == ("", None)
    with pytest.raises(AttributeError, match="'choice' is set to None, not 'text'"):
        _ = message.text
    assert bytes(message) == b""


def test_fields_have_no_positions() -> None:
    """A proto may reorder its fields, or add one between them, and stay compatible.

    So their order is no part of a message's interface: neither the constructor nor a
    class pattern takes fields by position.
    """
    kinds = load("fixtures.kinds").Kinds
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        kinds(1)
    assert kinds.__match_args__ == ()
    assert all(field.kw_only for field in dataclasses.fields(kinds))
