"""The programs of docs/how-to/observability.md run, and its tables are the code's."""

from __future__ import annotations

import ast
import dataclasses
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remotemedia import RemoteMediaClient
from remotemedia.grpc import CallDetails
from remotemedia.testing import LocalService

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "how-to/observability.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def run(part: str) -> dict[str, Any]:
    """Run the block that has this part; return its names."""
    (block,) = [block for block in BLOCKS if part in block]
    names: dict[str, Any] = {}
    exec(block, names)
    return names


@pytest.fixture
def loggers() -> Iterator[None]:
    """Put the levels back that a block sets."""
    names = ("remotemedia", "h2", "hpack")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block: str) -> None:
    ast.parse(block)


@pytest.mark.usefixtures("loggers")
async def test_the_log_is_turned_on(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    run("basicConfig")
    caplog.handler.setLevel(logging.DEBUG)
    async with RemoteMediaClient(local.address) as client:
        await client.get_version()
    text = caplog.messages[-1] if "get_version" in caplog.messages[-1] else caplog.text
    for fact in re.findall(
        r"(\w+)=", GUIDE[GUIDE.index("execute_pipeline OK") :][:160]
    ):
        assert f"{fact}=" in text


@pytest.mark.usefixtures("loggers")
async def test_the_noise_of_h2_and_hpack_is_turned_off(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run('getLogger("hpack")')
    async with RemoteMediaClient(local.address, token="hunter2") as client:
        await client.get_version()
    assert "hunter2" not in caplog.text
    assert not {r.name for r in caplog.records if r.name.startswith(("h2", "hpack"))}


async def test_the_hook_counts_calls(local: LocalService) -> None:
    names = run("on_call_end=count")
    async with names["counted_client"](local.address) as client:
        await client.get_version()
    assert dict(names["calls"]) == {("connect", "OK"): 1, ("get_version", "OK"): 1}


async def test_the_traced_client_works(local: LocalService) -> None:
    async with run("traced_client")["traced_client"](local.address) as client:
        assert await client.get_version()


async def test_the_interceptor_runs(
    local: LocalService, capsys: pytest.CaptureFixture[str]
) -> None:
    async with run("intercepted_client")["intercepted_client"](local.address) as client:
        await client.get_version()
    assert re.match(r"connect took 0\.\d+ s\nget_version took", capsys.readouterr().out)


def test_every_fact_of_a_call_is_named() -> None:
    (sentence,) = re.findall(r"`call` is immutable: its (.*?)\. ", GUIDE, re.S)
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named == {field.name for field in dataclasses.fields(CallDetails)}


def test_every_metric_is_in_the_table() -> None:
    source = (
        Path(__file__).resolve().parents[2] / "remotemedia" / "otel.py"
    ).read_text()
    made = set(re.findall(r'"(rpc\.client\.[\w.]+)",', source))
    made |= {f"remotemedia{name}" for name in re.findall(r'\{_NAME\}([\w.]+)"', source)}
    table = set(re.findall(r"^\| `([\w.]+)` \| (?:histogram|counter)", GUIDE, re.M))
    assert table == made
