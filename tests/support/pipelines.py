"""Manifests and audio that several tests send."""

from __future__ import annotations

from typing import Any

import numpy as np

from remotemedia import AudioBuffer


def pipeline(node_id: str, node_type: str, **params: object) -> dict[str, Any]:
    """Return a manifest with one node."""
    return {
        "version": "v1",
        "metadata": {"name": "test"},
        "nodes": [{"id": node_id, "node_type": node_type, "params": params}],
        "connections": [],
    }


PASS = pipeline("src", "PassThrough")


def tone(frames: int = 1600, sample_rate: int = 16_000) -> AudioBuffer:
    """Return a tone of 440 Hz, by default of 100 ms."""
    phase = 2 * np.pi * 440 * np.arange(frames) / sample_rate
    return AudioBuffer.from_numpy((np.sin(phase) * 0.5).astype(np.float32), sample_rate)
