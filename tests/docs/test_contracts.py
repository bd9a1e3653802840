"""The pages on the two contracts say what the code says."""

from __future__ import annotations

import re

import pytest

from remotemedia import RemoteMediaError, VersionInfo, contracts, data
from remotemedia.contracts import contract_named, contract_of
from remotemedia.contracts.results import DataOutputs
from remotemedia.protobuf import Message
from tests.docs.blocks import REPOSITORY
from tests.docs.test_reference import table

EXPLANATION = (REPOSITORY / "docs/explanation/contracts.md").read_text()
GUIDE = (REPOSITORY / "docs/how-to/data.md").read_text()
MIB = 2**20


def test_every_version_that_is_known_is_listed() -> None:
    rows = table(EXPLANATION, "How they are told apart")
    listed = {}
    for stated, contract in rows:
        version = re.match(r"(\d+)\.(\d+)", stated)
        if version:
            listed[int(version[1]), int(version[2])] = contract.split()[1]
    assert listed == contracts._VERSIONS


def test_what_states_no_version_and_what_is_unknown_is_as_the_page_says() -> None:
    listed = dict(table(EXPLANATION, "How they are told apart"))
    assert contract_of(VersionInfo()).name in listed["nothing"]
    with pytest.raises(RemoteMediaError) as caught:
        contract_of(VersionInfo(runtime_version="9.9"))
    assert f"`{caught.value.error_type.name}`" in listed["anything else"]


def test_the_bounds_are_those_of_the_adapter() -> None:
    adapter = contract_named("data")
    most_mib = adapter.max_request_bytes // MIB
    most_audio_mib = contract_named("audio").max_request_bytes // MIB
    for text in (
        f"with `timeout=None`, {adapter.max_execution_s:g} s",
        f"outstanding results until {adapter.settle_s:g} s pass",
        f"takes up to {most_mib} MiB in a request, where that of the audio contract "
        f"takes {most_audio_mib} MiB",
    ):
        assert text in EXPLANATION
    assert f"The service takes {most_mib} MiB in a message" in GUIDE


def test_every_kind_of_value_is_in_the_table() -> None:
    rows = table(GUIDE, "What a value may be")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    kinds = {
        name
        for name in data.__all__
        if isinstance(cls := getattr(data, name), type) and issubclass(cls, Message)
        if not issubclass(cls, DataOutputs)
    }
    assert kinds <= listed


def test_every_method_of_a_result_is_in_the_table() -> None:
    rows = table(GUIDE, "What a value may be")
    listed = {name for row in rows for name in re.findall(r"`\.(\w+)\(\)`", row[2])}
    assert listed == {
        name
        for name, value in vars(DataOutputs).items()
        if callable(value) and not name.startswith("_")
    }


def test_every_format_of_pixels_is_in_the_table() -> None:
    rows = table(GUIDE, "Frames of video")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == {each.name for each in data.PixelFormat} - {"UNSPECIFIED"}
