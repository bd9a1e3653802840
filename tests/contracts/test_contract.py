"""Which adapter is taken, and that both are complete."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from remotemedia import ErrorType, RemoteMediaError, VersionInfo
from remotemedia.contracts import (
    Contract,
    checked_name,
    contract_named,
    contract_of,
)
from remotemedia.contracts.audio import AudioContract
from remotemedia.contracts.data import DataContract
from remotemedia.testing import limits

# Type checkers see here that an adapter lacks nothing.
ADAPTERS: list[Contract[Any]] = [AudioContract(), DataContract()]


def test_each_is_the_other_of_the_other() -> None:
    audio, data = ADAPTERS
    assert (audio.name, audio.other) == ("audio", "data")
    assert (data.name, data.other) == ("data", "audio")
    assert audio.max_request_bytes == limits.MAX_REQUEST_BYTES
    assert data.max_request_bytes == limits.MAX_DATA_REQUEST_BYTES
    assert isinstance(contract_named("audio"), AudioContract)
    assert isinstance(contract_named("data"), DataContract)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("0.2.0", "audio"),
        ("0.2.17", "audio"),
        ("v0.2", "audio"),
        ("0.2.0-rc1", "audio"),
        ("0.4.0", "data"),
        ("0.4.1+build.5", "data"),
        ("", "audio"),
    ],
)
def test_a_service_is_known_by_its_version(version: str, name: str) -> None:
    assert contract_of(VersionInfo(runtime_version=version)).name == name


@pytest.mark.parametrize(
    "version",
    ["0.3.0", "0.20.0", "0.40", "1.0.0", "core", "4", "0.4294967296", "x" * 999],
)
def test_an_unknown_version_says_how_to_choose(version: str) -> None:
    with pytest.raises(RemoteMediaError) as caught:
        contract_of(VersionInfo(runtime_version=version))
    error = caught.value
    assert error.error_type is ErrorType.VERSION_MISMATCH
    assert "contract='data'" in error.message
    assert "0.2 ('audio') and 0.4 ('data')" in error.message
    assert len(error.message) < 400


def test_a_user_chooses_by_name() -> None:
    assert checked_name("audio") == "audio"
    assert checked_name("data") == "data"
    assert checked_name(None) is None
    for wrong in ("Data", "", 1, b"data", ["data"]):
        with pytest.raises(ValueError, match="must be 'audio', 'data' or None"):
            checked_name(wrong)


def test_what_is_not_used_is_not_imported() -> None:
    program = (
        "import sys, remotemedia.blocking, remotemedia.testing\n"
        "from remotemedia.contracts import contract_named\n"
        "contract_named('audio')\n"
        "found = [n for n in sys.modules if n.startswith(('remotemedia.data', "
        "'remotemedia.media', 'remotemedia.contracts.data'))]\n"
        "assert not found, found\n"
        "contract_named('data')\n"
        "assert 'remotemedia.data_v1' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
