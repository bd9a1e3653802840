"""Invalid and unusual bytes: we accept what upb accepts, and decode the same value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.codec.contract import every_message
from tests.codec.effort import examples
from tests.codec.roundtrip import round_trip
from tests.codec.strategies import messages, mutated

if TYPE_CHECKING:
    from tests.codec.values import Pair


@every_message
@examples(25)
@given(data=st.data())
def test_a_mutated_message_gets_the_same_verdict(
    pair: Pair, data: st.DataObject
) -> None:
    round_trip(pair, data.draw(mutated(pair.descriptor)))


@every_message
@examples(15)
@given(data=st.binary(max_size=40))
def test_random_bytes_get_the_same_verdict(pair: Pair, data: bytes) -> None:
    round_trip(pair, data)


@every_message
@examples(6)
@given(data=st.data())
def test_a_message_cut_anywhere_gets_the_same_verdict(
    pair: Pair, data: st.DataObject
) -> None:
    message = data.draw(messages(pair.descriptor)).SerializeToString()
    # The end is removed byte by byte, so that the lengths no longer fit.
    for end in range(max(0, len(message) - 80), len(message)):
        round_trip(pair, message[:end])


@every_message
@examples(3)
@given(data=st.data())
def test_a_message_with_any_bit_flipped_gets_the_same_verdict(
    pair: Pair, data: st.DataObject
) -> None:
    message = data.draw(messages(pair.descriptor, depth=2)).SerializeToString()[:60]
    for bit in range(8 * len(message)):
        broken = bytearray(message)
        broken[bit // 8] ^= 1 << bit % 8
        round_trip(pair, bytes(broken))
