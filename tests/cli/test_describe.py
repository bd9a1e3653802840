"""``remotemedia version`` and ``remotemedia check``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from remotemedia.cli.app import run
from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService
from tests.cli.conftest import Command
from tests.support.core_data_server import CoreDataServer
from tests.support.pipelines import pipeline


def test_version_shows_the_node_types(
    command: Command, service: LocalService, contract: ContractName
) -> None:
    code, out, err = command("version", service.address)
    assert (code, err) == (0, "")
    assert "CalculatorNode" in out
    assert ["contract", contract] in [line.split() for line in out.splitlines()]
    code, out, _ = command("version", "--json")
    assert code == 0
    info = json.loads(out)
    assert info["contract"] == contract
    assert info["protocolVersion"] == "v1"
    assert "VAD" in info["supportedNodeTypes"]


def test_check_shows_the_nodes(command: Command, passing: Path) -> None:
    code, out, _ = command("check", passing)
    assert code == 0
    assert "the manifest is right (node types were not checked" in out
    assert "PassThrough" in out
    assert json.loads(command("check", passing, "--json")[1])["nodes"] == 1


def test_check_shows_where_the_nodes_lead(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "two.json"
    manifest = pipeline("first", "PassThrough")
    manifest["nodes"].append({"id": "second", "node_type": "VAD"})
    manifest["connections"] = [{"from": "first", "to": "second"}]
    path.write_text(json.dumps(manifest))
    rows = [line.split() for line in command("check", path)[1].splitlines()]
    assert ["first", "PassThrough", "second"] in rows
    assert ["second", "VAD"] in rows


def test_check_finds_what_breaks_a_rule(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text('{"version": "v1", "nodes": [{"id": "a"}]}')
    code, _, err = command("check", path)
    assert code == 3
    assert "node_type" in err


def test_check_asks_the_service_for_its_node_types(
    command: Command, service: LocalService, tmp_path: Path, passing: Path
) -> None:
    code, out, _ = command("check", passing, "--address", service.address)
    assert code == 0
    assert "not checked" not in out
    path = tmp_path / "unknown.json"
    path.write_text(passing.read_text().replace("PassThrough", "PasThrough"))
    assert (
        "did you mean 'PassThrough'? It has: AddNode, "
        in (command("check", path, "--address", service.address)[2])
    )
    path.write_text(passing.read_text().replace("PassThrough", "Unknown"))
    assert command("check", path)[0] == 0
    code, _, err = command("check", path, "--address", service.address)
    assert code == 3
    assert "in node 'src'" in err
    assert "no node type 'Unknown'; it has: AddNode, " in err


async def test_check_with_a_service_that_lists_no_node_types(
    core_data: CoreDataServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unknown.json"
    path.write_text(json.dumps(pipeline("src", "Unknown")))
    arguments = ["check", str(path), "--address", core_data.address]
    assert await asyncio.to_thread(run, arguments) == 0
    assert "(node types were not checked: the service lists none)" in (
        capsys.readouterr().out
    )
