"""Runs the pinned protoc over a folder of `.proto` files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from betterproto.lib.google.protobuf import FileDescriptorSet
from betterproto.lib.google.protobuf.compiler import CodeGeneratorRequest

WELL_KNOWN_FILES = [
    f"google/protobuf/{name}.proto"
    for name in (
        *("any", "api", "duration", "empty", "field_mask", "source_context"),
        *("struct", "timestamp", "type", "wrappers"),
    )
]
"""The files of proto3 that come with protoc. The others are for plugins."""


class ProtocError(Exception):
    """A file does not compile; the text is protoc's message, with file and line."""


def request(proto_dir: Path, files: list[str]) -> CodeGeneratorRequest:
    """Compile `files`, named relative to `proto_dir`, into a plugin request.

    protoc would give the same request to a plugin. Here it is made from a descriptor
    set instead, because a plugin could report errors only through protoc.

    Raises:
        ProtocError: A file does not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "descriptors"
        # protoc finds google/protobuf/*.proto by itself if it runs as a module.
        run = subprocess.run(  # noqa: S603 - our own interpreter
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={proto_dir}",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={target}",
                *files,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise ProtocError(run.stderr.strip())
        descriptors = FileDescriptorSet.FromString(target.read_bytes())
    return CodeGeneratorRequest(file_to_generate=files, proto_file=descriptors.file)
