"""The trip of one message through JSON, with both libraries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format

from remotemedia.protobuf import EncodeError
from tests.codec.values import google_tree

if TYPE_CHECKING:
    from tests.codec.values import Pair


def google_text(message: Any, pool: Any) -> str | None:
    """Return Google's JSON; `None` if the message has none."""
    try:
        return json_format.MessageToJson(message, descriptor_pool=pool)
    except (json_format.SerializeToJsonError, TypeError, ValueError):
        return None


def check_trip(pair: Pair, google: Any, pool: Any) -> None:
    """Write and read a message with both libraries."""
    ours: Any = pair.ours.FromString(google.SerializeToString())
    text = google_text(google, pool)
    if text is None:
        with pytest.raises(EncodeError):
            ours.to_json()
        return
    assert in_order(ours.to_json()) == in_order(text)
    try:
        twin = json_format.Parse(ours.to_json(), pair.google(), descriptor_pool=pool)
    except json_format.ParseError:
        # Google's does not read the largest float, which it writes.
        with pytest.raises(json_format.ParseError):
            json_format.Parse(text, pair.google(), descriptor_pool=pool)
        return
    again: Any = pair.ours().from_json(text)
    assert google_tree(pair.google.FromString(bytes(again))) == google_tree(twin)


def in_order(text: str) -> str:
    """Return JSON text with its keys in order, because maps have none."""
    return json.dumps(json.loads(text), sort_keys=True)
