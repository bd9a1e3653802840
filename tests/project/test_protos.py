"""The protos say what the service says: each contract, as a table.

The tables stand in `contracts/`, and are written from the service's documentation, not
from our protos. The order of definitions in a file says nothing; that of fields is the
documentation's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance import oracle

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        ServiceDescriptorProto,
    )

PACKAGE = "remotemedia.v1"
CONTRACTS = {"audio": oracle.CONTRACT, "data": oracle.DATA_CONTRACT}

Definitions = dict[str, list[str]]
"""What a file defines: a line for each definition, and the lines below it."""


def table(contract: str) -> dict[str, Definitions]:
    """Return the definitions of a contract, by file."""
    path = Path(__file__).parent / "contracts" / f"{contract}.txt"
    files: dict[str, Definitions] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("file "):
            files[line.removeprefix("file ")] = {}
        elif not line.startswith("#"):
            add(files[[*files][-1]], line)
    return files


def add(definitions: Definitions, line: str) -> None:
    """Add a line, which belongs to the definition above it if it is indented."""
    if line.startswith(" "):
        definitions[[*definitions][-1]].append(line)
    else:
        assert line not in definitions
        definitions[line] = []


def short(type_name: str) -> str:
    """`.remotemedia.v1.StreamControl.Command` as `StreamControl.Command`."""
    return type_name.removeprefix(f".{PACKAGE}.")


def field_type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return short(field.type_name)
    return field.Type.Name(field.type).removeprefix("TYPE_").lower()


def options_of(definition: DescriptorProto | FieldDescriptorProto) -> str:
    if not definition.HasField("options"):
        return ""
    return f" [{str(definition.options).strip()}]"


def field_lines(message: DescriptorProto, path: str) -> Iterator[str]:
    entries = {
        f"{path}.{nested.name}": nested
        for nested in message.nested_type
        if nested.options.map_entry
    }
    for field in message.field:
        kind = field_type(field)
        if kind in entries:
            key, value = entries[kind].field
            kind = f"map<{field_type(key)}, {field_type(value)}>"
        elif field.label == field.LABEL_REPEATED:
            kind = f"repeated {kind}"
        if field.proto3_optional:
            kind = f"optional {kind}"
        elif field.HasField("oneof_index"):
            kind += f" in {message.oneof_decl[field.oneof_index].name}"
        yield f"  {field.number} {field.name} {kind}{options_of(field)}"


def message_lines(message: DescriptorProto, path: str) -> Iterator[str]:
    for enum in message.enum_type:
        yield from enum_lines(enum, f"{path}.{enum.name}")
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from message_lines(nested, f"{path}.{nested.name}")
    yield f"message {path}{options_of(message)}"
    # protoc makes a oneof of each optional field, after those that the file has.
    for index in sorted(
        {
            field.oneof_index
            for field in message.field
            if field.HasField("oneof_index") and not field.proto3_optional
        }
    ):
        yield f"  oneof {message.oneof_decl[index].name}"
    yield from field_lines(message, path)


def enum_lines(enum: EnumDescriptorProto, path: str) -> Iterator[str]:
    yield f"enum {path}"
    for value in enum.value:
        yield f"  {value.name} = {value.number}"


def service_lines(service: ServiceDescriptorProto) -> Iterator[str]:
    yield f"service {service.name}"
    for method in service.method:
        request = "stream " * method.client_streaming + short(method.input_type)
        response = "stream " * method.server_streaming + short(method.output_type)
        yield f"  {method.name}({request}) -> {response}"


def lines_of(file: FileDescriptorProto) -> Iterator[str]:
    for enum in file.enum_type:
        yield from enum_lines(enum, enum.name)
    for message in file.message_type:
        yield from message_lines(message, message.name)
    for service in file.service:
        yield from service_lines(service)


def definitions(file: FileDescriptorProto) -> Definitions:
    found: Definitions = {}
    for line in lines_of(file):
        add(found, line)
    return found


def flat(definitions: Definitions) -> list[str]:
    """Return the lines, each with its definition, whatever the order of these."""
    return [
        f"{definition}{line}"
        for definition, lines in sorted(definitions.items())
        for line in ("", *lines)
    ]


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("name", ["common.proto", "execution.proto", "streaming.proto"])
def test_a_file_says_what_the_contract_says(contract: str, name: str) -> None:
    files = {file.name: file for file in oracle.load(CONTRACTS[contract]).files.file}
    noted, found = table(contract)[name], definitions(files[name])
    lines = difflib.unified_diff(
        flat(noted),
        flat(found),
        f"tests/project/contracts/{contract}.txt",
        f"protos/{contract}/{name}",
        n=0,
        lineterm="",
    )
    difference = "\n".join(lines)
    assert not difference, f"note in the first file what the second has:\n{difference}"


@pytest.mark.parametrize("folder", CONTRACTS.values(), ids=CONTRACTS)
def test_a_contract_is_three_flat_proto3_files_of_one_package(folder: Path) -> None:
    assert {
        file.name: (file.package, file.syntax, sorted(file.dependency))
        for file in oracle.load(folder).files.file
    } == {
        "common.proto": (PACKAGE, "proto3", []),
        "execution.proto": (PACKAGE, "proto3", ["common.proto"]),
        "streaming.proto": (PACKAGE, "proto3", ["common.proto", "execution.proto"]),
    }


def test_the_contracts_have_the_same_routes() -> None:
    def methods(contract: str) -> set[tuple[str, str]]:
        return {
            (definition, line.split("(")[0].strip())
            for definitions in table(contract).values()
            for definition, lines in definitions.items()
            if definition.startswith("service ")
            for line in lines
        }

    assert methods("audio") == methods("data")
