"""Compare our JSON with that of Google's `json_format` and of stock betterproto.

    python -m benchmarks.protojson [--quick]

The program prints a Markdown table: messages written as JSON text, and read from it, in
microseconds. Google's `json_format` is Python code over its parser in C.

Times are measured as in `benchmarks.codec`: processor time, the median of several
rounds in which the libraries take turns, each in a process of its own. Before anything
is timed, Google's must read from our text what our message is in binary.
"""

from __future__ import annotations

import sys

from google.protobuf import json_format

from benchmarks.codec import (
    FROM_JSON,
    OURS,
    STOCK,
    TO_JSON,
    UPB,
    contest,
    encoded,
    library,
    measure,
)
from benchmarks.samples import MESSAGES

TITLES = [
    *("AudioChunk of 320 bytes", "AudioChunk of 6,400 bytes", "ChunkResult"),
    *("ExecutionMetrics", "StreamMetrics", "PipelineManifest", "ErrorResponse"),
]


# -- run in the process of each library


def text(title: str) -> str:
    """Return our JSON of the sample message of this title."""
    found: str = MESSAGES[title](library(OURS)).to_json()
    return found


def reads(title: str, our_json: str, our_data: bytes) -> bool:
    """Tell whether Google's reads our JSON as what our bytes say."""
    kind = type(MESSAGES[title](library(UPB)))
    equal: bool = json_format.Parse(our_json, kind()) == kind.FromString(our_data)
    return equal


# -- run in the main process


def main() -> None:
    """Read the arguments, measure, and print."""
    with contest(__doc__) as (processes, rounds):
        for title in TITLES:
            ours = processes[OURS]
            our_json = ours.submit(text, title).result()
            our_data = ours.submit(encoded, OURS, title).result()
            if not processes[UPB].submit(reads, title, our_json, our_data).result():
                sys.exit(f"{title}: Google's reads something else from our JSON")
        print("| message | | ours | Google's | stock | ours / Google's |")
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for title in TITLES:
            for operation in (TO_JSON, FROM_JSON):
                spent = measure(processes, operation, title, rounds)
                print(
                    f"| {title} | {operation} | {spent[OURS]:,.1f} "
                    f"| {spent[UPB]:,.1f} | {spent[STOCK]:,.1f} "
                    f"| {spent[OURS] / spent[UPB]:.2f} |"
                )


if __name__ == "__main__":
    main()
