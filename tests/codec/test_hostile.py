"""Hostile input takes time and memory in proportion to its size.

The work is counted in lines of Python, not in seconds: ten times the input may take
ten times the work, but not a hundred times. A generous bound in seconds covers what
runs in C.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from conformance.attacks import ATTACKS
from conformance.records import (
    START_GROUP,
    delimited,
    nested_groups,
    tag,
    varint,
)
from remotemedia.protobuf import DecodeError
from remotemedia.v1 import AudioBuffer, StreamRequest
from tests.codec.work import lines_run

if TYPE_CHECKING:
    from collections.abc import Callable

    import betterproto

    from tests.codec.values import Pair

# Far more than any input takes on a slow machine, and far less than an algorithm that
# is quadratic takes on a fast one.
GUARD_SECONDS = 8.0


every_attack = pytest.mark.parametrize(
    ("message", "make"), ATTACKS.values(), ids=ATTACKS
)


@every_attack
def test_480_kb_are_decoded_and_encoded_in_bounded_time(
    message: type[betterproto.Message], make: Callable[[int], bytes]
) -> None:
    data = make(480_000)
    started = time.process_time()
    decoded = message.FromString(data)
    encoded = bytes(decoded)
    assert len(decoded) == len(encoded)
    assert time.process_time() - started < GUARD_SECONDS


@every_attack
def test_ten_times_the_input_is_ten_times_the_work(
    message: type[betterproto.Message], make: Callable[[int], bytes]
) -> None:
    def work(size: int) -> int:
        data = make(size)
        return lines_run(lambda: bytes(message.FromString(data)))

    work(2_000)  # compiles what is compiled once
    assert work(20_000) < 12 * work(2_000)


@every_attack
def test_memory_stays_in_proportion(
    message: type[betterproto.Message], make: Callable[[int], bytes]
) -> None:
    data = make(50_000)
    tracemalloc.start()
    try:
        decoded = message.FromString(data)
        _, peak = tracemalloc.get_traced_memory()
        del decoded
    finally:
        tracemalloc.stop()
    # An empty list element takes two bytes in the data, and one Python object here.
    assert peak < 400 * len(data)


REFUSED = {
    "open groups": tag(15, START_GROUP) * 480_000,
    "groups too deep": nested_groups(15, 240_000),
    "an endless varint": tag(15, 0) + b"\x80" * 480_000,
    "an endless tag": b"\x80" * 480_000,
    "a length beyond the data": tag(1, 2) + varint(2**31 - 1) + bytes(480_000),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_480_kb_of_invalid_data_are_refused_in_bounded_time(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(DecodeError):
        AudioBuffer.FromString(data)
    assert time.process_time() - started < GUARD_SECONDS


def test_a_length_beyond_the_data_takes_no_memory() -> None:
    data = tag(1, 2) + varint(2**31 - 1) + b"abc"
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            AudioBuffer.FromString(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("levels", [101, 2_000, 20_000])
def test_deep_nesting_is_refused_before_the_recursion_limit(
    all_types: dict[str, Pair], levels: int
) -> None:
    inner = all_types["all_types.Singular.Inner"].ours
    body = b""
    for _ in range(levels):
        body = tag(2, 2) + varint(len(body)) + body
    with pytest.raises(DecodeError):
        inner.FromString(body)


def test_a_payload_is_copied_once_at_most() -> None:
    samples = bytes(4_000_000)
    data = delimited(2, delimited(2, delimited(1, samples)))
    tracemalloc.start()
    try:
        request = StreamRequest.FromString(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert request.audio_chunk.buffer.samples == samples
    assert peak < 1.1 * len(samples)
