"""The embedded service as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import grpc
import pytest

from remotemedia.testing import LocalService
from tests.testing.core_client import connect

COMMAND = [sys.executable, "-W", "error", "-m", "remotemedia.testing"]


@contextmanager
def running(*options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *options],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_runs_until_a_signal(
    core_modules: dict[str, ModuleType], number: signal.Signals
) -> None:
    with running("--port", "0") as process:
        async with connect(core_modules, address(process)) as client:
            assert (await client.version()).compatible
            # With a client still connected.
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


async def test_the_token_comes_from_the_environment(
    core_modules: dict[str, ModuleType],
) -> None:
    options = ("--port", "0", "--token-env", "SERVICE_TOKEN")
    with running(*options, SERVICE_TOKEN="s3cret") as process:
        async with connect(core_modules, address(process)) as client:
            metadata = [("authorization", "Bearer s3cret")]
            assert (await client.version(metadata=metadata)).compatible
            with pytest.raises(grpc.aio.AioRpcError):
                await client.version()


def test_the_help_says_the_defaults() -> None:
    with running("--help") as process:
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "default: 127.0.0.1" in output
    assert "default: 50051" in output


def test_a_variable_that_is_not_set() -> None:
    with running("--token-env", "NO_SUCH_TOKEN") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "NO_SUCH_TOKEN is not set" in errors


async def test_a_taken_port(local: LocalService) -> None:
    port = local.address.rpartition(":")[2]
    with running("--port", port) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert len(errors.splitlines()) == 1
