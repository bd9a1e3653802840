"""Functions that web-frameworks.md and production.md show without a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.conf import settings
from django.test import RequestFactory

from remotemedia.grpc import Token
from remotemedia.testing import LocalService
from tests.docs.blocks import REPOSITORY, blocks
from tests.http2.test_tls import server_context

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


async def test_the_client_of_the_tutorial_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fetch_token() -> Token:
        return Token("secret")

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("MEDIA_CA", str(tmp_path / "ca.pem"))
    context = server_context(authority, "127.0.0.1")
    async with LocalService(ssl=context, token="secret") as service:
        monkeypatch.setenv("MEDIA_ADDRESSES", service.address)
        made = names("docs/tutorials/production.md", "client.py")
        async with made["make_client"](fetch_token) as client:
            assert await client.get_version()
