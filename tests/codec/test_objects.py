"""Messages as Python objects: copies, equality, enums, oneofs and JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import betterproto
import pytest
from google.protobuf import json_format
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance.records import delimited, integer
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    CapabilityRequirements,
    ErrorResponse,
    ErrorType,
    ExecuteResponse,
    ExecutionResult,
    GpuRequirement,
    ManifestMetadata,
    NodeManifest,
    PipelineManifest,
    ResourceLimits,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
    VersionInfo,
)
from tests.codec.contract import every_message, pair
from tests.codec.effort import examples
from tests.codec.strategies import messages
from tests.codec.values import google_tree, our_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.codec.values import Pair


def pickled(message: Any) -> Any:
    return pickle.loads(pickle.dumps(message))


COPIES = (copy.copy, copy.deepcopy, pickled)
every_copy = pytest.mark.parametrize("make", COPIES)

# Unknown fields at two levels, and a nameless member of an enum.
RICH = AudioChunk.FromString(
    delimited(2, integer(4, 99) + integer(12, 1)) + integer(15, 7)
)
EMPTY_INSIDE = AudioChunk(buffer=AudioBuffer())


@every_copy
@pytest.mark.parametrize("message", [RICH, EMPTY_INSIDE], ids=["rich", "empty inside"])
def test_a_copy_keeps_unknown_fields_and_presence(
    make: Callable[[AudioChunk], AudioChunk], message: AudioChunk
) -> None:
    twin = make(message)
    assert type(twin) is AudioChunk
    assert twin == message
    assert bytes(twin) == bytes(message)
    assert twin.is_set("buffer")


@every_message
@every_copy
@examples(5)
@given(data=st.data())
def test_a_copy_of_any_message_has_its_bytes(
    pair: Pair, make: Callable[[Any], Any], data: st.DataObject
) -> None:
    encoded = data.draw(messages(pair.descriptor)).SerializeToString()
    message = pair.ours.FromString(encoded + integer(2000, 1))
    assert bytes(make(message)) == bytes(message)


@every_copy
def test_a_copy_of_an_untouched_submessage_stays_unset(
    make: Callable[[StreamInit], StreamInit],
) -> None:
    init = StreamInit()
    assert init.manifest.nodes == []
    twin = make(init)
    assert bytes(twin) == b""
    assert not twin.is_set("manifest")


def test_a_deep_copy_shares_nothing_and_a_copy_shares_what_is_inside() -> None:
    chunk = AudioChunk(buffer=AudioBuffer(channels=1))
    shallow, deep = copy.copy(chunk), copy.deepcopy(chunk)
    chunk.buffer.channels = 2
    chunk.sequence = 5
    assert (shallow.buffer.channels, deep.buffer.channels) == (2, 1)
    assert (shallow.sequence, deep.sequence) == (0, 0)


def test_a_copy_does_not_follow_its_original_into_another_oneof_member() -> None:
    request = StreamRequest(control=StreamControl())
    twin = copy.copy(request)
    request.init = StreamInit()
    assert betterproto.which_one_of(twin, "request")[0] == "control"


def filled_by_reading() -> StreamInit:
    """Return a message that was filled through fields that were not set."""
    init = StreamInit()
    init.manifest.metadata.name = "speech"
    init.manifest.nodes.append(NodeManifest(id="n"))
    init.manifest.nodes[0].capabilities.gpu.required = True
    init.resource_limits.parse(integer(1, 5))
    init.data_inputs["a"] = "1"
    return init


def filled_by_constructor() -> StreamInit:
    """Return an equal message, made by the constructor."""
    needs = CapabilityRequirements(gpu=GpuRequirement(required=True))
    return StreamInit(
        manifest=PipelineManifest(
            metadata=ManifestMetadata(name="speech"),
            nodes=[NodeManifest(id="n", capabilities=needs)],
        ),
        data_inputs={"a": "1"},
        resource_limits=ResourceLimits(max_memory_bytes=5),
    )


@pytest.mark.parametrize(
    "act",
    [
        bytes,
        len,
        bool,
        repr,
        lambda message: message,
        lambda message: message.to_dict(),
        lambda message: message.to_json(),
        lambda message: message.to_pydict(),
        lambda message: message.is_set("manifest"),
        lambda message: message.manifest.is_set("metadata"),
        lambda message: bytes(message.parse(delimited(4, b"v1"))),
        lambda message: bytes(message.parse(delimited(1, delimited(1, b"v1")))),
        lambda message: message.parse(delimited(1, delimited(2, delimited(2, b"d")))),
        *[lambda message, make=make: bytes(make(message)) for make in COPIES],
        *[lambda message, make=make: make(message) == message for make in COPIES],
    ],
)
def test_a_message_filled_through_placeholders_equals_a_constructed_one(
    act: Callable[[StreamInit], object],
) -> None:
    assert act(filled_by_reading()) == act(filled_by_constructor())


def test_decoding_nothing_into_an_unset_message_sets_it() -> None:
    init = StreamInit()
    init.manifest.parse(b"")
    assert bytes(init) == delimited(1, b"")


def test_a_field_that_was_read_may_be_set_and_unset() -> None:
    init = StreamInit()
    read = init.manifest
    init.manifest = PipelineManifest(version="v1")
    read.version = "another"
    assert bytes(init) == delimited(1, delimited(1, b"v1"))
    chunk = AudioChunk()
    chunk.buffer.channels = 2
    chunk.buffer = AudioBuffer()
    assert bytes(chunk) == delimited(2, b"")


def test_threads_may_encode_a_message_with_filled_placeholders() -> None:
    expected = bytes(filled_by_constructor())
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(40):
                shared = filled_by_reading()
                encoded = pool.map(lambda _, it=shared: bytes(it), range(16))
                assert set(encoded) == {expected}
    finally:
        sys.setswitchinterval(before)


# --- enums ------------------------------------------------------------------------


@every_copy
@pytest.mark.parametrize("number", [0, 1, 99, -1, -(2**31)])
def test_an_enum_survives_a_copy(make: Callable[[Any], Any], number: int) -> None:
    member = AudioFormat.try_value(number)
    twin = make(member)
    assert twin == member == number
    assert type(twin) is AudioFormat


def test_an_enum_number_without_a_name_is_a_member_without_a_name() -> None:
    member = AudioFormat.try_value(99)
    assert isinstance(member, int)
    assert member.value == 99
    assert repr(member.name) == "None"


@pytest.mark.parametrize("number", [99, -1])
def test_an_enum_number_without_a_name_survives_dict_and_json(number: int) -> None:
    buffer = AudioBuffer(format=AudioFormat.try_value(number))
    # In Google's JSON it is its number.
    assert buffer.to_dict() == {"format": number}
    assert AudioBuffer().from_dict(buffer.to_dict()) == buffer
    assert AudioBuffer().from_json(buffer.to_json()) == buffer


# --- equality ---------------------------------------------------------------------


def test_equality_distinguishes_oneof_members() -> None:
    result = ExecuteResponse(result=ExecutionResult())
    error = ExecuteResponse(error=ErrorResponse())
    assert result != error
    assert result != ExecuteResponse()
    assert result == ExecuteResponse(result=ExecutionResult())


def test_equality_distinguishes_set_from_unset() -> None:
    assert AudioChunk(buffer=AudioBuffer()) != AudioChunk()
    read = AudioChunk()
    assert read.buffer.channels == 0
    assert read == AudioChunk()


def test_equality_compares_the_type_and_the_unknown_fields() -> None:
    assert AudioBuffer() != VersionInfo()
    assert AudioBuffer() != b""
    assert AudioBuffer.FromString(integer(15, 1)) != AudioBuffer()


@every_message
@examples(10)
@given(data=st.data())
def test_messages_are_equal_exactly_if_googles_are(
    pair: Pair, data: st.DataObject
) -> None:
    one, other = (data.draw(messages(pair.descriptor, depth=2)) for _ in range(2))
    ours, theirs = (
        pair.ours.FromString(message.SerializeToString()) for message in (one, other)
    )
    # The trees are compared, because NaN equals NaN in them, as in our messages.
    assert (ours == theirs) == (google_tree(one) == google_tree(other))
    assert ours == pair.ours.FromString(bytes(ours))


# --- oneofs -----------------------------------------------------------------------


def test_a_match_statement_finds_the_member_that_is_set() -> None:
    def member(request: StreamRequest) -> str:
        match request:
            case StreamRequest(init=StreamInit()):
                return "init"
            case StreamRequest(audio_chunk=AudioChunk(sequence=number)):
                return f"chunk {number}"
            case StreamRequest(control=StreamControl(command=command)):
                return f"control {command.name}"
            case _:
                return "nothing"

    cancel = StreamControl(command=StreamControlCommand.COMMAND_CANCEL)
    for request, expected in [
        (StreamRequest(init=StreamInit()), "init"),
        (StreamRequest(audio_chunk=AudioChunk(sequence=3)), "chunk 3"),
        (StreamRequest(control=cancel), "control COMMAND_CANCEL"),
        (StreamRequest(), "nothing"),
    ]:
        assert member(request) == expected
        assert member(StreamRequest.FromString(bytes(request))) == expected


def test_which_one_of_follows_assignment_and_decoding() -> None:
    request = StreamRequest()
    assert betterproto.which_one_of(request, "request") == ("", None)
    request.init = StreamInit(client_version="v1")
    assert betterproto.which_one_of(request, "request") == ("init", request.init)
    request.control = StreamControl()
    assert betterproto.which_one_of(request, "request")[0] == "control"
    assert not request.is_set("init")
    request.parse(delimited(2, b""))
    assert betterproto.which_one_of(request, "request")[0] == "audio_chunk"
    assert bytes(request) == delimited(2, b"")


def test_a_scalar_member_of_a_oneof_has_presence(all_types: dict[str, Pair]) -> None:
    oneofs: Any = all_types["all_types.Oneofs"].ours
    message = oneofs(an_int32=0)
    assert betterproto.which_one_of(message, "first") == ("an_int32", 0)
    assert bytes(message) == integer(1, 0)
    message.a_string = ""
    assert betterproto.which_one_of(message, "first") == ("a_string", "")
    assert bytes(message) == delimited(7, b"")


def test_an_optional_field_has_presence(all_types: dict[str, Pair]) -> None:
    optional: Any = all_types["all_types.Optional"].ours
    assert optional().an_int32 is None
    assert bytes(optional(an_int32=0, a_string="")) == integer(1, 0) + delimited(
        14, b""
    )
    message = optional.FromString(integer(13, 0))
    assert (message.a_bool, message.an_int32) == (False, None)
    message.a_bool = None
    assert bytes(message) == b""


# --- the dataclass, dicts and JSON --------------------------------------------------


def test_a_message_is_a_dataclass_with_a_readable_repr() -> None:
    names = [field.name for field in dataclasses.fields(AudioBuffer)]
    assert names == ["samples", "sample_rate", "channels", "format", "num_samples"]
    buffer = AudioBuffer(samples=b"ab", sample_rate=8000)
    assert repr(buffer) == "AudioBuffer(samples=b'ab', sample_rate=8000)"


def test_a_constructor_refuses_a_field_that_does_not_exist() -> None:
    with pytest.raises(TypeError, match="sample_rte"):
        AudioBuffer(sample_rte=8000)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # on purpose


@every_message
@examples(10)
@given(data=st.data())
def test_dict_and_json_convert_back(pair: Pair, data: st.DataObject) -> None:
    google = data.draw(messages(pair.descriptor))
    message = pair.ours.FromString(google.SerializeToString())
    tree = google_tree(google)
    # -0.0 equals the default in Python, but is not left out.
    assume("'-0.0'" not in str(tree))
    assert our_tree(pair.ours().from_dict(message.to_dict()), pair.descriptor) == tree
    assert our_tree(pair.ours().from_json(message.to_json()), pair.descriptor) == tree


def test_json_is_the_same_as_googles() -> None:
    # Without enums: their members have shorter names here than in the proto.
    buffer = AudioBuffer(samples=b"\xff\xfe", channels=2, num_samples=2**60)
    result = ExecutionResult(audio_outputs={"a": buffer}, data_outputs={"b": '"c"'})
    google = pair("ExecutionResult").google()
    json_format.Parse(result.to_json(), google)
    assert google.SerializeToString() == bytes(result)
    assert json.loads(result.to_json()) == json_format.MessageToDict(google)


def test_pydict_keeps_python_values() -> None:
    error = ErrorResponse(error_type=ErrorType.INTERNAL, message="x")
    assert error.to_pydict()["message"] == "x"
    assert ErrorResponse().from_pydict(error.to_pydict()) == error


def test_fields_may_have_names_that_python_uses(all_types: dict[str, Pair]) -> None:
    awkward = all_types["all_types.Awkward"]
    google = awkward.google.FromString(
        delimited(1, b"text") + delimited(12, b"dumped") + integer(8, 5)
    )
    message: Any = awkward.ours.FromString(google.SerializeToString())
    assert our_tree(message, awkward.descriptor) == google_tree(google)
    assert bytes(message) == google.SerializeToString()
    assert copy.deepcopy(message) == message
