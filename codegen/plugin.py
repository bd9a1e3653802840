"""The plugin `protoc-gen-remotemedia`, for protoc and buf.

Parameters are separated by commas: `package_prefix=acme.protos`, `relative_imports`,
and `external=PATH` or `external=PATH=PACKAGE`, which may be repeated. They mean what
they mean to the command, and the files are the same, but for one thing: the plugin
writes no `__init__.py` above the generated packages. It cannot see which exist, and
protoc would overwrite them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)

from . import build, render
from .options import OptionError, Options, parse_external

if TYPE_CHECKING:
    from typing import BinaryIO


def run(source: BinaryIO, target: BinaryIO) -> int:
    """Answer the request of protoc; return the exit status.

    An error is part of the answer, and protoc prints it.
    """
    request = CodeGeneratorRequest.FromString(source.read())
    target.write(respond(request).SerializeToString())
    return 0


def respond(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Return the generated files, or what is wrong with the request."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    try:
        modules = build.build(request, parse(request.parameter))
    except (OptionError, build.UnsupportedError) as error:
        response.error = str(error)
        return response
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render.render(modules, folder)
        for path in sorted(folder.rglob("*.py")):
            response.file.add(
                name=path.relative_to(folder).as_posix(),
                content=path.read_text(encoding="utf-8"),
            )
    return response


def parse(parameter: str) -> Options:
    """Parse the parameters of the plugin.

    Raises:
        OptionError: A parameter is not known, or its value makes no sense.
    """
    prefix, is_relative, external = "", False, []
    for item in filter(None, parameter.split(",")):
        name, _, value = item.strip().partition("=")
        if name == "package_prefix":
            prefix = value
        elif name == "relative_imports" and not value:
            is_relative = True
        elif name == "external":
            external.append(value)
        else:
            raise OptionError(
                f"{item!r} is not a parameter; there are package_prefix=PACKAGE, "
                "relative_imports, and external=PATH[=PACKAGE]"
            )
    return Options(prefix, is_relative, parse_external(external))
