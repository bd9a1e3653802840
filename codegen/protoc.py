"""Runs the pinned protoc over a folder of `.proto` files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

WELL_KNOWN_FILES = [
    f"google/protobuf/{name}.proto"
    for name in (
        *("any", "api", "duration", "empty", "field_mask"),
        *("source_context", "struct", "timestamp", "type", "wrappers"),
    )
]
"""The files that come with protoc, and whose messages ship with the runtime."""

BUNDLED_FILES = {
    *WELL_KNOWN_FILES,
    "google/protobuf/descriptor.proto",
    "google/protobuf/compiler/plugin.proto",
    *(f"google/protobuf/{name}_features.proto" for name in ("cpp", "go", "java")),
}
"""All files that come with protoc. Copies of them are not generated."""


class ProtocError(Exception):
    """A file does not compile; the text is protoc's message, with file and line."""


def request(
    proto_dir: Path, include: list[Path], files: list[str]
) -> CodeGeneratorRequest:
    """Compile `files`, named relative to `proto_dir`, into a plugin request.

    protoc would give the same request to a plugin. Here it is made from a descriptor
    set instead, because a plugin could report errors only through protoc.

    Args:
        proto_dir: The folder with the files.
        include: More folders in which files that they import are looked for.
        files: The files to generate.

    Raises:
        ProtocError: A file does not compile.
    """
    for folder in include:
        if not folder.is_dir():
            raise ProtocError(f"there is no folder {folder}")
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "descriptors"
        # Thousands of names are too long for a command line.
        arguments = Path(name) / "arguments"
        arguments.write_text(
            "\n".join(
                [
                    *(f"--proto_path={path}" for path in (proto_dir, *include)),
                    "--include_imports",
                    "--include_source_info",
                    f"--descriptor_set_out={target}",
                    *files,
                ]
            ),
            encoding="utf-8",
        )
        # protoc finds google/protobuf/*.proto by itself if it runs as a module.
        run = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "grpc_tools.protoc", f"@{arguments}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise ProtocError(_explained(run.stderr.strip()))
        descriptors = FileDescriptorSet.FromString(target.read_bytes())
    return CodeGeneratorRequest(file_to_generate=files, proto_file=descriptors.file)


def _explained(message: str) -> str:
    """Add what to do about an import that is not found."""
    if ".proto: File not found" not in message:
        return message
    return (
        f"{message}\n"
        "An import is looked for in the folder of --protos, and in each folder that "
        "is named with --include."
    )
