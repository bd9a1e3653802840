"""Fuzzes the decoder with atheris, through the round trip that the codec tests share.

    python -m fuzz.fuzz_decode -max_total_time=60 [CORPUS_DIR]

The first byte of an input selects a message type of a contract or of the tests' own
protos, and the rest is decoded. The seeds are valid messages of both contracts. Options
are those of libFuzzer. A fault ends the run with an exit status other than 0, and is
printed with the bytes that cause it.

This needs the package atheris, which exists for Linux only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import atheris

# Instrumented modules tell libFuzzer which branches an input reaches.
with atheris.instrument_imports(include=["remotemedia"]):
    # Imported here to be instrumented.
    import remotemedia.v1  # noqa: F401
    from remotemedia import data_v1
    from remotemedia.data_v1 import DataBuffer

from benchmarks.codec import upb
from benchmarks.samples import MESSAGES
from tests.codec.contract import DATA_PAIRS, PAIRS
from tests.codec.generated import PROTOS, generate
from tests.codec.roundtrip import round_trip

if TYPE_CHECKING:
    from tests.codec.values import Pair


# One value of each kind of the data contract.
VALUES = (
    DataBuffer(audio=data_v1.AudioBuffer(samples=bytes(8), channels=1, num_samples=2)),
    DataBuffer(video=data_v1.VideoFrame(pixel_data=bytes(6), width=2, height=1)),
    DataBuffer(tensor=data_v1.TensorBuffer(data=bytes(8), shape=[1, 2], layout="NC")),
    DataBuffer(json=data_v1.JsonData(json_payload="[1]")),
    DataBuffer(text=data_v1.TextBuffer(text_data=b"hello", encoding="utf-8")),
    DataBuffer(binary=data_v1.BinaryBuffer(data=b"\0\1", mime_type="image/png")),
    DataBuffer(numpy=data_v1.NumpyBuffer(data=bytes(4), shape=[2], strides=[-2])),
    DataBuffer(file=data_v1.FileBuffer(path="/a", size=3), metadata={"key": "value"}),
)


def write_seeds(folder: Path) -> None:
    """Write a message of each type of the audio contract, without long samples.

    Of the data contract, write a chunk and a result for each kind of value.
    """
    google = upb()
    names = list(PAIRS)
    for number, make in enumerate(MESSAGES.values()):
        sample = make(google)
        encoded = sample.SerializeToString()
        if len(encoded) < 1000:
            index = names.index(sample.DESCRIPTOR.name)
            (folder / f"{number}").write_bytes(bytes([index]) + encoded)
    data_names = list(DATA_PAIRS)
    for number, value in enumerate(VALUES):
        chunk = data_v1.DataChunk(node_id="a", buffer=value, named_buffers={"b": value})
        result = data_v1.ChunkResult(data_outputs={"a": value})
        request = data_v1.StreamRequest(data_chunk=chunk)
        response = data_v1.StreamResponse(result=result)
        for message in (request, response):
            name = type(message).__name__
            index = len(PAIRS) + data_names.index(name)
            path = folder / f"data-{number}-{name}"
            path.write_bytes(bytes([index]) + bytes(message))


def main() -> None:
    """Fuzz until the time is over, or until a fault is found."""
    with TemporaryDirectory() as folder:
        generated, seeds = Path(folder) / "generated", Path(folder) / "seeds"
        generated.mkdir()
        seeds.mkdir()
        write_seeds(seeds)
        with atheris.instrument_imports(include=["all_types", "elsewhere"]):
            all_types = generate(PROTOS, generated, "all_types", "elsewhere")
        # Python values, such as a datetime, cannot keep unknown fields.
        del all_types["all_types.WellKnown"]
        pairs: list[Pair] = [
            *PAIRS.values(),
            *DATA_PAIRS.values(),
            *all_types.values(),
        ]

        def fuzz(data: bytes) -> None:
            if data:
                round_trip(pairs[data[0] % len(pairs)], data[1:])

        # A fault is printed with its bytes, so libFuzzer need not leave a file.
        program, *options = sys.argv
        options = [f"-artifact_prefix={folder}/", *options]
        atheris.Setup([program, *options, str(seeds)], fuzz)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
