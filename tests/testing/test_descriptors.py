"""The compiled protos that reflection hands out are those of the protos."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from codegen import descriptors
from remotemedia.testing.descriptors import FILES


def test_they_are_up_to_date() -> None:
    assert descriptors.main(["--check"]) == 0


def test_the_names_and_the_imports_are_the_files() -> None:
    for name, file in FILES.items():
        compiled = FileDescriptorProto.FromString(file.descriptor)
        assert compiled.name == name
        assert tuple(compiled.dependency) == file.imports
        assert not compiled.HasField("source_code_info")
        for message in compiled.message_type:
            assert f"{compiled.package}.{message.name}" in file.symbols
        for service in compiled.service:
            full_name = f"{compiled.package}.{service.name}"
            methods = {f"{full_name}.{method.name}" for method in service.method}
            assert {full_name, *methods} <= set(file.symbols)
    assert "remotemedia.v1.StreamControl.Command" in FILES["streaming.proto"].symbols
