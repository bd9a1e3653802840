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
"""Files that protoc brings with it. The others are for plugins, and are proto2."""


class ProtocError(Exception):
    """protoc refused a file; the text is its message, with file and line."""


def request(proto_dir: Path, files: list[str]) -> CodeGeneratorRequest:
    """Compile `files`, named relative to `proto_dir`, into a plugin request.

    This is the request that protoc would give a plugin. It is put together from a
    descriptor set, because a plugin that protoc starts cannot tell its caller what
    is wrong other than by protoc's own words.

    Raises:
        ProtocError: A file does not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "descriptors"
        # Run as a module, it finds google/protobuf/*.proto by itself.
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
