"""How hard the property tests try: `CODEC_EFFORT=100 pytest tests/codec` for long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EFFORT = int(os.environ.get("CODEC_EFFORT", "1"))


def examples(count: int) -> settings:
    """Try `count` examples in the normal suite, and a multiple in a long run.

    There is no deadline: it would measure the machine. Drawing from descriptors
    is slow beside the codec, and that is no fault of a test.
    """
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
