"""TLS: right certificates, wrong ones, and TLS at one end only."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from remotemedia import (
    TLS,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
)
from remotemedia.http2.tls import explained, tls_context
from remotemedia.testing import LocalService


def test_ssl_is_a_bool_or_files_or_a_context() -> None:
    assert tls_context(False) is None
    assert isinstance(tls_context(True), ssl.SSLContext)
    assert isinstance(tls_context(TLS()), ssl.SSLContext)
    context = ssl.create_default_context()
    assert tls_context(context) is context
    with pytest.raises(TypeError, match="ssl must be a bool, TLS or an SSLContext"):
        tls_context("yes")  # type: ignore[arg-type]  # the mistake


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(
    authority: trustme.CA, name: str, *, expires: dt.datetime | None = None
) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf = authority.issue_cert(name, not_after=expires)
    leaf.configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


Save = Callable[[trustme.Blob, str], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a certificate or a key into a file of this name."""

    def write(blob: trustme.Blob, name: str) -> Path:
        path = tmp_path / name
        blob.write_to_path(str(path))
        return path

    return write


# -- what the files hold


def test_a_file_that_cannot_be_read_is_named(authority: trustme.CA, save: Save) -> None:
    ca = save(authority.cert_pem, "ca.pem")
    for tls in (
        TLS(ca="/no/such.pem"),
        TLS(ca=ca, certificate="/no/such.pem"),
        TLS(ca=ca, certificate=ca, key="/no/such.pem"),
    ):
        with pytest.raises(FileNotFoundError, match=r"/no/such\.pem"):
            tls_context(tls)


def test_a_file_that_holds_something_else_is_named(
    authority: trustme.CA, save: Save
) -> None:
    mine, other = authority.issue_cert("me"), authority.issue_cert("you")
    ca = save(authority.cert_pem, "ca.pem")
    key = save(mine.private_key_pem, "me.key")
    certificate = save(mine.cert_chain_pems[0], "me.pem")
    other_key = save(other.private_key_pem, "you.key")
    for tls, text in (
        (TLS(ca=key), r"TLS\(ca='.*me\.key'\) has no certificate in PEM format"),
        (TLS(ca=ca, key=key), r"needs the certificate that the key belongs to"),
        (TLS(ca=ca, certificate=certificate), r"me\.pem'\): the file has no"),
        (TLS(ca=ca, certificate=key), r"me\.key'\): the file has no certificate"),
        (
            TLS(ca=ca, certificate=certificate, key=other_key),
            r"me\.pem', key='.*you\.key'\): the key does not belong to",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            tls_context(tls)


def test_an_encrypted_key_does_not_ask_on_the_terminal(
    authority: trustme.CA, save: Save, tmp_path: Path
) -> None:
    mine = authority.issue_cert("me")
    certificate = save(mine.cert_chain_pems[0], "me.pem")
    key, encrypted = save(mine.private_key_pem, "me.key"), tmp_path / "secret.key"
    command = "openssl pkey -aes256 -passout pass:word"
    subprocess.run(
        [*command.split(), "-in", key, "-out", encrypted],
        check=True,
    )
    with pytest.raises(ValueError, match=r"secret\.key'\): the key is encrypted"):
        tls_context(TLS(certificate=certificate, key=encrypted))


# -- what the service has


async def test_tls(authority: trustme.CA, save: Save) -> None:
    async with LocalService(ssl=server_context(authority, "localhost")) as service:
        address = service.address.replace("127.0.0.1", "localhost")
        ca = save(authority.cert_pem, "ca.pem")
        for ours in (client_context(authority), TLS(ca=ca), TLS(ca=str(ca))):
            async with RemoteMediaClient(address, ssl=ours, token="t") as client:
                assert (await client.get_version()).protocol_version == "v1"


async def test_tls_over_a_unix_socket(
    authority: trustme.CA, save: Save, tmp_path: Path
) -> None:
    async with (
        LocalService(
            path=tmp_path / "s", ssl=server_context(authority, "localhost")
        ) as service,
        RemoteMediaClient(
            service.address, ssl=TLS(ca=save(authority.cert_pem, "ca.pem"))
        ) as client,
    ):
        assert (await client.get_version()).protocol_version == "v1"


@contextmanager
def handshaking(context: ssl.SSLContext) -> Iterator[str]:
    """Do one handshake, which must fail, and yield the address.

    A service on asyncio closes the connection without the alert that says why; this one
    sends it, as most do.
    """

    def serve() -> None:
        raw, _ = listener.accept()
        with raw, context.wrap_socket(raw, True, do_handshake_on_connect=False) as tls:
            with suppress(OSError):
                tls.do_handshake()
            # A socket that is closed with bytes unread is reset, without the alert.
            with suppress(OSError):
                tls.shutdown(socket.SHUT_WR)
                while tls.recv(65536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


async def refusal(theirs: ssl.SSLContext, ours: ssl.SSLContext | TLS | bool) -> str:
    """Connect to a service, which must fail, and return the error's text."""
    with handshaking(theirs) as address:
        client = RemoteMediaClient(address, ssl=ours)
        with pytest.raises(RemoteMediaConnectionError) as caught:
            await client.connect()
        assert address in str(caught.value)
        assert not caught.value.retryable
        return str(caught.value)


async def test_a_certificate_of_another_name(authority: trustme.CA) -> None:
    text = await refusal(
        server_context(authority, "example.org"), client_context(authority)
    )
    assert "certificate of the service was refused: it is not for this name" in text
    assert "127.0.0.1" in text


async def test_a_certificate_of_another_authority(authority: trustme.CA) -> None:
    theirs = server_context(authority, "127.0.0.1")
    for ours in (client_context(trustme.CA()), True):
        text = await refusal(theirs, ours)
        assert "it is of an authority not trusted here; pass ssl=TLS(ca=…)" in text


async def test_a_certificate_that_has_expired(authority: trustme.CA) -> None:
    yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(1)
    text = await refusal(
        server_context(authority, "127.0.0.1", expires=yesterday),
        client_context(authority),
    )
    assert "certificate of the service was refused: it has expired" in text


def test_an_error_that_python_made_is_explained_without_a_reason() -> None:
    text = explained(ssl.SSLCertVerificationError("odd"))
    assert "the certificate of the service was refused: it is not valid" in text
    assert "odd" in text
    assert explained(ssl.SSLError("odd")) == ""


# -- what the client has


def demanding(
    authority: trustme.CA, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """The context of a service that asks for a client certificate."""
    context = server_context(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    authority.configure_trust(context)
    return context


def client_files(
    trusted: trustme.CA,
    own: trustme.LeafCert,
    save: Save,
) -> TLS:
    return TLS(
        ca=save(trusted.cert_pem, "ca.pem"),
        certificate=save(own.cert_chain_pems[0], "me.pem"),
        key=save(own.private_key_pem, "me.key"),
    )


BOTH_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
)


@BOTH_VERSIONS
async def test_both_sides_have_certificates(
    authority: trustme.CA, save: Save, version: ssl.TLSVersion
) -> None:
    mine = authority.issue_cert("me")
    async with (
        LocalService(ssl=demanding(authority, version)) as service,
        RemoteMediaClient(
            service.address, ssl=client_files(authority, mine, save)
        ) as client,
    ):
        assert (await client.get_version()).protocol_version == "v1"


@BOTH_VERSIONS
async def test_a_client_certificate_is_missing(
    authority: trustme.CA, save: Save, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 the client learns of it only by what it reads first."""
    ours = TLS(ca=save(authority.cert_pem, "ca.pem"))
    text = await refusal(demanding(authority, version), ours)
    assert "certificate" in text
    assert "ssl=TLS(certificate=…, key=…)" in text


@BOTH_VERSIONS
async def test_a_service_that_does_not_say_why(
    authority: trustme.CA, save: Save, version: ssl.TLSVersion
) -> None:
    ours = TLS(ca=save(authority.cert_pem, "ca.pem"))
    async with LocalService(ssl=demanding(authority, version)) as service:
        client = RemoteMediaClient(service.address, ssl=ours)
        with pytest.raises(RemoteMediaConnectionError, match="ask for a certificate"):
            await client.connect()


@BOTH_VERSIONS
async def test_a_client_certificate_of_another_authority(
    authority: trustme.CA, save: Save, version: ssl.TLSVersion
) -> None:
    ours = client_files(authority, trustme.CA().issue_cert("me"), save)
    text = await refusal(demanding(authority, version), ours)
    assert "does not trust the authority of the client certificate" in text


async def test_a_client_certificate_that_has_expired(
    authority: trustme.CA, save: Save
) -> None:
    yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(1)
    mine = authority.issue_cert("me", not_after=yesterday)
    text = await refusal(demanding(authority), client_files(authority, mine, save))
    assert "client certificate has expired" in text


# -- TLS at one end only


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
