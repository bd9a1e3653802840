"""Measure the blocking client beside grpcio's own blocking stubs.

    python -m benchmarks.blocking [--quick]

Both call the server of ``benchmarks.compare``, in turn and in several rounds. The
program prints the medians, in microseconds for each call or chunk, and the median of
the rounds' ratios.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from benchmarks.processes import serving
from conformance import oracle
from remotemedia import AudioBuffer, AudioFormat
from remotemedia.blocking import RemoteMediaClient

ROUNDS, QUICK_ROUNDS = 9, 1
CALLS, CHUNKS, THREADS = 800, 3000, 8
SAMPLE_RATE, CHUNK_SAMPLES = 16_000, 1600
AUDIO = bytes(CHUNK_SAMPLES * 4)
MANIFEST = {
    "version": "v1",
    "metadata": {"name": "blocking"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}
TIMEOUT_S = 30.0


class Ours:
    """``remotemedia.blocking``, as in its documentation."""

    def __init__(self, address: str) -> None:
        self._client = RemoteMediaClient(address)
        self._client.connect()

    def version(self) -> None:
        """Call GetVersion."""
        self._client.get_version()

    def stream(self) -> int:
        """Stream all chunks, and return how many results came."""
        results = self._client.stream_pipeline(MANIFEST, self._chunks())
        return sum(bool(result.audio_outputs["output"].samples) for result in results)

    def _chunks(self) -> Iterator[tuple[str, AudioBuffer]]:
        for _ in range(CHUNKS):
            yield (
                "src",
                AudioBuffer(
                    samples=AUDIO,
                    sample_rate=SAMPLE_RATE,
                    channels=1,
                    format=AudioFormat.F32,
                    num_samples=CHUNK_SAMPLES,
                ),
            )


class Grpcio:
    """The stubs that plain protoc generates, on a channel of grpcio."""

    def __init__(self, address: str) -> None:
        self._common: Any = importlib.import_module("common_pb2")
        self._execution: Any = importlib.import_module("execution_pb2")
        self._streaming: Any = importlib.import_module("streaming_pb2")
        channel = grpc.insecure_channel(address)
        stubs: Any = importlib.import_module("execution_pb2_grpc")
        self._stub = stubs.PipelineExecutionServiceStub(channel)
        stubs = importlib.import_module("streaming_pb2_grpc")
        self._streaming_stub = stubs.StreamingPipelineServiceStub(channel)
        self.version()

    def version(self) -> None:
        """Call GetVersion."""
        request = self._execution.VersionRequest(client_version="v1")
        self._stub.GetVersion(request, timeout=TIMEOUT_S)

    def stream(self) -> int:
        """Stream all chunks, and return how many results came."""
        ready = threading.Event()
        results = 0
        for response in self._streaming_stub.StreamPipeline(self._requests(ready)):
            kind = response.WhichOneof("response")
            if kind == "ready":
                ready.set()
            elif kind == "result":
                results += bool(response.result.audio_outputs["output"].samples)
        return results

    def _requests(self, ready: threading.Event) -> Iterator[Any]:
        common, streaming = self._common, self._streaming
        manifest = self._execution.PipelineManifest(
            version="v1",
            metadata=self._execution.ManifestMetadata(name="blocking"),
            nodes=[self._execution.NodeManifest(id="src", node_type="PassThrough")],
        )
        init = streaming.StreamInit(manifest=manifest, client_version="v1")
        yield streaming.StreamRequest(init=init)
        ready.wait()
        for sequence in range(CHUNKS):
            yield streaming.StreamRequest(
                audio_chunk=streaming.AudioChunk(
                    node_id="src",
                    buffer=common.AudioBuffer(
                        samples=AUDIO,
                        sample_rate=SAMPLE_RATE,
                        channels=1,
                        format=common.AUDIO_FORMAT_F32,
                        num_samples=CHUNK_SAMPLES,
                    ),
                    sequence=sequence,
                    timestamp_ms=sequence * 100,
                )
            )
        close = streaming.StreamControl(command=streaming.StreamControl.COMMAND_CLOSE)
        yield streaming.StreamRequest(control=close)


Client = Ours | Grpcio


def in_turn(client: Client) -> int:
    """Call GetVersion, one call after the other."""
    for _ in range(CALLS):
        client.version()
    return CALLS


def from_threads(client: Client) -> int:
    """Call GetVersion from several threads at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: client.version(), range(CALLS)))
    return CALLS


def stream(client: Client) -> int:
    """Stream chunks in one session.

    Raises:
        RuntimeError: not every chunk was answered.
    """
    if (results := client.stream()) != CHUNKS:
        raise RuntimeError(f"{results} results for {CHUNKS} chunks")
    return CHUNKS


SCENARIOS: dict[str, Callable[[Client], int]] = {
    "get_version, one after the other": in_turn,
    f"get_version, from {THREADS} threads": from_threads,
    "stream, chunks of 6,400 bytes": stream,
}


def cost(scenario: Callable[[Client], int], client: Client) -> tuple[float, float]:
    """Run a scenario once; return its processor time and its time, in µs a piece."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    count = scenario(client)
    wall_s, processor_s = (
        time.perf_counter() - wall_s,
        time.process_time() - processor_s,
    )
    return processor_s / count * 1e6, wall_s / count * 1e6


def measure(address: str, rounds: int) -> None:
    """Run every scenario with both clients in turn, and print the table."""
    clients: tuple[Client, Client] = (Ours(address), Grpcio(address))
    print("| | | ours | grpcio | ours ÷ grpcio |\n| --- | --- | ---: | ---: | ---: |")
    for title, scenario in SCENARIOS.items():
        found: dict[Client, list[tuple[float, float]]] = {c: [] for c in clients}
        for number in range(rounds):
            for client in clients[:: 1 if number % 2 else -1]:
                found[client].append(cost(scenario, client))
        for index, figure in enumerate(("processor, µs", "wall, µs")):
            ours, theirs = ([pair[index] for pair in found[c]] for c in clients)
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            print(
                f"| {title} | {figure} | {statistics.median(ours):.0f} "
                f"| {statistics.median(theirs):.0f} | {ratio:.2f} |"
            )


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    rounds = QUICK_ROUNDS if parser.parse_args().quick else ROUNDS
    with (
        TemporaryDirectory() as folder,
        serving("benchmarks.compare.server") as address,
    ):
        modules = Path(folder)
        oracle.protoc(
            oracle.CONTRACT, f"--python_out={modules}", f"--grpc_python_out={modules}"
        )
        sys.path.insert(0, folder)
        measure(address, rounds)


if __name__ == "__main__":
    main()
