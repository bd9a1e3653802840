"""The blocking classes have what the asynchronous ones have, and nothing drifts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import remotemedia
from remotemedia import blocking
from remotemedia.session import ChunkResults

PAIRS = [
    (remotemedia.RemoteMediaClient, blocking.RemoteMediaClient),
    (remotemedia.PipelineStream, blocking.PipelineStream),
]


def public(cls: type) -> set[str]:
    """The public names of a class."""
    names = {name for name in dir(cls) if not name.startswith("_")}
    # It is for the other classes of the session.
    return names - {"reset_from_any_thread"}


@pytest.mark.parametrize(("asynchronous", "plain"), PAIRS)
def test_every_public_name_is_there(asynchronous: type, plain: type) -> None:
    assert public(plain) == public(asynchronous) | documented(asynchronous)


def test_results_have_what_the_asynchronous_ones_have() -> None:
    of_generators = {"aclose", "asend", "athrow"}
    expected = public(ChunkResults) - of_generators | {"close"}
    assert public(blocking.ChunkResults) == expected
    assert public(blocking.Responses) == expected - {"request_id"}


def documented(cls: type) -> set[str]:
    """The attributes that the docstring of a class lists."""
    attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    return set(re.findall(r"^    (\w+): ", attributes, re.MULTILINE))


@pytest.mark.parametrize(("asynchronous", "plain"), PAIRS)
def test_the_signatures_are_the_same(asynchronous: type, plain: type) -> None:
    for name in public(asynchronous):
        ours: Callable[..., Any] = getattr(asynchronous, name)
        theirs: Callable[..., Any] = getattr(plain, name)
        if not callable(ours):
            continue
        expected, found = inspect.signature(ours), inspect.signature(theirs)
        assert list(found.parameters.values()) == list(expected.parameters.values())
        if name == "stub":
            # What it returns is called, and does not have the methods of a stub.
            continue
        assert found.return_annotation == expected.return_annotation
        assert theirs.__annotations__ == ours.__annotations__


def test_the_constructor_has_the_same_parameters() -> None:
    asynchronous, plain = PAIRS[0]
    assert inspect.signature(plain) == inspect.signature(asynchronous)
    assert next(iter(inspect.signature(vars(plain)["__init__"]).parameters)) == "self"


def test_a_method_says_what_it_does_and_where_the_rest_is() -> None:
    text = inspect.getdoc(blocking.RemoteMediaClient.execute_pipeline)
    assert text is not None
    assert text.startswith("Run a pipeline once")
    assert "``remotemedia.RemoteMediaClient.execute_pipeline``" in text
