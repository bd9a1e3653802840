"""What all tests share: their settings, and the two services that clients call."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from types import ModuleType

import hypothesis
import pytest
import pytest_asyncio

from conformance.oracle import grpc_modules
from remotemedia import RemoteMediaClient
from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService
from tests.support import core_data_server, core_server

# No test fails because it was slow: machines are noisy.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


# Folders and modules whose tests make calls: they run on each event loop. The result of
# the other tests does not depend on the loop.
ON_BOTH_LOOPS = {"faults", "test_call", "test_channel", "test_client", "test_stub"}
ON_BOTH_LOOPS |= {
    "test_stream",
    "test_dial",
    "test_keepalive",
    "test_proxy",
    "test_subchannel",
}
ON_BOTH_LOOPS |= {"test_tls"}

# How the names of slow tests begin, which `make check` leaves out: whole folders that
# start processes or try thousands of inputs, and single tests of more than a second.
SLOW = (
    "tests/blocking/test_loop.py",
    "tests/cli/test_app.py::test_without_the_extra_the_command_says_how_to_get_it",
    "tests/cli/test_output.py::test_a_line_of_a_result_fits_a_terminal",
    "tests/cli/test_plot.py",
    "tests/cli/test_serve.py",
    "tests/cli/test_stream.py::test_a_picture_is_drawn",
    "tests/codec/test_all_types.py",
    "tests/codec/test_broken.py",
    "tests/codec/test_conformance.py",
    "tests/codec/test_decode_rules.py::test_messages_nest_100_deep_and_no_deeper",
    "tests/codec/test_doors.py",
    "tests/codec/test_hostile.py",
    "tests/codec/test_json.py",
    "tests/codec/test_objects.py",
    "tests/codec/test_runs.py",
    "tests/codec/test_values.py",
    "tests/codegen/",
    "tests/contracts/test_values.py::test_other_values_travel_as_json",
    "tests/docs/test_programs.py::test_the_programs_of_a_page_run",
    "tests/docs/test_site.py",
    "tests/faults/",
    "tests/fleet/",
    "tests/grpc/test_call.py::test_one_unread_stream_leaves_the_others_alone",
    "tests/grpc/test_inbox.py::test_messages_come_through_any_cut",
    "tests/http2/test_compat.py::test_importing_the_client_checks_its_names",
    "tests/http2/test_compat.py::test_importing_the_service_checks_the_names",
    "tests/http2/test_connection.py::test_whatever_happened_all_is_sent_in_the_end",
    "tests/http2/test_frames.py::test_both_ways_are_the_same",
    "tests/http2/test_frames.py::test_bytes_may_be_cut_anywhere",
    "tests/http2/test_headers.py::test_every_list_of_headers_comes_through",
    "tests/project/test_examples.py",
    "tests/project/test_hot_path.py",
    "tests/project/test_notebooks.py::test_a_first_pipeline",
    "tests/project/test_notebooks.py::test_a_live_stream",
    "tests/project/test_package.py",
    "tests/project/test_release.py",
    "tests/project/test_typing.py",
    "tests/protobuf/test_json_types.py::test_a_struct_is_an_object",
    "tests/protobuf/test_json_types.py::test_a_value_is_anything",
    "tests/protobuf/test_unknown.py::test_any_run_is_decoded_as_by_upb",
    "tests/test_audio.py::test_chunks_lose_and_repeat_nothing",
    "tests/test_audio.py::test_numpy_round_trip",
    "tests/test_audio.py::test_to_format_agrees_with_to_float32",
    "tests/test_foreign.py",
    "tests/test_main.py",
    "tests/test_manifest.py::test_params_keep_their_value",
    "tests/test_manifest.py::test_values_are_json_encoded",
    "tests/test_otel.py::test_nothing_is_imported_without_it",
    "tests/testing/test_descriptors.py::test_they_are_up_to_date",
    "tests/testing/test_main.py",
    "tests/testing/test_quiet.py",
    "tests/testing/test_streaming.py::test_an_idle_session_is_dropped",
    "tests/web/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and those that run in a second way."""
    for item in items:
        is_second = "uvloop" in item.name or "[h2" in item.name or "-h2" in item.name
        if item.nodeid.startswith(SLOW) or is_second:
            item.add_marker(pytest.mark.slow)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The standard loop, and uvloop where it is installed."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    is_on_both = ON_BOTH_LOOPS & {item.path.stem, item.path.parent.name}
    if is_on_both and importlib.util.find_spec("uvloop"):
        factories["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return factories


@pytest.fixture(scope="session")
def core_modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    """The modules that plain protoc generates from the protos, for grpcio."""
    return grpc_modules(tmp_path_factory.mktemp("grpcio"))


@pytest_asyncio.fixture
async def core(
    core_modules: dict[str, ModuleType],
) -> AsyncIterator[core_server.CoreServer]:
    """A service on grpcio's C core."""
    async with core_server.serve(core_modules) as server:
        yield server


@pytest_asyncio.fixture
async def core_data() -> AsyncIterator[core_data_server.CoreDataServer]:
    """A service on grpcio's C core that speaks the data contract."""
    async with core_data_server.serve() as server:
        yield server


@pytest_asyncio.fixture
async def local() -> AsyncIterator[LocalService]:
    """The embedded service."""
    async with LocalService() as service:
        yield service


@pytest_asyncio.fixture(params=["local", "local data", "core"])
async def address(
    request: pytest.FixtureRequest, core_modules: dict[str, ModuleType]
) -> AsyncIterator[str]:
    """The address of a service. Each test runs against all of them.

    Two are embedded services, one of each contract. The third is on grpcio's C core.
    """
    if request.param != "core":
        contract: ContractName = "data" if request.param == "local data" else "audio"
        async with LocalService(contract=contract) as service:
            yield service.address
    else:
        async with core_server.serve(core_modules) as server:
            yield server.address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[RemoteMediaClient]:
    """A client that is connected to each service in turn."""
    async with RemoteMediaClient(address) as client:
        yield client
