"""A service, files to send, and the command as a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remotemedia import AudioBuffer
from remotemedia.cli.app import run
from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService
from tests.support.pipelines import PASS, pipeline, tone

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["audio", "data"])
def contract(request: pytest.FixtureRequest) -> ContractName:
    """Each contract: a command does the same on both."""
    name: ContractName = request.param
    return name


@pytest.fixture
def service(contract: ContractName) -> Iterator[LocalService]:
    """A service of each contract, which runs on the background loop."""
    with LocalService(contract=contract) as service:
        yield service


@pytest.fixture
def command(
    service: LocalService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Run a command, and return its exit code and what it wrote to both outputs."""
    monkeypatch.setenv("REMOTEMEDIA_ADDRESS", service.address)
    monkeypatch.delenv("REMOTEMEDIA_TOKEN", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def passing(tmp_path: Path) -> Path:
    """The file of a manifest with one node, which passes its input on."""
    path = tmp_path / "pass.json"
    path.write_text(json.dumps(PASS))
    return path


@pytest.fixture
def calculation(tmp_path: Path) -> Path:
    """The file of a manifest that adds three."""
    manifest: dict[str, Any] = pipeline("calc", "AddNode", operand=3)
    path = tmp_path / "calc.json"
    path.write_text(json.dumps(manifest))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file of 300 ms of sound."""
    path = tmp_path / "tone.wav"
    with AudioBuffer.file_writer(path) as writer:
        writer.write(tone(4800))
    return path
