"""The programs of docs/how-to/production.md run, and its numbers are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trustme

from remotemedia import RemoteMediaClient
from remotemedia.http2.backoff import FIRST_S, JITTER
from remotemedia.http2.keepalive import (
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
)
from remotemedia.testing import LocalService
from tests.http2.test_tls import demanding, server_context

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "how-to/production.md").read_text()


def function(name: str) -> Any:
    """A function of the guide."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S):
        exec(block, names)
    return names[name]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority, and the files that the guide names, in the current folder."""
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    own = authority.issue_cert("client")
    authority.cert_pem.write_to_path("ca.pem")
    own.cert_chain_pems[0].write_to_path("client.pem")
    own.private_key_pem.write_to_path("client.key")
    return authority


async def test_the_clients_with_certificates_connect(authority: trustme.CA) -> None:
    async with (
        LocalService(ssl=server_context(authority, "127.0.0.1")) as service,
        function("own_authority")(service.address) as client,
    ):
        await client.get_version()
    async with (
        LocalService(ssl=demanding(authority)) as service,
        function("own_certificate")(service.address) as client,
    ):
        await client.get_version()


def test_the_client_of_a_fleet_is_made() -> None:
    assert isinstance(function("fleet")("secret"), RemoteMediaClient)


def test_the_numbers_are_the_codes() -> None:
    text = " ".join(GUIDE.split())
    assert f"sent nothing for `keepalive` seconds ({DEFAULT_KEEPALIVE_S:g})" in text
    assert f"`keepalive_timeout` seconds ({DEFAULT_KEEPALIVE_TIMEOUT_S:g})" in text
    assert f"{FIRST_S:g} s at first" in text
    assert f"up to {FIRST_S * 64:g} s, each {JITTER * 100:g} % more or less" in text
