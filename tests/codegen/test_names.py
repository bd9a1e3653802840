"""Any name that protoc takes, for every sort of thing: the code works with all of them.

That type checkers accept the same code is tested in `test_typing`.
"""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as GoogleMessage
from google.protobuf.message_factory import GetMessageClass

from codegen import naming
from conformance import oracle
from remotemedia import protobuf
from remotemedia.grpc import Channel, stub
from tests.codec.json_trip import check_trip
from tests.codec.roundtrip import Outcome, check_construction, round_trip
from tests.codec.values import MESSAGE, Pair, is_map
from tests.codegen import unusual

pytestmark = pytest.mark.usefixtures("generated")


def load(name: str) -> Any:
    """Import a generated module, which has no static types here."""
    return importlib.import_module(name)


@cache
def pairs(folder: Path, package: str) -> dict[str, Pair]:
    """Return the messages of a package by their full names."""
    module = load(package)
    classes = {
        found.__proto_name__: found
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, protobuf.Message)
    }
    google = oracle.load(folder, f"{package.rpartition('.')[2]}.proto")
    return {
        descriptor.full_name: Pair(
            GetMessageClass(descriptor), classes[descriptor.full_name]
        )
        for descriptor in google.descriptors(package)
    }


SAMPLES: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: "s",
    FieldDescriptor.TYPE_BYTES: b"b",
    FieldDescriptor.TYPE_INT32: 1,
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_FLOAT: 0.5,
    FieldDescriptor.TYPE_ENUM: 1,
}


def full(pair: Pair) -> GoogleMessage:
    """Return a message in which every field is set, and the last member of a oneof."""
    message = pair.google()
    for field in pair.descriptor.fields:
        if is_map(field):
            getattr(message, field.name)["k"].SetInParent()
        elif field.cpp_type == MESSAGE:
            getattr(message, field.name).SetInParent()
        elif field.is_repeated:
            getattr(message, field.name).append(SAMPLES[field.type])
        else:
            setattr(message, field.name, SAMPLES[field.type])
    return message


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unusual")
    unusual.write(folder)
    return folder


@pytest.mark.parametrize("package", ["messages", "enums", "fields", "services"])
def test_every_message_makes_the_trip(protos: Path, package: str) -> None:
    found = pairs(protos, f"unusual.{package}")
    assert found
    for pair in found.values():
        message = full(pair)
        assert round_trip(pair, message.SerializeToString()) is Outcome.EQUAL
        check_construction(pair, message)
        check_trip(pair, message, pair.descriptor.file.pool)


def test_a_name_that_begins_with_a_digit_gets_a_word_in_front() -> None:
    module = load("unusual.messages")
    assert module.Type1(a=1).a == 1
    assert module.Type(a=1).a == 1


async def test_every_method_is_one_of_the_stub_and_of_the_base() -> None:
    module = load("unusual.services")
    called = module.SStub(Channel("localhost:1"))
    served = module.SBase().__mapping__()
    assert served.keys() == {f"/unusual.services.S/{name}" for name in unusual.NAMES}
    methods = {
        name: member
        for name, member in vars(module.SStub).items()
        if inspect.isfunction(member)
    }
    assert len(methods) == len(unusual.NAMES)
    for name, method in methods.items():
        assert getattr(called, name).__func__ is method


async def test_a_stub_has_no_attribute_that_hides_a_method() -> None:
    called = stub.ServiceStub(Channel("localhost:1"))
    attributes = {*dir(stub.ServiceStub), *vars(called), "idle_timeout", "timeout"}
    for name in attributes:
        method = naming.method_scope().name(naming.method_name(name))
        assert not hasattr(called, method), method


@pytest.mark.parametrize(
    "part", ["__init___", "__main___", "_codec_", "class_", "json", "types"]
)
def test_parts_of_a_package_may_be_called_anything(part: str) -> None:
    assert load(f"unusual.inside.{part}").Inside(s="a").s == "a"


@pytest.mark.parametrize(
    ("package", "visible"),
    [
        *[("email", "email_"), ("types.v1", "types_.v1"), ("logging", "logging_")],
        *[("remotemedia.x", "remotemedia_.x"), ("grpclib", "grpclib_")],
        *[("betterproto", "betterproto_"), ("distutils", "distutils_")],
        *[("mine.json", "mine.json"), ("emails", "emails"), ("google.x", "google.x")],
    ],
)
def test_a_package_at_the_top_hides_no_library(package: str, visible: str) -> None:
    assert naming.visible(package) == visible


def test_a_file_without_a_package_hides_no_library() -> None:
    names = naming.module_names(
        ["remotemedia.proto", "json.proto", "a.proto"], "", set()
    )
    assert list(names.values()) == ["remotemedia_", "json_", "a"]


def test_tables_and_tags_of_a_codec_do_not_clash() -> None:
    """The tags of `Foo` and the members of the enum `FooTags` have different names."""
    text = (Path(load("unusual.enums").__file__).parent / "_codec.py").read_text()
    assert "_FOO_TAGS_ = MembersByVarint(FooTags)" in text
