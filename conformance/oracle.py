"""Google's protobuf for any `.proto` files: the reference that tests compare with.

Nothing of it is checked in. The package `grpcio-tools` has the compiler, and the
package `protobuf` makes the message classes at run time.
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
CONTRACT = REPOSITORY / "protos" / "audio"
DATA_CONTRACT = REPOSITORY / "protos" / "data"


def protoc(proto_dir: Path, *options: str, files: Iterable[str] = ()) -> None:
    """Run protoc over `files` of a folder, or over every `.proto` in it.

    Raises:
        RuntimeError: A file does not compile; the text is what protoc printed.

    """
    names = list(files) or sorted(path.name for path in proto_dir.glob("*.proto"))
    # protoc finds google/protobuf/*.proto by itself if it runs as a module.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto_dir}"]
    command += [*options, *names]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr)


@dataclass(frozen=True)
class Google:
    """A set of files, with their message classes in a descriptor pool of their own."""

    files: descriptor_pb2.FileDescriptorSet

    @cached_property
    def pool(self) -> descriptor_pool.DescriptorPool:
        """The descriptors, separate from those of every other pool."""
        pool = descriptor_pool.DescriptorPool()
        for file in self.files.file:
            pool.Add(file)
        return pool

    def message(self, full_name: str) -> type[Message]:
        """Return the class of a message, named as `package.Outer.Inner`."""
        descriptor = self.pool.FindMessageTypeByName(full_name)
        return message_factory.GetMessageClass(descriptor)

    def descriptors(self, package: str) -> Iterator[Descriptor]:
        """Yield every message of a package, nested ones too, but no map entries."""
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
    """Compile `files` of a folder, or every `.proto` in it, with their imports."""
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
    """Generate Google's and grpcio's modules into `target`, and import them.

    Returns:
        The modules by name: `common_pb2`, `common_pb2_grpc`, and so on. They share the
        default descriptor pool, so a process can load only one set of files.
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
    """Make the modules in `folder` importable for the length of a `with` block."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
