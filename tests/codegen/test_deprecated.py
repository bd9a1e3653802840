"""What a proto marks as deprecated says so in its docstring, and warns when used."""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest

from remotemedia.grpc import Channel

pytestmark = pytest.mark.usefixtures("generated")


def load() -> Any:
    """Import the generated module, which has no static types here."""
    return importlib.import_module("fixtures.deprecated")


@pytest.mark.parametrize(
    "fields",
    [{"title": "t"}, {"numbers": [1]}, {"left": ""}, {"deprecated": 1}],
    ids=lambda fields: next(iter(fields)),
)
def test_setting_a_deprecated_field_warns_where_it_is_set(
    fields: dict[str, Any],
) -> None:
    ((name, value),) = fields.items()
    with pytest.warns(DeprecationWarning, match=f"^New.{name} is deprecated$") as seen:
        message = load().New(**fields)
    assert [found.filename for found in seen] == [__file__]
    other = load().New()
    with pytest.warns(DeprecationWarning, match=f"^New.{name} is deprecated$") as seen:
        setattr(other, name, value)
    assert [found.filename for found in seen] == [__file__]
    assert other == message


def test_what_was_received_or_is_not_set_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = load().New.FromString(b"\x0a\x01t\x1a\x01\x05")
        assert (message.title, message.numbers) == ("t", [5])
        assert bytes(message) == b"\x0a\x01t\x1a\x01\x05"
        assert load().New.from_json('{"title": "t"}') == load().New().from_dict(
            {"title": "t"}
        )
        load().New(name="n", right="r", title="", numbers=None)
        load().HoldsOld.FromString(b"\x0a\x03\x0a\x01n")


def test_making_a_deprecated_message_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"fixtures.deprecated.Old is deprec"):
        old = load().Old(name="n")
    assert bytes(old) == b"\x0a\x01n"


async def test_calling_a_deprecated_method_warns() -> None:
    stub = load().CallsStub(Channel("localhost:1"))
    with pytest.warns(DeprecationWarning, match=r"Calls.Fetch is deprecated") as seen:
        stub.fetch(load().New()).close()
    assert [found.filename for found in seen] == [__file__]
    with pytest.warns(DeprecationWarning, match=r"Calls.Deprecated is deprecated"):
        await stub.deprecated(load().New()).aclose()


def test_docstrings_say_it(generated: Path) -> None:
    module = load()
    assert inspect.getdoc(module.Old) == "A comment.\n\nDeprecated."
    assert (
        inspect.getdoc(module.Level) == "Enum fixtures.deprecated.Level.\n\nDeprecated."
    )
    assert inspect.getdoc(module.CallsStub.fetch) == "Use Get.\n\nDeprecated."
    assert inspect.getdoc(module.CallsBase.fetch) == "Use Get.\n\nDeprecated."
    assert "Deprecated." not in str(inspect.getdoc(module.CallsStub.get))
    text = (generated / "fixtures/deprecated/deprecated.py").read_text()
    assert '"""Use name.\n\n    Deprecated.\n    """' in text
    # The comment says so already.
    assert '"""Deprecated: use right."""' in text
    assert 'HIGH = 1\n    """Deprecated."""' in text
