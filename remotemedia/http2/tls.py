"""TLS contexts that offer HTTP/2."""

from __future__ import annotations

from ssl import SSLContext, create_default_context


def tls_context(ssl: bool | SSLContext) -> SSLContext | None:
    """Make what a user passed as ``ssl`` ready for HTTP/2.

    Args:
        ssl: False for plaintext, True for TLS with the system's authorities, or a
            context, whose ALPN protocols are set to HTTP/2.

    Returns:
        The context, or None for plaintext.

    Raises:
        TypeError: it is neither a bool nor a context.
    """
    if ssl is False:
        return None
    if ssl is True:
        context = create_default_context()
    elif isinstance(ssl, SSLContext):
        context = ssl
    else:
        raise TypeError(f"ssl must be a bool or an SSLContext, got {ssl!r}")
    context.set_alpn_protocols(["h2"])
    return context
