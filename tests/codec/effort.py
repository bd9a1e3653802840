"""How many examples the property tests try; `CODEC_EFFORT=100` multiplies them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EFFORT = int(os.environ.get("CODEC_EFFORT", "1"))


def examples(count: int) -> settings:
    """Return settings for `count` examples, multiplied by `CODEC_EFFORT`.

    There is no deadline, because it would measure the machine. The health checks are
    off, because drawing messages from descriptors is slow compared to the codec.
    """
    return settings(
        max_examples=count * EFFORT,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
