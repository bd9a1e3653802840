"""Metadata: the headers and trailers of a call that are not gRPC's own."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, cast

Pair: TypeAlias = "tuple[str, str | bytes]"
MetadataLike: TypeAlias = (
    "Mapping[str, str | bytes] | Collection[tuple[str, str | bytes]]"
)
"""Keys and values, as a mapping or as pairs; keys may repeat in pairs. The value of a
key that ends in ``-bin`` is bytes, any other is printable ASCII text."""

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[\x21-\x7e]+")
# These belong to the protocol, as do those that begin with ":" or "grpc-". A peer that
# sends a token back must not have it stored in an error.
_NOT_METADATA = {"content-type", "te", "user-agent", "authorization"}

AUTHORIZATION = "authorization"
"""The metadata key of a bearer token."""


class Metadata(tuple[Pair, ...]):
    """Pairs of a key and a value, in order; a key may be there several times.

    A call sends metadata, and receives some with the headers and the trailers of its
    response. The value of a key that ends in ``-bin`` is bytes, any other is text.
    """

    @classmethod
    def of(cls, metadata: MetadataLike | None) -> Metadata:
        """Check metadata in any of its forms.

        Raises:
            TypeError: it is neither a mapping nor pairs.
            ValueError: a header cannot carry a key or a value. The text does not show
                the value, which may be a secret.
        """
        if type(metadata) is Metadata:
            # It was checked when it was made.
            return metadata
        pairs: Collection[Pair] = ()
        if isinstance(metadata, Mapping):
            # Type checkers lose the types of a Mapping in a union.
            pairs = cast("Mapping[str, str | bytes]", metadata).items()
        elif metadata is not None:
            pairs = metadata
        if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Collection):
            raise TypeError(
                "metadata must be a dict or a list of (key, value) pairs, not "
                f"{type(pairs).__name__}"
            )
        for pair in pairs:
            is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
            if not is_pair or not isinstance(pair[0], str):
                raise TypeError(
                    "metadata must have pairs of a key, which is a str, and a value"
                )
            key, value = pair
            if not _KEY.fullmatch(key) or key.startswith("grpc-"):
                raise ValueError(
                    f"metadata {key!r}: a key has lower-case letters, digits, '_', '-' "
                    "and '.', and does not begin with 'grpc-'"
                )
            if key.endswith("-bin"):
                if not isinstance(value, bytes):
                    raise ValueError(f"metadata {key!r}: the value must be bytes")
            elif not (isinstance(value, str) and _VALUE.fullmatch(value)):
                raise ValueError(f"metadata {key!r}: the value must be printable ASCII")
        return cls(pairs)

    @classmethod
    def received(cls, headers: Sequence[tuple[str, str]] | None) -> Metadata:
        """The metadata among the headers or trailers of a response.

        What is gRPC's own is left out, and so is a binary value that is not base64.
        """
        pairs: list[Pair] = []
        for key, value in headers or ():
            if key.startswith((":", "grpc-")) or key in _NOT_METADATA:
                continue
            if key.endswith("-bin"):
                # Values of the same key may have been joined on their way.
                found = map(decoded, value.split(","))
                pairs += [(key, data) for data in found if data is not None]
            else:
                pairs.append((key, value))
        return _Received(pairs)

    def get(self, key: str) -> str | bytes | None:
        """The first value of a key, or None."""
        return next((value for name, value in self if name == key), None)

    def getall(self, key: str) -> list[str | bytes]:
        """Every value of a key, in order."""
        return [value for name, value in self if name == key]

    def merged(self, metadata: MetadataLike | None) -> Metadata:
        """Both together; where a key is in both, the other's values replace these."""
        if metadata is None:
            return self
        other = Metadata.of(metadata)
        if not other:
            return self
        if not self:
            return other
        named = {key for key, _ in other}
        return Metadata((*(pair for pair in self if pair[0] not in named), *other))

    def __repr__(self) -> str:
        # Values may be secrets.
        return f"<Metadata: {', '.join(key for key, _ in self)}>"

    def headers(self) -> list[tuple[str, str]]:
        """The pairs as HTTP/2 headers; bytes become base64, without padding."""
        return [
            (key, value)
            if isinstance(value, str)
            else (key, b64encode(value).decode().rstrip("="))
            for key, value in self
        ]


NO_METADATA = Metadata()
"""What there is before anything arrived."""


class _Received(Metadata):
    """Metadata of a peer, which may have what no request can carry."""


def decoded(text: str) -> bytes | None:
    """The bytes of a binary header, with padding or without; None if not base64."""
    text = text.strip().rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def authorization(token: str) -> Pair:
    """The metadata for a bearer token.

    Raises:
        TypeError: the token is not a ``str``.
        ValueError: it has characters that a header cannot carry.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, got {type(token).__name__}")
    if not _TOKEN.fullmatch(token):
        # The token itself stays out of the message.
        raise ValueError(
            "token must be printable ASCII without spaces (strip it, and leave out "
            "'Bearer'), and not empty"
        )
    return (AUTHORIZATION, f"Bearer {token}")
