"""The tables of the reference say what the code says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from types import EllipsisType

import pytest

import remotemedia.blocking
from codegen.command import _parser
from remotemedia import (
    ErrorType,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
)
from remotemedia.cli import options
from remotemedia.errors import from_call_error
from remotemedia.grpc import CallError, RetryPolicy, Status
from remotemedia.http2 import proxy
from remotemedia.testing import LocalService
from tests.docs.blocks import REPOSITORY

REFERENCE = REPOSITORY / "docs/reference"
CONFIGURATION = (REFERENCE / "configuration.md").read_text()
ERRORS = (REFERENCE / "errors.md").read_text()


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its header."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines[2:]]


def value_of(cell: str) -> object:
    """Return the value of a default: it is written as code, or described if `...`."""
    if not cell.startswith("`"):
        return ...
    names = {"RetryPolicy": RetryPolicy, "Status": Status}
    value: object = eval(cell.strip("`"), names)
    return value


def arguments(function: Callable[..., object]) -> dict[str, object]:
    """Return the arguments of a function that have a default, and it."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("The client", RemoteMediaClient),
        ("The client", remotemedia.blocking.RemoteMediaClient),
        ("Retries", RetryPolicy),
        ("The embedded service", LocalService),
    ],
)
def test_every_argument_is_listed_with_its_default(
    heading: str, function: Callable[..., object]
) -> None:
    rows = table(CONFIGURATION, heading)
    assert {row[0].strip("`"): value_of(row[1]) for row in rows} == arguments(function)


def test_every_argument_of_a_call_is_listed_with_its_default() -> None:
    listed = {
        (method, argument.strip("`")): value_of(default)
        for argument, default, methods in table(CONFIGURATION, "A call")
        for method in re.findall(r"`(\w+)`", methods)
    }
    calls = ["get_version", "execute_pipeline", "stream_pipeline", "open_stream"]
    assert listed == {
        (method, name): default
        for method in [*calls, "wait_until_ready"]
        for name, default in arguments(getattr(RemoteMediaClient, method)).items()
    }
    for end in (PipelineStream.close, PipelineStream.cancel):
        assert isinstance(arguments(end)["timeout"], EllipsisType)


def test_every_environment_variable_is_listed() -> None:
    rows = table(CONFIGURATION, "Environment variables")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == {
        options.ADDRESS_VARIABLE,
        options.TOKEN_VARIABLE,
        *proxy._PROXY_VARIABLES,
        *proxy._NO_PROXY_VARIABLES,
    }


def test_every_kind_of_error_is_listed() -> None:
    rows = table(ERRORS, "What each kind means, and what to do")
    assert all(len(row) == 4 and all(row) for row in rows)
    kinds = [row[0].split("`")[1] for row in rows]
    assert list(dict.fromkeys(kinds)) == [kind.name for kind in [*ErrorType][1:]]
    classes = {name for row in rows for name in re.findall(r"as `(\w+)`", row[0])}
    assert classes == {cls.__name__ for cls in RemoteMediaError.__subclasses__()}


def test_every_status_is_listed_with_what_it_becomes() -> None:
    rows = table(ERRORS, "Which status is which kind")
    listed = {row[0].strip("`"): (row[1].strip("`"), row[2].strip("`")) for row in rows}
    for status in set(Status) - {Status.OK}:
        error = from_call_error(CallError(status, "no"))
        becomes = (type(error).__name__, error.error_type.name)
        assert listed.get(status.name, listed["any other"]) == becomes, status
    assert listed.keys() - {"any other"} <= set(Status.__members__)


def test_only_lost_connections_and_deadlines_are_retryable() -> None:
    for row in table(ERRORS, "What each kind means, and what to do"):
        if "`try_send`" in row[2]:
            continue
        kinds = re.findall(r"`(\w+)`", row[0])
        assert row[2].startswith("no") == (len(kinds) == 1), row
    for status in set(Status) - {Status.OK}:
        error = from_call_error(CallError(status, "no", unprocessed=True))
        assert error.retryable == (type(error) is not RemoteMediaError)


def test_every_option_of_the_generator_is_listed() -> None:
    guide = (REPOSITORY / "docs/how-to/codegen.md").read_text()
    listed = set(re.findall(r"(?:^\| |, )`(-[\w-]+)", guide, re.MULTILINE))
    has = {name for action in _parser()._actions for name in action.option_strings}
    assert listed == has - {"-h", "--help"}


def test_every_field_of_a_retry_policy_is_an_argument() -> None:
    rows = table(CONFIGURATION, "Retries")
    assert [row[0].strip("`") for row in rows] == [f.name for f in fields(RetryPolicy)]
