"""Addresses, the token's rules, and TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.http2.channel import Address, Channel
from remotemedia.testing import LocalService
from tests.support.peers import tcp_peer


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:50051", Address(host="localhost", port=50051)),
        ("10.0.0.7:1", Address(host="10.0.0.7", port=1)),
        ("my-host.example.com:65535", Address(host="my-host.example.com", port=65535)),
        ("[::1]:50051", Address(host="::1", port=50051)),
        ("[fe80::1%eth0]:50051", Address(host="fe80::1%eth0", port=50051)),
        ("unix:/run/media.sock", Address(path="/run/media.sock")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not one of"),
        ("localhost", "is not one of"),
        (":50051", "is not one of"),
        ("localhost:", "is not one of"),
        ("localhost:http", "is not one of"),
        ("localhost:-1", "is not one of"),
        ("localhost:0", "from 1 to 65535"),
        ("localhost:65536", "from 1 to 65535"),
        ("::1:50051", "is not one of"),
        ("[::1]", "is not one of"),
        ("[localhost]:1", "is not one of"),
        ("[1.2.3.4]:1", "Expected at least 3 parts|At least 3 parts"),
        ("http://localhost:50051", "leave out the scheme"),
        ("dns:///localhost:1", "leave out the scheme"),
        ("user@localhost:1", "is not one of"),
        ("localhost :1", "is not one of"),
        ("localhost:1\n", "is not one of"),
        ("unix:", "absolute path"),
        ("unix:media.sock", "absolute path"),
        ("unix:/a\0b", "absolute path"),
    ],
)
def test_what_is_no_address(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RemoteMediaClient(text)


def test_an_address_is_text() -> None:
    with pytest.raises(TypeError, match="must be a str, got int"):
        RemoteMediaClient(50051)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    "address", ["localhost:1", "127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "unix:/s"]
)
def test_a_token_stays_on_this_machine(address: str) -> None:
    RemoteMediaClient(address, token="t")


@pytest.mark.parametrize(
    "address",
    ["example.com:1", "10.0.0.1:1", "[2001:db8::1]:1", "localhost.evil.com:1"],
)
def test_a_token_does_not_travel_in_plaintext(address: str) -> None:
    with pytest.raises(ValueError, match="in plaintext: pass ssl=True") as caught:
        RemoteMediaClient(address, token="s3cret")
    assert "s3cret" not in str(caught.value)
    RemoteMediaClient(address)
    RemoteMediaClient(address, token="t", ssl=True)
    RemoteMediaClient(address, token="t", allow_insecure_token=True)


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "a\r\nx: y", "tökén", "\x7f"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        RemoteMediaClient("localhost:1", token=token)
    assert not token or token not in str(caught.value)


def test_a_token_is_text() -> None:
    with pytest.raises(TypeError, match="token must be a str, got bytes"):
        RemoteMediaClient("localhost:1", token=b"t")  # type: ignore[arg-type]  # the mistake


def test_ssl_is_a_bool_or_a_context() -> None:
    with pytest.raises(TypeError, match="ssl must be a bool or an SSLContext"):
        RemoteMediaClient("localhost:1", ssl="yes")  # type: ignore[arg-type]  # the mistake


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


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with LocalService(path=path) as service:
        assert service.address == f"unix:{path}"
        async with RemoteMediaClient(service.address, token="t") as client:
            assert (await client.get_version()).protocol_version == "v1"


async def test_connecting_is_bounded(authority: trustme.CA) -> None:
    """A peer that takes the connection and never answers the TLS handshake."""
    async with tcp_peer() as port:
        client = RemoteMediaClient(
            f"127.0.0.1:{port}", ssl=client_context(authority), connect_timeout=0.05
        )
        with pytest.raises(RemoteMediaConnectionError, match=r"within 0\.05 s"):
            await client.connect()


def test_the_windows() -> None:
    """One stream that nobody reads holds a part of the connection's window only."""

    async def windows() -> tuple[int, int]:
        channel = Channel(Address(path="/s"), ssl=None, connect_timeout=None)
        config = channel._config
        return config.http2_stream_window_size, config.http2_connection_window_size

    stream, connection = asyncio.run(windows())
    assert connection >= 16 * stream


def test_the_error_of_a_deadline_is_another() -> None:
    assert not issubclass(RemoteMediaConnectionError, RemoteMediaTimeoutError)
