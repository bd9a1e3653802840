"""TLS contexts that offer HTTP/2, and what their errors mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ssl import (
    SSLCertVerificationError,
    SSLContext,
    SSLError,
    create_default_context,
)
from typing import TypeAlias

StrPath: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class TLS:
    """Certificate files for a connection over TLS, in PEM format.

    ::

        tls = TLS(ca="ca.pem")
        tls = TLS(ca="ca.pem", certificate="me.pem", key="me.key")
        client = RemoteMediaClient("media.example:443", ssl=tls)

    The files are read when the client is made.

    Attributes:
        ca: certificates of the authorities to trust, in place of the system's.
        certificate: this client's own certificate, with the chain to its authority,
            for services that ask for one (mTLS).
        key: the private key of the certificate, unless it is in the same file. It must
            not be encrypted.
    """

    ca: StrPath | None = None
    certificate: StrPath | None = None
    key: StrPath | None = None


def tls_context(ssl: bool | SSLContext | TLS) -> SSLContext | None:
    """Make what a user passed as ``ssl`` ready for HTTP/2.

    Args:
        ssl: False for plaintext, True for TLS with the system's authorities, ``TLS``
            for certificate files, or a context, whose ALPN protocols are set to HTTP/2.

    Returns:
        The context, or None for plaintext.

    Raises:
        TypeError: it is none of these.
        ValueError: a certificate or key is not what it should be.
        OSError: a file cannot be read.
    """
    if ssl is False:
        return None
    if ssl is True:
        context = create_default_context()
    elif isinstance(ssl, TLS):
        context = _context_of(ssl)
    elif isinstance(ssl, SSLContext):
        context = ssl
    else:
        raise TypeError(f"ssl must be a bool, TLS or an SSLContext, got {ssl!r}")
    context.set_alpn_protocols(["h2"])
    return context


def _context_of(tls: TLS) -> SSLContext:
    if tls.key is not None and tls.certificate is None:
        raise ValueError("TLS(key=…) needs the certificate that the key belongs to")
    _check_readable(tls)
    try:
        context = create_default_context(cafile=tls.ca)
    except SSLError as error:
        raise ValueError(
            f"TLS(ca={os.fspath(tls.ca or '')!r}) has no certificate in PEM format: "
            f"{error.reason or error}"
        ) from error
    if tls.certificate is not None:
        own = f"certificate={os.fspath(tls.certificate)!r}"
        if tls.key is not None:
            own += f", key={os.fspath(tls.key)!r}"
        try:
            # Without a function, OpenSSL would ask for the password on the terminal.
            context.load_cert_chain(tls.certificate, tls.key, _no_password)
        except SSLError as error:
            raise ValueError(f"TLS({own}): {_load_problem(error)}") from error
        except _EncryptedKeyError:
            raise ValueError(
                f"TLS({own}): the key is encrypted; decrypt it, or pass an SSLContext"
            ) from None
    return context


def _check_readable(tls: TLS) -> None:
    """Open each file, as ``ssl`` does not say which one it could not read.

    Raises:
        OSError: a file cannot be read; it names the file.
    """
    for path in (tls.ca, tls.certificate, tls.key):
        if path is not None:
            with open(path, "rb"):  # noqa: PTH123 - a str or any path
                pass


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> str:
    raise _EncryptedKeyError


def _load_problem(error: SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return (
        "the file has no certificate, or no private key, in PEM format: "
        f"{error.reason or error}"
    )


# OpenSSL's X509_V_ERR_* (x509_vfy.h).
_PROBLEM_OF_VERIFY_CODE = {
    9: "it is not valid yet; is the clock of this machine right?",
    10: "it has expired",
    18: "it is signed by itself; to trust it, pass ssl=TLS(ca=…) with that certificate",
    **dict.fromkeys(
        (2, 19, 20, 21),
        "it is of an authority not trusted here; pass ssl=TLS(ca=…) with the "
        "authority's certificate",
    ),
    23: "it was revoked",
    **dict.fromkeys((62, 64), "it is not for this name"),
}

# What the peer says of the client's certificate, as alerts of RFC 8446, section 6.
_PROBLEM_OF_ALERT = {
    "CERTIFICATE_REQUIRED": "the service asks for a client certificate; pass "
    "ssl=TLS(certificate=…, key=…)",
    "UNKNOWN_CA": "the service does not trust the authority of the client certificate",
    "CERTIFICATE_EXPIRED": "the service says that the client certificate has expired",
    "CERTIFICATE_REVOKED": "the service says that the client certificate was revoked",
    "BAD_CERTIFICATE": "the service refused the client certificate",
    "CERTIFICATE_UNKNOWN": "the service refused the client certificate",
    "HANDSHAKE_FAILURE": "the service found no TLS version, cipher or client "
    "certificate that it accepts; does it ask for a certificate, as in "
    "ssl=TLS(certificate=…, key=…)?",
}


def explained(error: SSLError) -> str:
    """Say which certificate is wrong and why; "" where it is none."""
    if isinstance(error, SSLCertVerificationError):
        # OpenSSL's errors have these attributes; one made in Python has none.
        code = getattr(error, "verify_code", 0)
        problem = _PROBLEM_OF_VERIFY_CODE.get(code, "it is not valid")
        text = getattr(error, "verify_message", "") or str(error)
        return f"the certificate of the service was refused: {problem} ({text})"
    reason = getattr(error, "reason", None) or ""
    for alert, problem in _PROBLEM_OF_ALERT.items():
        # Such as TLSV13_ALERT_CERTIFICATE_REQUIRED.
        if reason.endswith(f"ALERT_{alert}"):
            return f"{problem} ({reason})"
    return ""
