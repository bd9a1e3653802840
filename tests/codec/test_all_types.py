"""Messages with every kind of field of proto3, compared with Google's protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.effort import examples
from tests.codec.roundtrip import (
    Outcome,
    check_construction,
    decoded_by_both,
    round_trip,
)
from tests.codec.strategies import messages, mutated
from tests.codec.values import google_tree

if TYPE_CHECKING:
    from tests.codec.values import Pair

NAMES = [
    "all_types.Singular",
    "all_types.Singular.Inner",
    "all_types.Optional",
    "all_types.Repeated",
    "all_types.Unpacked",
    "all_types.Maps",
    "all_types.Oneofs",
    "all_types.WellKnown",
    "all_types.Awkward",
    "all_types.Shuffled",
    "all_types.Empty",
    "elsewhere.Thing",
]
every_message = pytest.mark.parametrize("name", NAMES)


def test_every_message_of_the_protos_is_tested(all_types: dict[str, Pair]) -> None:
    assert set(all_types) == set(NAMES)


@every_message
@examples(25)
@given(data=st.data())
def test_what_google_encodes_is_what_ours_decodes(
    all_types: dict[str, Pair], name: str, data: st.DataObject
) -> None:
    pair = all_types[name]
    message = data.draw(messages(pair.descriptor))
    assert round_trip(pair, message.SerializeToString()) is Outcome.EQUAL


@every_message
@examples(25)
@given(data=st.data())
def test_what_ours_constructs_and_encodes_is_what_google_decodes(
    all_types: dict[str, Pair], name: str, data: st.DataObject
) -> None:
    pair = all_types[name]
    check_construction(pair, data.draw(messages(pair.descriptor)))


# Without the well-known types, because a Python value cannot keep unknown fields.
@pytest.mark.parametrize("name", [name for name in NAMES if "WellKnown" not in name])
@examples(40)
@given(data=st.data())
def test_broken_bytes_get_the_same_verdict(
    all_types: dict[str, Pair], name: str, data: st.DataObject
) -> None:
    pair = all_types[name]
    round_trip(pair, data.draw(mutated(pair.descriptor)))


@examples(60)
@given(data=st.data())
def test_broken_well_known_types_get_the_same_verdict_and_value(
    all_types: dict[str, Pair], data: st.DataObject
) -> None:
    pair = all_types["all_types.WellKnown"]
    both = decoded_by_both(pair, data.draw(mutated(pair.descriptor)))
    if both is not None:
        google, ours = both
        again = pair.google.FromString(bytes(ours))
        assert google_tree(again) == google_tree(google)
