"""``remotemedia serve``, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from remotemedia import RemoteMediaError
from remotemedia.blocking import RemoteMediaClient
from remotemedia.grpc import TLS
from tests.cli.conftest import Command


@contextmanager
def serving(*arguments: object, token: str = "") -> Iterator[str]:
    """Run the command until it is told to stop, and yield the address."""
    with subprocess.Popen(
        [sys.executable, "-m", "remotemedia", "serve", "--port", "0"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REMOTEMEDIA_TOKEN": token},
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "contract until Ctrl-C" in process.stderr.read()


def test_it_serves_until_it_is_told_to_stop() -> None:
    with serving(token="secret") as address:
        with RemoteMediaClient(address, token="secret") as client:
            assert client.get_version().protocol_version == "v1"
        with pytest.raises(RemoteMediaError, match="missing"):
            RemoteMediaClient(address).connect()


def test_it_serves_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "me.pem", "me.key"))
    authority.cert_pem.write_to_path(str(ca))
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    with (
        serving("--tls-cert", certificate, "--tls-key", key) as address,
        RemoteMediaClient(address, ssl=TLS(ca=ca)) as client,
    ):
        assert client.get_version().protocol_version == "v1"


def test_files_for_tls_that_make_no_sense(command: Command, sound: Path) -> None:
    code, _, err = command("serve", "--tls-key", sound)
    assert code == 2
    assert "needs --tls-cert" in err
    code, _, err = command("serve", "--tls-cert", sound)
    assert code == 2
    assert "no certificate in PEM" in err
