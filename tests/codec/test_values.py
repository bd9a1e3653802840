"""Random values of every message of both contracts, compared with Google's protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.codec.contract import every_message
from tests.codec.effort import examples
from tests.codec.roundtrip import Outcome, check_construction, round_trip
from tests.codec.strategies import messages

if TYPE_CHECKING:
    from tests.codec.values import Pair


@every_message
@examples(15)
@given(data=st.data())
def test_what_google_encodes_is_what_ours_decodes(
    pair: Pair, data: st.DataObject
) -> None:
    message = data.draw(messages(pair.descriptor))
    assert round_trip(pair, message.SerializeToString()) is Outcome.EQUAL


@every_message
@examples(15)
@given(data=st.data())
def test_what_ours_constructs_and_encodes_is_what_google_decodes(
    pair: Pair, data: st.DataObject
) -> None:
    check_construction(pair, data.draw(messages(pair.descriptor)))
