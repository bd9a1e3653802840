"""The protos that Google's services have in common, generated under a package prefix.

They are another project's, with comments and options of every sort. That type checkers
accept the code is tested in `test_typing`.
"""

from __future__ import annotations

import importlib

import pytest
from betterproto.compile.naming import pythonize_class_name
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from conformance import oracle
from tests.codec.effort import examples
from tests.codec.json_trip import check_trip
from tests.codec.roundtrip import Outcome, round_trip
from tests.codec.strategies import messages
from tests.codec.values import Pair
from tests.codegen.conftest import COMMON, common_protos

pytestmark = pytest.mark.usefixtures("generated")

GOOGLE = oracle.load(common_protos(), *COMMON)
NAMES = sorted(
    descriptor.full_name
    for package in {file.package for file in GOOGLE.files.file if file.name in COMMON}
    for descriptor in GOOGLE.descriptors(package)
)


def pair(name: str) -> Pair:
    descriptor = GOOGLE.pool.FindMessageTypeByName(name)
    package = descriptor.file.package
    path = name.removeprefix(f"{package}.").replace(".", "_")
    module = importlib.import_module(f"apis.{package}")
    return Pair(
        GetMessageClass(descriptor), getattr(module, pythonize_class_name(path))
    )


def test_there_are_many() -> None:
    assert len(NAMES) > 100


@examples(150)
@given(data=st.data())
def test_any_message_makes_the_trip(data: st.DataObject) -> None:
    found = pair(data.draw(st.sampled_from(NAMES)))
    message = data.draw(messages(found.descriptor))
    assert round_trip(found, message.SerializeToString()) is Outcome.EQUAL
    check_trip(found, message, GOOGLE.pool)
