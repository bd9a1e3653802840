"""Runs the tests of what needs no sockets: codec, JSON, manifests, audio, rules."""

from __future__ import annotations

import sys

import hypothesis
import pytest

TESTS = [
    "tests/codec/test_hostile.py",
    "tests/grpc/test_metadata.py",
    "tests/grpc/test_status.py",
    "tests/http2/test_address.py",
    "tests/http2/test_frames.py",
    "tests/protobuf/test_counting.py",
    "tests/protobuf/test_embedded.py",
    "tests/protobuf/test_enum.py",
    "tests/protobuf/test_json_format.py",
    "tests/protobuf/test_json_names.py",
    "tests/protobuf/test_json_reader.py",
    "tests/protobuf/test_json_types.py",
    "tests/protobuf/test_json_values.py",
    "tests/protobuf/test_json_writer.py",
    "tests/protobuf/test_layers.py",
    "tests/protobuf/test_message.py",
    "tests/protobuf/test_registry.py",
    "tests/protobuf/test_well_known.py",
    "tests/session/test_actions.py",
    "tests/session/test_machine.py",
    "tests/test_errors.py",
    "tests/test_manifest.py",
    "tests/test_operation.py",
    "tests/test_results.py",
    "tests/wasm/test_without_numpy.py",
]
# Tests that take seconds here, and some that start another process.
LEFT_OUT = (
    "in_bounded_time or refused_before_the_recursion_limit or error_in_a_file "
    "or set_may_be_imported_first"
)
OPTIONS = [
    "-q",
    # tests/conftest.py serves gRPC, and pyproject.toml configures plugins for that.
    *("--noconftest", "--config-file=/dev/null", "--rootdir=."),
    # The file descriptors of output cannot be captured here.
    *("--capture=sys", "-p", "no:cacheprovider", "-W", "error"),
    *("-k", f"not ({LEFT_OUT})"),
]


def main() -> int:
    """Run the tests, with warnings as errors; return the exit code."""
    # Python is slow here, so these runs are short.
    settings = hypothesis.settings(deadline=None, max_examples=10, database=None)
    hypothesis.settings.register_profile("wasm", settings)
    hypothesis.settings.load_profile("wasm")
    return int(pytest.main([*OPTIONS, *TESTS]))


if __name__ == "__main__":
    sys.exit(main())
