"""Every example in a docstring runs, against the embedded service."""

from __future__ import annotations

import ast
import asyncio
import re
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import pytest_asyncio
import trustme

import remotemedia
from remotemedia import RemoteMediaClient, blocking
from remotemedia import grpc as grpc_names
from remotemedia import testing as testing_names
from remotemedia.otel import OpenTelemetry
from remotemedia.testing import LocalService
from remotemedia.v1 import PipelineExecutionServiceStub, VersionRequest, VersionResponse
from tests.docs.blocks import REPOSITORY
from tests.support.pipelines import pipeline, tone

# Literal blocks that are no programs, by the first words of each.
DRAWINGS = ("Exception", "client:", "HTTP2Error", "interceptors ->")
# What a reader has to write around an example, by a part of it.
THEN = {
    "async def intercept(": """
        async with RemoteMediaClient(address, interceptors=[intercept]) as client:
            await client.get_version()
    """,
    "def test_a_session_that_breaks": """
        await test_a_session_that_breaks()
    """,
}


def examples() -> Iterator[tuple[str, str]]:
    """Return the module and the text of every literal block in a docstring."""
    for path in sorted((REPOSITORY / "remotemedia").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            for block in re.findall(
                r"::\n\n((?: {4}.*\n?|\n)+)", f"{text or ''}\n", re.MULTILINE
            ):
                code = textwrap.dedent(block).strip()
                if not code.startswith(DRAWINGS):
                    yield path.relative_to(REPOSITORY).as_posix(), code


class GreeterStub(PipelineExecutionServiceStub):
    """A stub of a service of one's own, over the part that every service has."""

    async def say_hello(self, request: VersionRequest, **given: Any) -> VersionResponse:
        return await self.get_version(request, **given)

    def count(
        self, request: VersionRequest, **given: Any
    ) -> grpc_names.ResponseStream[VersionResponse]:
        path = "/remotemedia.v1.PipelineExecutionService/GetVersion"
        return self._unary_stream(path, request, VersionResponse, **given)


@pytest_asyncio.fixture
async def names(
    local: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Any]]:
    """What the examples use and do not define."""
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    own = authority.issue_cert("me")
    authority.cert_pem.write_to_path("ca.pem")
    own.cert_chain_pems[0].write_to_path("me.pem")
    own.private_key_pem.write_to_path("me.key")

    async def audio() -> AsyncIterator[tuple[str, remotemedia.AudioBuffer]]:
        for _ in range(3):
            yield "src", tone()

    async with (
        RemoteMediaClient(local.address) as client,
        grpc_names.Channel(local.address) as channel,
    ):
        yield {
            **vars(grpc_names),
            **vars(testing_names),
            **vars(remotemedia),
            **dict.fromkeys(("audio", "chunks", "microphone"), audio),
            **dict.fromkeys(("manifest", "MANIFEST"), pipeline("src", "PassThrough")),
            "GreeterStub": GreeterStub,
            "HelloRequest": lambda name: VersionRequest(client_version="v1"),
            "OpenTelemetry": OpenTelemetry,
            "address": local.address,
            "buffer": tone(),
            "client": client,
            "enough": lambda chunk: True,
            "pytest": pytest,
            "request": VersionRequest(client_version="v1"),
            "stub": GreeterStub(channel),
            "time": time,
        }


def compiled(code: str, where: str) -> CodeType:
    made: CodeType = compile(code, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return made


@pytest.mark.parametrize(("where", "code"), [*examples()])
async def test_an_example_runs(
    where: str, code: str, names: dict[str, Any], local: LocalService
) -> None:
    code = code.replace("localhost:50051", local.address)
    # A token that a header can carry.
    code = code.replace('"…"', '"secret"')
    code += "".join(textwrap.dedent(THEN[part]) for part in THEN if part in code)
    if "blocking" in where:
        await asyncio.to_thread(run_blocking, compiled(code, where), names, local)
        return
    run = compiled(code, where)
    result = eval(run, names)
    if run.co_flags & CO_COROUTINE:
        await result


def run_blocking(code: CodeType, names: dict[str, Any], local: LocalService) -> None:
    """Run an example of the blocking client, in a thread as it has to be."""
    with blocking.RemoteMediaClient(local.address) as client:
        chunks = [("src", tone())]
        exec(
            code,
            {
                **names,
                "RemoteMediaClient": blocking.RemoteMediaClient,
                "client": client,
                "chunks": lambda: chunks,
            },
        )


def test_the_examples_are_found() -> None:
    found = [where for where, _ in examples()]
    assert len(found) > 15
    assert {"remotemedia/client.py", "remotemedia/otel.py"} <= set(found)
