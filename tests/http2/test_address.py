"""Addresses: every form, every mistake, and which of them stay on this machine."""

from __future__ import annotations

import pytest

from remotemedia.http2.address import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:50051", Address(host="localhost", port=50051)),
        ("10.0.0.7:1", Address(host="10.0.0.7", port=1)),
        ("my-host.example.com:65535", Address(host="my-host.example.com", port=65535)),
        ("[::1]:50051", Address(host="::1", port=50051)),
        ("[fe80::1%eth0]:50051", Address(host="fe80::1%eth0", port=50051)),
        ("unix:/run/media.sock", Address(host="", port=0, path="/run/media.sock")),
    ],
)
def test_an_address(text: str, address: Address) -> None:
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
def test_text_that_is_not_an_address(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Address.parse(text)


def test_an_address_is_text() -> None:
    with pytest.raises(TypeError, match="must be a str, got int"):
        Address.parse(50051)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("[::1]:1", True),
        ("unix:/s", True),
        ("example.com:1", False),
        ("10.0.0.1:1", False),
        ("[2001:db8::1]:1", False),
        ("localhost.evil.com:1", False),
    ],
)
def test_what_stays_on_this_machine(text: str, is_local: bool) -> None:
    assert Address.parse(text).is_local == is_local
