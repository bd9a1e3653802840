"""The exit code of each kind of failure, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from grpclib.const import Status

from remotemedia import (
    ErrorType,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.cli.app import EXIT_CODES, app, exit_code
from remotemedia.testing import Fault, LocalService
from tests.cli.conftest import Command


@pytest.mark.parametrize("error_type", list(ErrorType))
def test_every_type_of_error_has_an_exit_code(error_type: ErrorType) -> None:
    error = RemoteMediaError("broken", error_type=error_type)
    assert exit_code(error) == EXIT_CODES.get(error_type, 1)
    assert str(exit_code(error)) in (app.epilog or "")


def test_no_connection_and_a_time_out_have_exit_codes() -> None:
    assert exit_code(RemoteMediaConnectionError("broken")) == 8
    assert exit_code(RemoteMediaTimeoutError("late")) == 9
    codes = [1, 2, *EXIT_CODES.values(), 8, 9, 130]
    assert len(set(codes)) == len(codes)


def test_a_failure_is_told_in_a_line(
    command: Command, passing: Path, service: LocalService
) -> None:
    service.add_fault(Fault.status(Status.RESOURCE_EXHAUSTED, "too much"))
    code, out, err = command("run", passing)
    assert (code, out) == (5, "")
    assert err.startswith("error RESOURCE_LIMIT: too much")
    assert err.count("\n") == 1


def test_a_failure_is_told_in_json(command: Command, passing: Path) -> None:
    code, out, err = command("run", passing, "--json", "--data", "other=1")
    assert (code, err) == (3, "")
    error = json.loads(out)["error"]
    assert (error["type"], error["node_id"]) == ("VALIDATION", "other")
    assert error["request_id"]


def test_no_service_is_no_connection(command: Command) -> None:
    code, _, err = command("version", "localhost:1")
    assert code == 8
    assert "is the service running" in err


def test_wrong_usage_is_said(command: Command, passing: Path) -> None:
    for arguments in (
        ["run", passing, "--audio", "src"],
        ["run", passing, "--audio", "src=a", "--audio", "src=b"],
        ["run", passing.with_name("missing.json")],
        ["run", passing, "--audio", "src=missing.wav"],
        ["version", "http://localhost:50051"],
        ["nothing"],
        ["version", "--timeout", "0"],
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert "rror" in err


def test_an_interrupt_has_an_exit_code(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("remotemedia.cli.options.RemoteMediaClient", interrupted)
    code, out, err = command("version")
    assert (code, out, err.strip()) == (130, "", "interrupted")


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra_the_command_says_how_to_get_it(package: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "from remotemedia.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'remotemedia[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_texts_name_options_of_the_command(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "pass --tls for TLS" in command("version", "http://localhost:50051")[2]
    monkeypatch.setenv("REMOTEMEDIA_TOKEN", "secret")
    _, _, err = command("version", "example.com:443")
    assert err.strip().endswith("in plaintext: pass --tls")
