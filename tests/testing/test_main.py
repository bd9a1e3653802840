"""``python -m remotemedia.testing``, the embedded service as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType

import grpc
import pytest

import remotemedia
from remotemedia.testing import LocalService
from tests.support.processes import address_of, service_process
from tests.testing.core_client import connect


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_runs_until_a_signal(
    core_modules: dict[str, ModuleType], number: signal.Signals
) -> None:
    with service_process() as process:
        async with connect(core_modules, address_of(process)) as client:
            assert (await client.version()).compatible
            # With a client still connected.
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


async def test_the_token_comes_from_the_environment(
    core_modules: dict[str, ModuleType],
) -> None:
    options = ("--token-env", "SERVICE_TOKEN")
    with service_process(*options, SERVICE_TOKEN="s3cret") as process:
        async with connect(core_modules, address_of(process)) as client:
            metadata = [("authorization", "Bearer s3cret")]
            assert (await client.version(metadata=metadata)).compatible
            with pytest.raises(grpc.aio.AioRpcError):
                await client.version()


async def test_the_size_of_requests_is_an_option(
    core_modules: dict[str, ModuleType],
) -> None:
    with service_process("--max-request-bytes", "10") as process:
        async with connect(core_modules, address_of(process)) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.version("a long version")
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_the_contract_is_an_option(core_modules: dict[str, ModuleType]) -> None:
    with service_process("--contract", "data") as process:
        # GetVersion is the same in both contracts.
        async with connect(core_modules, address_of(process)) as client:
            info = (await client.version()).version_info
    assert info.runtime_version == "0.4.0"


def test_the_size_of_requests_must_be_positive() -> None:
    with service_process("--max-request-bytes", "0") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "--max-request-bytes" in errors


# Runs the service from the zip file that comes first on the path, with no metadata of
# the package, and without `__file__` if the program is frozen.
ZIPPED = """
import importlib.metadata, runpy, sys

real = importlib.metadata.distribution

def distribution(name):
    if name == "remotemedia":
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)

importlib.metadata.distribution = distribution
sys.path.insert(0, sys.argv.pop(1))
import remotemedia.testing.execution as execution
assert ".zip" in execution.__file__
if sys.argv[1] == "frozen":
    del execution.__file__
sys.argv[1:] = ["--port", "0"]
runpy.run_module("remotemedia.testing", run_name="__main__")
"""


@contextmanager
def zipped_service(code: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Run the service from a zip file, and kill it at the end."""
    command = [sys.executable, "-c", ZIPPED, str(code), kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=code.parent
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["zipped", "frozen"])
async def test_it_runs_from_a_zip_file_without_metadata(
    core_modules: dict[str, ModuleType], tmp_path: Path, kind: str
) -> None:
    source, code = Path(remotemedia.__file__).parent, tmp_path / "code.zip"
    with zipfile.ZipFile(code, "w") as archive:
        for path in source.rglob("*.py"):
            archive.write(path, path.relative_to(source.parent))
    os.utime(code, (1e9, 1e9))
    with zipped_service(code, kind) as process:
        async with connect(core_modules, address_of(process)) as client:
            info = (await client.version()).version_info
    assert info.runtime_version == "0.2.0"
    built = datetime.fromisoformat(info.build_timestamp)
    program = code if kind == "zipped" else Path(sys.executable)
    assert built.timestamp() == int(program.stat().st_mtime)


def test_the_help_says_the_defaults() -> None:
    with service_process("--help") as process:
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "default: 127.0.0.1" in output
    assert "default: 50051" in output
    assert "default: the contract's" in " ".join(output.split())
    assert "default: audio" in " ".join(output.split())


def test_a_variable_that_is_not_set() -> None:
    with service_process("--token-env", "NO_SUCH_TOKEN") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "NO_SUCH_TOKEN is not set" in errors


async def test_a_taken_port(local: LocalService) -> None:
    port = local.address.rpartition(":")[2]
    with service_process("--port", port) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert len(errors.splitlines()) == 1
