"""Whole calls run twice: with the fast path of frames, and through h2 alone."""

from __future__ import annotations

import pytest

from remotemedia.http2 import frames

WHOLE_CALLS = {"test_call", "test_stub"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.stem in WHOLE_CALLS:
        metafunc.fixturenames.append("fast_path")
        metafunc.parametrize(
            "fast_path", [True, False], ids=["fast", "h2"], indirect=True
        )


@pytest.fixture
def fast_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether received frames take the fast path."""
    monkeypatch.setattr(frames, "FAST_PATH", request.param)
