"""TLS: right certificates, wrong ones, and TLS at one end only."""

from __future__ import annotations

import ssl

import pytest
import trustme

from remotemedia import RemoteMediaClient, RemoteMediaConnectionError, RemoteMediaError
from remotemedia.http2.tls import tls_context
from remotemedia.testing import LocalService


def test_ssl_is_a_bool_or_a_context() -> None:
    assert tls_context(False) is None
    assert isinstance(tls_context(True), ssl.SSLContext)
    context = ssl.create_default_context()
    assert tls_context(context) is context
    with pytest.raises(TypeError, match="ssl must be a bool or an SSLContext"):
        tls_context("yes")  # type: ignore[arg-type]  # the mistake


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls(authority: trustme.CA) -> None:
    async with LocalService(ssl=server_context(authority, "localhost")) as service:
        address = service.address.replace("127.0.0.1", "localhost")
        async with RemoteMediaClient(
            address, ssl=client_context(authority), token="t"
        ) as client:
            assert (await client.get_version()).protocol_version == "v1"


async def test_a_certificate_of_another_name(authority: trustme.CA) -> None:
    async with LocalService(ssl=server_context(authority, "example.org")) as service:
        client = RemoteMediaClient(service.address, ssl=client_context(authority))
        with pytest.raises(RemoteMediaConnectionError, match="not for this name"):
            await client.connect()


async def test_a_certificate_of_another_authority(authority: trustme.CA) -> None:
    async with LocalService(ssl=server_context(authority, "127.0.0.1")) as service:
        client = RemoteMediaClient(service.address, ssl=client_context(trustme.CA()))
        with pytest.raises(RemoteMediaConnectionError, match="authority not trusted"):
            await client.connect()


async def test_tls_against_plaintext(
    authority: trustme.CA, local: LocalService
) -> None:
    client = RemoteMediaClient(local.address, ssl=client_context(authority))
    with pytest.raises(RemoteMediaConnectionError, match="is TLS on at the service"):
        await client.connect()


async def test_plaintext_against_tls(authority: trustme.CA) -> None:
    async with LocalService(ssl=server_context(authority, "127.0.0.1")) as service:
        client = RemoteMediaClient(service.address, timeout=5)
        with pytest.raises(RemoteMediaError, match=r"TLS|connection was lost"):
            await client.connect()
