"""Metadata: the headers of a call that are the caller's own."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
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

AUTHORIZATION = "authorization"
"""The metadata key of a bearer token."""


class Metadata(tuple[Pair, ...]):
    """Metadata that was checked, so that it need not be checked again."""

    @classmethod
    def of(cls, metadata: MetadataLike | None) -> Metadata:
        """Check metadata in any of its forms.

        Raises:
            TypeError: it is neither a mapping nor pairs.
            ValueError: a header cannot carry a key or a value. The text does not show
                the value, which may be a secret.
        """
        if isinstance(metadata, Metadata):
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
        return f"<{type(self).__name__}: {', '.join(key for key, _ in self)}>"

    def headers(self) -> list[tuple[str, str]]:
        """The pairs as HTTP/2 headers; bytes become base64, without padding."""
        return [
            (key, value)
            if isinstance(value, str)
            else (key, b64encode(value).decode().rstrip("="))
            for key, value in self
        ]


NO_METADATA = Metadata()


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
        raise ValueError("token must be printable ASCII without spaces, and not empty")
    return (AUTHORIZATION, f"Bearer {token}")
