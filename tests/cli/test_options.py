"""Where the token comes from, and TLS."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
import trustme

from remotemedia.cli.app import run
from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService
from tests.support.pipelines import PASS


def secured(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def test_the_token_comes_from_a_file_or_the_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    monkeypatch.delenv("REMOTEMEDIA_TOKEN", raising=False)
    with LocalService(token="secret") as service:
        assert run(["version", service.address]) == 6
        assert run(["version", service.address, "--token-file", str(file)]) == 0
        monkeypatch.setenv("REMOTEMEDIA_TOKEN", "secret")
        assert run(["version", service.address]) == 0
        monkeypatch.setenv("REMOTEMEDIA_TOKEN", "wrong")
        assert run(["version", service.address]) == 6
    assert "secret" not in "".join(capsys.readouterr())


def test_the_token_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "localhost:1", "--token", "secret"]) == 2
    assert "--token-file" in capsys.readouterr().err


def test_tls_with_an_authority_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with LocalService(ssl=secured(authority)) as service:
        assert run(["version", service.address, "--tls-ca", str(file)]) == 0
        assert run(["version", service.address, "--tls"]) == 8
    assert "certificate" in capsys.readouterr().err


@pytest.mark.parametrize(("contract", "other"), [("audio", "data"), ("data", "audio")])
def test_the_contract_can_be_chosen(
    contract: ContractName,
    other: ContractName,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "pass.json"
    path.write_text(json.dumps(PASS))
    call = ["run", str(path), "--data", "src=1", "--contract"]
    with LocalService(contract=contract) as service:
        assert run([*call, contract, "--address", service.address]) == 0
        assert run([*call, other, "--address", service.address]) != 0
    said = f"may speak the other set of messages: --contract {contract} ["
    assert said in capsys.readouterr().err


def test_an_unknown_version_says_how_to_choose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("remotemedia.testing.audio_front._RUNTIME_VERSION", "7.1.0")
    with LocalService() as service:
        assert run(["version", service.address]) == 7
        assert "Say it yourself: --contract data, or audio" in capsys.readouterr().err
        assert run(["version", service.address, "--contract", "audio"]) == 0
