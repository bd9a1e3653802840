"""What a user may give for a value, what it travels as, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia import AudioBuffer, AudioFormat, data_v1
from remotemedia.contracts.values import from_wire_audio, to_buffer, to_wire_audio
from remotemedia.data_v1 import (
    BinaryBuffer,
    ControlMessage,
    DataBuffer,
    FileBuffer,
    JsonData,
    NumpyBuffer,
    PixelFormat,
    TensorBuffer,
    TensorDtype,
    TextBuffer,
    VideoFrame,
)

AUDIO = AudioBuffer.from_numpy(np.zeros(16, np.int16), 16_000)
FRAME = VideoFrame(pixel_data=bytes(12), width=2, height=2, format=PixelFormat.RGB24)
TENSOR = TensorBuffer.from_numpy(np.zeros(3, np.float32), layout="C")
ARRAY = np.arange(6, dtype=np.int64).reshape(2, 3)
WHERE = "data_inputs['a']"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AUDIO, DataBuffer(audio=to_wire_audio(AUDIO))),
        (to_wire_audio(AUDIO), DataBuffer(audio=to_wire_audio(AUDIO))),
        (FRAME, DataBuffer(video=FRAME)),
        (TENSOR, DataBuffer(tensor=TENSOR)),
        (ARRAY, DataBuffer(numpy=NumpyBuffer.from_numpy(ARRAY))),
        (NumpyBuffer.from_numpy(ARRAY), to_buffer(ARRAY, WHERE)),
        (ARRAY[0, 0:0], DataBuffer(numpy=NumpyBuffer.from_numpy(ARRAY[0, 0:0]))),
        ("hello", DataBuffer(text=TextBuffer(text_data=b"hello", encoding="utf-8"))),
        (TextBuffer(text_data=b"x"), DataBuffer(text=TextBuffer(text_data=b"x"))),
        (b"ab", DataBuffer(binary=BinaryBuffer(data=b"ab"))),
        (bytearray(b"ab"), DataBuffer(binary=BinaryBuffer(data=b"ab"))),
        (memoryview(b"abcd")[::2], DataBuffer(binary=BinaryBuffer(data=b"ac"))),
        (
            BinaryBuffer(data=b"ab", mime_type="image/png"),
            DataBuffer(binary=BinaryBuffer(data=b"ab", mime_type="image/png")),
        ),
        (FileBuffer(path="/a"), DataBuffer(file=FileBuffer(path="/a"))),
        (
            JsonData(json_payload="1", schema_type="n"),
            DataBuffer(json=JsonData(json_payload="1", schema_type="n")),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_travels_as_its_own(value: object, expected: DataBuffer) -> None:
    sent = to_buffer(value, WHERE)
    assert sent == expected
    assert DataBuffer.FromString(bytes(sent)) == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False).filter(lambda number: abs(number) != float("inf"))
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON)
def test_other_values_travel_as_json(value: Any) -> None:
    sent = to_buffer(value, WHERE)
    if isinstance(value, str):
        assert sent.text.text == value
    else:
        assert json.loads(sent.json.json_payload) == value


def test_a_str_is_json_text_where_the_audio_contract_has_it_so() -> None:
    sent = to_buffer('{"gain": 2}', WHERE, str_is_json=True)
    assert sent == DataBuffer(json=JsonData(json_payload='{"gain": 2}'))
    assert to_buffer({"gain": 2}, WHERE, str_is_json=True) == sent


def test_a_buffer_is_sent_as_it_is_with_its_metadata() -> None:
    buffer = DataBuffer(video=FRAME, metadata={"camera": "left"})
    assert to_buffer(buffer, WHERE) is buffer


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AudioBuffer(samples=b"abc", channels=1, sample_rate=8000), r"AudioBuffer\."),
        (data_v1.AudioBuffer(samples=b"abc", channels=1), r"AudioBuffer\."),
        (VideoFrame(), "VideoFrame is 0 x 0 pixels"),
        (TensorBuffer(data=b"abc", dtype=TensorDtype.F32, shape=[1]), "shape"),
        (NumpyBuffer(data=b"abc", dtype="O", shape=[1]), "no numeric type"),
        ("\ud800", "surrogates not allowed"),
        (float("nan"), "JSON cannot say this value"),
        ([1, {"a": float("inf")}], "JSON cannot say this value"),
        (DataBuffer(), "the DataBuffer has no value"),
        (DataBuffer(metadata={"a": "b"}), "the DataBuffer has no value"),
        (DataBuffer(video=VideoFrame()), "VideoFrame is 0 x 0 pixels"),
        (DataBuffer(numpy=NumpyBuffer(dtype="O")), "no numeric type"),
        (JsonData(json_payload="\ud800"), r"JsonData\.json_payload cannot be UTF-8"),
        (FileBuffer(path="\udcff"), r"FileBuffer\.path cannot be UTF-8"),
        (VideoFrame(frame_number=-1), r"VideoFrame\.frame_number must be from 0"),
        (TensorBuffer(shape=[-1]), r"TensorBuffer\.shape"),
    ],
)
def test_a_value_that_is_not_valid_is_refused(value: object, text: str) -> None:
    with pytest.raises(ValueError, match=rf"^data_inputs\['a'\]: .*{text}") as caught:
        to_buffer(value, WHERE)
    assert str(caught.value).count(WHERE) == 1


@pytest.mark.parametrize(
    ("cls", "field"),
    [
        *((VideoFrame, "width"), (VideoFrame, "format"), (TensorBuffer, "shape")),
        *((NumpyBuffer, "strides"), (TensorBuffer, "dtype")),
    ],
)
def test_a_field_of_a_wrong_type_is_named(cls: type[Any], field: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^data_inputs\['a'\]: {cls.__name__}\.{field}"
    ):
        to_buffer(cls(**{field: "wrong"}), WHERE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "is object, which the data contract cannot carry; it must be an Au"),
        ({1, 2}, "is set, which the data contract cannot carry"),
        (1j, "is complex, which the data contract cannot carry"),
        (np.float32(1), r"is float32, .* A number of numpy has \.item\(\)$"),
        (np.bool_(True), r"\.item\(\)$"),
        ([np.float32(1)], r": .*float32.*numpy values have \.tolist\(\)"),
        ({"a": np.zeros(2)}, r": .*ndarray.*numpy values have \.tolist\(\)"),
        (np.array(["a"]), ": array has dtype <U1"),
        (np.array([None]), ": array has dtype object"),
        (np.ma.masked_array([1], [True]), ": array has a mask"),
        (ControlMessage(), ": the service takes no ControlMessage"),
        (DataBuffer(control=ControlMessage()), ": the service takes no ControlMessage"),
        (
            Path("a.wav"),
            r": the service cannot see your files\. AudioBuffer\.from_file",
        ),
        ({"a": b"bytes"}, ": Object of type bytes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_contract_cannot_carry_is_refused(value: object, text: str) -> None:
    with pytest.raises(TypeError, match=rf"^data_inputs\['a'\]:? ?.*{text}"):
        to_buffer(value, WHERE)


def test_audio_is_the_same_in_both_contracts_and_shares_its_samples() -> None:
    for number in (AudioFormat.F32, AudioFormat.I16, AudioFormat.I32):
        buffer = AUDIO.to_format(number)
        wire = to_wire_audio(buffer)
        assert bytes(wire) == bytes(buffer)
        assert wire.samples is buffer.samples
        back = from_wire_audio(wire)
        assert back == buffer
        assert back.samples is buffer.samples
        assert type(back.format) is AudioFormat


def test_audio_of_a_format_that_is_not_known_can_be_looked_at() -> None:
    wire = data_v1.AudioBuffer(format=data_v1.AudioFormat.try_value(9))
    assert int(from_wire_audio(wire).format) == 9


@pytest.mark.parametrize(
    ("value", "field", "data"),
    [
        (AUDIO, "audio", "samples"),
        (FRAME, "video", "pixel_data"),
        (TENSOR, "tensor", "data"),
        (BinaryBuffer(data=b"abc"), "binary", "data"),
    ],
)
def test_nothing_that_is_in_a_message_is_copied(
    value: object, field: str, data: str
) -> None:
    sent = getattr(to_buffer(value, WHERE), field)
    assert getattr(sent, data) is getattr(value, data)


def test_bytes_are_not_copied() -> None:
    data = bytes(1000)
    assert to_buffer(data, WHERE).binary.data is data
