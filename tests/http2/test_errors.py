"""Why a connection could not be made, in words that say what to check."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from remotemedia.http2.address import Address
from remotemedia.http2.errors import (
    ConnectFailedError,
    HTTP2Error,
    NotHTTP2Error,
    StreamResetError,
    connect_failed,
)
from remotemedia.http2.proxy import ProxyError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ssl.SSLError("wrong version number"), "is TLS on at the service?"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "is the service running"),
        (FileNotFoundError(errno.ENOENT, "no"), "is the service running"),
        (ConnectionResetError(errno.ECONNRESET, "no"), "does it ask for a certificate"),
        # What aiohappyeyeballs raises where several addresses failed.
        (OSError("Multiple exceptions: a, b"), "is the service running"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "is 'host' the right name"),
    ],
)
def test_a_failed_connection_says_what_to_check(error: Exception, text: str) -> None:
    failed = connect_failed(Address("host", 1), error)
    assert isinstance(failed, ConnectFailedError)
    assert text in str(failed)
    assert str(failed).startswith("cannot connect to host:1: ")
    assert str(error) in str(failed)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProxyError("the proxy refused"), "the proxy refused"),
        (UnicodeError("x"), "x"),
        (UnicodeError(), "UnicodeError"),
    ],
)
def test_without_a_hint_the_text_is_the_systems(error: Exception, text: str) -> None:
    failed = connect_failed(Address(path="/s"), error)
    assert str(failed) == f"cannot connect to unix:/s: {text}"


def test_a_reset_carries_its_code() -> None:
    error = StreamResetError(8)
    assert error.code == 8
    assert "HTTP/2 error code 8" in str(error)
    assert isinstance(error, HTTP2Error)


def test_a_peer_that_does_not_speak_http2_may_speak_tls() -> None:
    assert "TLS" in str(NotHTTP2Error())
