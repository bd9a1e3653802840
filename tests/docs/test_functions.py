"""The views that web-frameworks.md shows answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import RequestFactory

from remotemedia.testing import LocalService
from tests.docs.blocks import REPOSITORY, blocks

SPEECH = (REPOSITORY / "examples/data/speech.wav").read_bytes()


def names(page: str, file: str) -> dict[str, Any]:
    """Run the block of a page that is a file of this name; return its names."""
    found = blocks(REPOSITORY / page, "python")
    (block,) = [block for block in found if block.file_name == file]
    made: dict[str, Any] = {}
    exec(block.code, made)
    return made


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the Django views of the how-to, for a service at an address."""

    def views(address: str) -> dict[str, Any]:
        monkeypatch.setenv("MEDIA_ADDRESS", address)
        return names("docs/how-to/web-frameworks.md", "views.py")

    if not settings.configured:
        settings.configure()
    return views


def test_the_view_of_django_answers(views: Any) -> None:
    upload = RequestFactory().post("/", SPEECH, content_type="audio/wav")
    with LocalService() as service:
        made = views(service.address)
        assert json.loads(made["speech"](upload).content)["has_speech"] is True
        made["client"].disconnect()


async def test_the_asynchronous_view_of_django_answers(views: Any) -> None:
    upload = RequestFactory().post("/", SPEECH, content_type="audio/wav")
    async with LocalService() as service:
        made = views(service.address)
        answer = await made["speech_async"](upload)
        assert json.loads(answer.content)["has_speech"] is True
        await made["async_client"].disconnect()
