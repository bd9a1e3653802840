"""The round trip that unit, property and fuzz tests share. It has three outcomes.

Google's protobuf and our codec get the same bytes. Either both accept them and decode
them to the same value, or both reject them, or our codec is at fault.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError as GoogleDecodeError

from remotemedia.protobuf import DecodeError
from tests.codec.values import (
    FLOATS,
    MESSAGE,
    construct,
    google_tree,
    is_map,
    map_value,
    our_tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import betterproto
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message as GoogleMessage

    from tests.codec.values import Pair, Value


# The only input that upb accepts and we reject: field number 0, which the format does
# not allow. upb does not look for it in unknown groups and in messages without fields.
ZERO_NUMBER = "a field has the number 0"


class Outcome(Enum):
    """The outcome of a round trip if our codec is not at fault."""

    EQUAL = "both decode to the same value and encode it to the same bytes"
    REJECTED = "both reject the bytes"


class Fault(AssertionError):  # noqa: N818 - as AssertionError itself
    """Our codec differs from Google's in the way that the text says."""

    def __init__(self, pair: Pair, data: bytes, what: str) -> None:
        super().__init__(f"{pair}, bytes.fromhex('{data.hex()}'): {what}")


def round_trip(pair: Pair, data: bytes) -> Outcome:
    """Decode and encode `data` with both libraries, and compare the results.

    Raises:
        Fault: Only our codec accepts or rejects the bytes, or it raises another
            exception than `DecodeError`, decodes another value, or encodes other bytes.

    """
    both = decoded_by_both(pair, data)
    if both is None:
        return Outcome.REJECTED
    google, ours = both
    try:
        check_encoding(pair, data, google, bytes(ours))
    except Fault:
        raise
    except Exception as error:
        raise Fault(pair, data, f"encoding raises {error!r}") from error
    return Outcome.EQUAL


def decoded_by_both(
    pair: Pair, data: bytes
) -> tuple[GoogleMessage, betterproto.Message] | None:
    """Decode `data` with both libraries; return `None` if both reject it.

    Raises:
        Fault: Only our codec accepts or rejects the bytes, or it raises another
            exception than `DecodeError`, or decodes another value.

    """
    google = decoded_by_google(pair, data)
    try:
        ours = pair.ours.FromString(data)
    except DecodeError as error:
        if google is not None and error.reason != ZERO_NUMBER:
            raise Fault(pair, data, f"only ours rejects it: {error}") from error
        return None
    except Exception as error:
        raise Fault(pair, data, f"decoding raises {error!r}") from error
    if google is None:
        raise Fault(pair, data, f"only ours accepts it: {ours}")
    expected, found = google_tree(google), our_tree(ours, pair.descriptor)
    if found != expected:
        raise Fault(pair, data, f"decoded to {found}, not to {expected}")
    return google, ours


def check_construction(pair: Pair, google: GoogleMessage) -> None:
    """Construct the same message as ours, and compare its value and its bytes.

    Raises:
        Fault: Our constructor, encoder or equality is wrong.

    """
    data = google.SerializeToString()
    expected = google_tree(google)
    ours = construct(pair.ours, google)
    if (found := our_tree(ours, pair.descriptor)) != expected:
        raise Fault(pair, data, f"constructed as {found}, not {expected}")
    encoded = bytes(ours)
    again = decoded_by_google(pair, encoded)
    if again is None or (found := google_tree(again)) != expected:
        raise Fault(pair, data, f"encodes as {encoded.hex()}: {found}, not {expected}")
    if encoded != data and not has_choice(google):
        raise Fault(pair, data, f"encodes as {encoded.hex()}: not Google's order")
    # NaN is not equal to itself.
    if ours != pair.ours.FromString(data) and "'nan'" not in str(expected):
        raise Fault(pair, data, "constructed and decoded are not equal")


def has_choice(message: GoogleMessage) -> bool:
    """Whether a message has several encodings, because a map has no order."""
    for field, value in message.ListFields():
        if is_map(field) and len(value) > 1:
            return True
        if any(has_choice(inner) for inner in inner_messages(field, value)):
            return True
    return False


def inner_messages(field: FieldDescriptor, value: Value) -> Iterable[GoogleMessage]:
    """Return the messages in a field's value."""
    if is_map(field):
        return value.values() if map_value(field).cpp_type == MESSAGE else ()
    if field.cpp_type != MESSAGE:
        return ()
    return value if field.is_repeated else (value,)


def decoded_by_google(pair: Pair, data: bytes) -> GoogleMessage | None:
    """Return the message, or `None` if upb rejects the bytes."""
    try:
        return pair.google.FromString(data)
    except GoogleDecodeError:
        return None


def check_encoding(
    pair: Pair, data: bytes, google: GoogleMessage, encoded: bytes
) -> None:
    """Check that upb decodes our bytes to its own message, unknown fields included."""
    again = decoded_by_google(pair, encoded)
    if again is None:
        raise Fault(pair, data, f"upb refuses what ours encodes: {encoded.hex()}")
    expected = canonical_bytes(google)
    if canonical_bytes(again) != expected:
        raise Fault(pair, data, f"encodes as {encoded.hex()}, not {expected.hex()}")
    ours = pair.ours.FromString(encoded)
    if bytes(ours) != encoded:
        raise Fault(pair, data, f"encodes as {encoded.hex()}, then differently")
    if len(ours) != len(encoded):
        raise Fault(pair, data, f"len() is {len(ours)}, not {len(encoded)}")


def canonical_bytes(message: GoogleMessage) -> bytes:
    """Encode, with map keys sorted and every NaN the same.

    CPython may turn a signalling NaN into a quiet one when it widens a float.
    """
    quiet_nans(message)
    return message.SerializeToString(deterministic=True)


def quiet_nans(message: GoogleMessage) -> None:
    """Replace every NaN in a message by the one that Python writes."""
    value: Value
    for field, value in message.ListFields():
        for inner in inner_messages(field, value):
            quiet_nans(inner)
        if is_map(field):
            if map_value(field).cpp_type in FLOATS:
                value.update({key: quiet(value[key]) for key in value})
        elif field.cpp_type in FLOATS:
            if field.is_repeated:
                value[:] = [quiet(item) for item in value]
            else:
                setattr(message, field.name, quiet(value))


def quiet(value: float) -> float:
    """Return a float as it is, and any NaN as the one that Python writes."""
    return math.nan if math.isnan(value) else value
