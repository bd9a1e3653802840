"""Proxies: which one is used, as gRPC's C core has it, and what can go wrong."""

from __future__ import annotations

import base64
import pickle

import pytest
import trustme

from remotemedia import RemoteMediaClient, RemoteMediaConnectionError
from remotemedia.http2.address import Address
from remotemedia.http2.proxy import Proxy, proxy_for
from remotemedia.testing import LocalService
from tests.http2.test_tls import client_context, server_context
from tests.support.peers import tcp_peer
from tests.support.pipelines import PASS, tone
from tests.support.proxies import connect_proxy

SERVICE = Address("media.example", 443)
SECRET = "pa%40ss"


def used(environment: dict[str, str], address: Address = SERVICE) -> str:
    """The proxy for an address, or ""."""
    proxy = proxy_for(address, True, environment)
    return "" if proxy is None else str(proxy.address)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ""),
        ({"https_proxy": ""}, ""),
        ({"http_proxy": "http://c:3"}, "c:3"),
        ({"https_proxy": "http://b:2", "http_proxy": "http://c:3"}, "b:2"),
        ({"grpc_proxy": "http://a:1", "https_proxy": "http://b:2"}, "a:1"),
        ({"grpc_proxy": "", "https_proxy": "http://b:2"}, "b:2"),
        ({"HTTPS_PROXY": "http://b:2"}, ""),
        ({"https_proxy": "http://b"}, "b:80"),
        ({"https_proxy": "http://[::1]:7/"}, "[::1]:7"),
    ],
)
def test_the_first_variable_that_is_set_counts(
    environment: dict[str, str], expected: str
) -> None:
    assert used(environment) == expected


@pytest.mark.parametrize(
    ("host", "excepted", "is_direct"),
    [
        ("media.example", "media.example", True),
        ("media.example", "a.org, .EXAMPLE ,", True),
        ("Media.Example", "media.example", True),
        ("media.example", "media.example.org", False),
        ("media.example", "10.0.0.0/8", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8,media.example", False),
        ("2001:db8::7", "2001:db8::/32", True),
        ("2001:db9::7", "2001:db8::/32", False),
    ],
)
def test_what_is_connected_to_directly(
    host: str, excepted: str, is_direct: bool
) -> None:
    environment = {"https_proxy": "http://p:1", "no_proxy": excepted}
    assert (used(environment, Address(host, 1)) == "") == is_direct


def test_the_exceptions_of_grpc_come_first() -> None:
    environment = {
        "https_proxy": "http://p:1",
        "no_grpc_proxy": "other.example",
        "no_proxy": "media.example",
    }
    assert used(environment) == "p:1"


@pytest.mark.parametrize("text", ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/s"])
def test_this_machine_is_connected_to_directly(text: str) -> None:
    assert used({"https_proxy": "http://p:1"}, Address.parse(text)) == ""


def test_the_environment_is_left_out_on_demand() -> None:
    assert proxy_for(SERVICE, False, {"https_proxy": "http://p:1"}) is None


def test_a_proxy_that_is_named_is_used_for_any_host() -> None:
    proxy = proxy_for(Address("127.0.0.1", 1), "http://p:1", {"no_proxy": "127.0.0.1"})
    assert proxy == Proxy(Address("p", 1))
    with pytest.raises(ValueError, match="no proxy reaches the unix socket unix:/s"):
        proxy_for(Address(path="/s"), "http://p:1", {})
    with pytest.raises(TypeError, match="proxy must be a URL or a bool, got int"):
        proxy_for(SERVICE, 3128, {})  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@p:1",
        f"socks5://user:{SECRET}@p:1",
        f"user:{SECRET}@p:1",
        f"http://user:{SECRET}@p:99999",
        f"http://user:{SECRET}@",
        f"http://user:{SECRET}@p:1/path",
        "p:3128",
        "",
    ],
)
def test_what_is_not_the_url_of_a_proxy(url: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy is not a URL of the form") as caught:
        proxy_for(SERVICE, url, {})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    if url:
        with pytest.raises(ValueError, match="environment variable https_proxy is not"):
            proxy_for(SERVICE, True, {"https_proxy": url})


def test_credentials_are_decoded_and_not_shown() -> None:
    proxy = proxy_for(SERVICE, f"http://us%3Aer:{SECRET}@p:1", {})
    assert proxy is not None
    assert proxy.authorization is not None
    kind, _, value = proxy.authorization.partition(" ")
    assert (kind, base64.b64decode(value)) == ("Basic", b"us:er:pa@ss")
    for text in (repr(proxy), str(proxy), f"{proxy}"):
        assert value not in text
        assert "pa@ss" not in text


async def test_calls_through_a_proxy() -> None:
    authority = trustme.CA()
    async with (
        LocalService(ssl=server_context(authority, "media.example")) as service,
        connect_proxy({"media.example:443": service.address}) as proxy,
        RemoteMediaClient(
            "media.example:443",
            ssl=client_context(authority),
            token="t",
            proxy=f"http://user:{SECRET}@127.0.0.1:{proxy.port}",
        ) as client,
    ):
        result = await client.execute_pipeline(PASS, {"src": tone()})
        assert result.audio().num_samples == 1600
        (request,) = proxy.requests
        assert "Proxy-Authorization: Basic dXNlcjpwYUBzcw==" in request
        assert SECRET not in repr(client)


async def test_calls_through_a_proxy_in_plaintext(local: LocalService) -> None:
    """The service may speak first, right behind the answer of the proxy."""
    async with (
        connect_proxy() as proxy,
        RemoteMediaClient(
            local.address, proxy=f"http://127.0.0.1:{proxy.port}"
        ) as client,
    ):
        assert (await client.get_version()).protocol_version == "v1"
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", "refused the credentials, or asks for some"),
        (b"HTTP/1.1 403 No\r\nx: y\r\n\r\n", "answered with HTTP status 403"),
        (b"HTTP/1.1 502 No\r\n\r\nwhy", "answered with HTTP status 502"),
        (b"SSH-2.0-x\r\n\r\n", "did not answer as one"),
        (b"HTTP/1.1 200 OK\r\n", "did not answer as one|closed the connection"),
        (b"x" * 100_000, "did not answer as one"),
    ],
)
async def test_a_proxy_that_does_not_make_a_tunnel(answer: bytes, text: str) -> None:
    async with connect_proxy() as proxy:
        proxy.answer = answer
        client = RemoteMediaClient(
            "media.example:443",
            ssl=True,
            proxy=f"http://user:{SECRET}@127.0.0.1:{proxy.port}",
        )
        with pytest.raises(RemoteMediaConnectionError, match=text) as caught:
            await client.connect()
        error = caught.value
        assert f"the proxy 127.0.0.1:{proxy.port}" in str(error)
        shown = f"{error!r} {pickle.dumps(error)!r}"
        assert SECRET not in shown
        assert "dXNlcjpwYUBzcw" not in shown
        assert error.retryable


async def test_a_proxy_that_never_answers() -> None:
    async with tcp_peer() as port:
        client = RemoteMediaClient(
            "media.example:443", proxy=f"http://127.0.0.1:{port}", connect_timeout=0.05
        )
        with pytest.raises(RemoteMediaConnectionError, match=r"within 0\.05 s"):
            await client.connect()


def test_a_token_does_not_travel_in_plaintext_to_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="in plaintext"):
        RemoteMediaClient("localhost:1", token="t", proxy="http://p:1")
    RemoteMediaClient("localhost:1", token="t", proxy="http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://p:1")
    RemoteMediaClient("localhost:1", token="t")
