"""The compiled protos that reflection hands out are those of the protos."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from codegen import descriptors
from remotemedia.testing import data_descriptors
from remotemedia.testing.descriptors import FILES
from remotemedia.testing.reflection import DescribedFile


def test_they_are_up_to_date() -> None:
    assert descriptors.main(["--check"]) == 0


@pytest.mark.parametrize("files", [FILES, data_descriptors.FILES])
def test_the_names_and_the_imports_are_the_files(
    files: dict[str, DescribedFile],
) -> None:
    for name, file in files.items():
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


def test_what_stands_in_a_message_is_found_too() -> None:
    assert "remotemedia.v1.StreamControl.Command" in FILES["streaming.proto"].symbols
