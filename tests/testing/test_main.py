"""``python -m remotemedia.testing``, the embedded service as a program."""

from __future__ import annotations

import signal
from types import ModuleType

import grpc
import pytest

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


def test_the_help_says_the_defaults() -> None:
    with service_process("--help") as process:
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "default: 127.0.0.1" in output
    assert "default: 50051" in output


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
