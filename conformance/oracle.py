"""Google's protobuf over any `.proto` files, made at test time by plain protoc.

It is the independent implementation that tests compare with. Nothing of it is
checked in: protoc comes with `grpcio-tools`, the classes with `protobuf`.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

REPOSITORY = Path(__file__).resolve().parent.parent
CONTRACT = REPOSITORY / "protos"


def protoc(proto_dir: Path, *options: str, files: Iterable[str] = ()) -> None:
    """Run protoc over `files` of a folder, or over every `.proto` in it.

    Raises:
        RuntimeError: protoc refused; the text is what protoc printed.

    """
    names = list(files) or sorted(path.name for path in proto_dir.glob("*.proto"))
    # Run as a module, it finds google/protobuf/*.proto by itself.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto_dir}"]
    command += [*options, *names]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr)


@dataclass(frozen=True)
class Google:
    """A set of files, and upb's message classes for them in a pool of their own."""

    files: descriptor_pb2.FileDescriptorSet

    @cached_property
    def pool(self) -> descriptor_pool.DescriptorPool:
        """Hold the descriptors apart from every other pool's."""
        pool = descriptor_pool.DescriptorPool()
        for file in self.files.file:
            pool.Add(file)
        return pool

    def message(self, full_name: str) -> type[Message]:
        """Return the class of a message, named as `package.Outer.Inner`."""
        descriptor = self.pool.FindMessageTypeByName(full_name)
        return message_factory.GetMessageClass(descriptor)

    def descriptors(self, package: str) -> Iterator[Descriptor]:
        """Yield every message of a package, nested ones too, map entries not."""
        waiting = [
            self.pool.FindMessageTypeByName(f"{package}.{message.name}")
            for file in self.files.file
            if file.package == package
            for message in file.message_type
        ]
        while waiting:
            descriptor = waiting.pop()
            if not descriptor.GetOptions().map_entry:
                yield descriptor
                waiting.extend(descriptor.nested_types)


def load(proto_dir: Path = CONTRACT, *files: str) -> Google:
    """Compile `files` of a folder, or every `.proto` in it, and what they import."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "files"
        protoc(
            proto_dir,
            "--include_imports",
            f"--descriptor_set_out={target}",
            files=files,
        )
        found = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    return Google(found)


def grpc_modules(
    target: Path, proto_dir: Path = CONTRACT, *files: str
) -> dict[str, ModuleType]:
    """Write the modules that plain protoc makes into `target`, and import them.

    Returns the modules by name: `common_pb2`, `common_pb2_grpc`, and so on. They
    share grpcio's default descriptor pool: load one set of files a process.
    """
    protoc(
        proto_dir,
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        files=files,
    )
    names = sorted(path.stem for path in target.glob("*_pb2*.py"))
    with importable(target):
        return {name: importlib.import_module(name) for name in names}


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Look for modules in `folder` first, inside the block."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
