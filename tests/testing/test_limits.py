"""The resource limits, and the checks that enforce them."""

from __future__ import annotations

import pytest

from remotemedia.errors import RemoteMediaError
from remotemedia.testing.limits import (
    MAX_REQUEST_BYTES,
    MemoryMeter,
    check_samples,
    in_force,
)
from remotemedia.v1 import AudioBuffer, ErrorType, ResourceLimits

NONE = ResourceLimits()


def test_a_request_may_have_4_mib() -> None:
    assert MAX_REQUEST_BYTES == 4_194_304


def test_the_contract_s_defaults() -> None:
    assert in_force(NONE, NONE) == ResourceLimits(
        max_memory_bytes=100_000_000, max_timeout_ms=5_000, max_audio_samples=10_000_000
    )


def test_the_client_s_limits_come_before_the_service_s_defaults() -> None:
    service = ResourceLimits(max_memory_bytes=7, max_timeout_ms=8)
    asked = ResourceLimits(max_timeout_ms=5)
    assert in_force(asked, service) == ResourceLimits(
        max_memory_bytes=7, max_timeout_ms=5, max_audio_samples=10_000_000
    )


def test_the_contract_s_caps() -> None:
    much = ResourceLimits(
        max_memory_bytes=2**40, max_timeout_ms=2**40, max_audio_samples=2**40
    )
    capped = ResourceLimits(
        max_memory_bytes=1_000_000_000, max_timeout_ms=30_000, max_audio_samples=2**40
    )
    assert in_force(much, NONE) == capped
    assert in_force(NONE, much) == capped


def test_samples_over_the_limit_are_refused() -> None:
    limits = ResourceLimits(max_audio_samples=10)
    check_samples(10, limits, "n")
    with pytest.raises(RemoteMediaError, match=r"11 samples.*10.*'n'") as caught:
        check_samples(11, limits, "n")
    assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
    assert caught.value.failing_node_id == "n"


def test_memory_may_be_used_up_to_the_limit() -> None:
    meter = MemoryMeter(ResourceLimits(max_memory_bytes=10))
    assert meter.peak_bytes == 0
    meter.add(AudioBuffer(samples=bytes(10)), "a")
    assert meter.peak_bytes == 10


def test_memory_counts_each_held_buffer_once() -> None:
    meter = MemoryMeter(ResourceLimits(max_memory_bytes=10))
    first, second = AudioBuffer(samples=bytes(6)), AudioBuffer(samples=bytes(5))
    meter.add(first, "a")
    meter.add(first, "b")  # passed on as it is
    meter.clear()
    meter.add(second, "a")
    assert meter.peak_bytes == 6
    with pytest.raises(RemoteMediaError, match=r"11 bytes.*10.*'b'") as caught:
        meter.add(first, "b")
    assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
