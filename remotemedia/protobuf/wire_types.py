"""The wire types of requests, which the service checks as the real one does.

A field whose number is known may have come with a wire type that it cannot have, such
as a message where a number belongs. Our decoder, like Google's, then keeps it as an
unknown field. The service's decoder refuses the message: so it tells a client that
speaks the other contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import betterproto

_GROUP_START, _GROUP_END = 3, 4


def check_wire_types(message: betterproto.Message) -> None:
    """Check a message that was decoded, and all messages in it.

    Raises:
        ValueError: a known field has a wire type that it cannot have.
    """
    if unknown := message._unknown_fields:
        known = message._betterproto.field_name_by_number  # type: ignore[arg-type]  # its classproperty takes no class
        depth = 0
        for field in betterproto.parse_fields(unknown):
            depth -= field.wire_type == _GROUP_END
            # What is in a group has numbers of its own.
            if field.number in known and not depth:
                raise ValueError(
                    f"{type(message).__name__}.{known[field.number]}: "
                    f"invalid wire type {field.wire_type}"
                )
            depth += field.wire_type == _GROUP_START
    for child in _messages_in(message):
        check_wire_types(child)


def _messages_in(message: betterproto.Message) -> Iterator[betterproto.Message]:
    for name, value in vars(message).items():
        # The other names are betterproto's own.
        if name.startswith("_"):
            continue
        if isinstance(value, betterproto.Message):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, betterproto.Message))
        elif isinstance(value, Mapping):
            yield from (
                each for each in value.values() if isinstance(each, betterproto.Message)
            )
