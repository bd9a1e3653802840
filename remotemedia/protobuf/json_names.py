"""The names of a message's fields: in Python, in the proto, and in JSON.

A field has its name in the proto as its name in Python, and in JSON the name that
protoc makes of it, unless `Message.field` says otherwise.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field


class Names(NamedTuple):
    """The names of a field, other than that in Python."""

    proto: str
    json: str


@cache
def field_names(cls: type[Any]) -> dict[str, Names]:
    """Return the names of each field of a message class, by its name in Python."""
    fields: Mapping[str, Field[Any]] = cls.__dataclass_fields__
    found = {}
    for name, field in fields.items():
        proto = field.metadata.get("proto_name") or name
        json = field.metadata.get("json_name") or json_name(proto)
        found[name] = Names(proto, json)
    return found


def json_name(proto_name: str) -> str:
    """Return the name that protoc gives a field in JSON: `sample_rate` is `sampleRate`.

    The rule is that of protoc's `ToJsonName`: underscores are left out, and a letter
    after one becomes a capital; all other letters stay as they are.
    """
    first, *others = proto_name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
