"""Write the results of a comparison as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.compare.clients import TITLES
from benchmarks.compare.loops import EVENT_LOOPS
from benchmarks.compare.results import Measured

PACKAGES = (
    "remotemedia",
    "betterproto",
    "grpclib",
    "h2",
    "numpy",
    "grpcio",
    "protobuf",
    *(["uvloop"] if "uvloop" in EVENT_LOOPS else []),
)
FIGURES = {
    "processor_us": "processor, µs",
    "wall_us": "wall, µs",
    "processor_ms": "processor, ms",
    "wall_ms": "wall, ms",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "processor_percent": "processor, % of a core",
    "worst_ms": "worst chunk, ms",
    "peak_mib": "peak, MiB",
}
HEADINGS = {
    "asyncio": "With asyncio's own event loop",
    "uvloop": "With uvloop",
}
INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks.compare`; do not edit.

This page compares three clients: this library; `grpc.aio`, which is grpcio's C core
with Google's C parser; and stock betterproto, which is the code that betterproto's own
plugin generates, on plain grpclib. Two lower bounds stand beside them. "Ready-made
bytes" sends messages that were encoded beforehand through grpclib's client API. "Bare
socket" sends the same bytes through an asyncio socket and back.

Every client runs in a process of its own. All call one server, which also runs in a
process of its own; the rows of the data contract have one that speaks it. It uses
grpcio's C core, and copies the audio, or another value, from the request into the
answer without decoding it. Each client builds its messages, waits for the session to be
ready, and reads the fields of the results, in its own idiom. Ours does so through
`RemoteMediaClient`, with all its checks, a dict as the manifest, and a deadline.

- Processor time is that of the client's process with all its threads, for each
  operation: a call or a chunk. It measures the client alone.
- Wall time includes waiting for the server. A chunk costs the server about as much
  processor time as it costs `grpc.aio`, so no client can be much faster than that.
- Live streams send at the pace of speech. The delay of their worst chunk counts from
  when the chunk was due, so it includes delays of the client itself and of the server.
  The latency of the single live stream counts from the moment its chunk was handed
  over. All sessions are open from before the first chunk until after the last answer.
- With 1,000 live streams, grpcio's server is as busy as the clients. Therefore they are
  also measured against a server that does almost nothing, on a core of its own.
- On the data contract, the clients make each message of a numpy array, and make a numpy
  array of each result: audio, a frame of video, or a tensor.
- Memory is the peak during the call, less what the process had before it.
- Each figure is the median of several rounds, in which the clients take turns. Each
  ratio is the median of the ratios of the rounds, ours divided by grpc.aio's, so less
  is better. It may differ slightly from the ratio of the medians.

Which target is out of reach, and why:

- **Import.** `import betterproto` alone takes longer than importing `grpc.aio` with its
  generated code, and grpclib takes time too. Stock betterproto takes nearly as long as
  this library. The end of this page says how much each package takes. numpy is imported
  when the first array is made.
- **Forty calls at once, with a server that does next to nothing.** The C core reads,
  writes and compresses headers in threads of its own while Python runs, on a second
  core. Our client does all of it on the event loop's core, in about 210 Python calls
  for each call. No single one of them takes more than a few per cent of the time.
- **64 kB with such a server.** The kernel's copies and the server's own work are most
  of that time, for every client.

![Cost relative to grpc.aio](benchmarks.svg)
"""

IMPORT_SHARES = """\
## Where the time of our import goes

Measured with `python -X importtime`. A module counts for the package that imports it
first.

"""


def setting(*, quick: bool) -> str:
    """Say when the comparison runs, on which machine and with which versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    kind = "a quick one, which shows only that it works; " if quick else ""
    load = f"{os.getloadavg()[0]:.1f}"
    return (
        f"This run: {kind}"
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {_processor()}, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, load "
        f"average {load} before the start. {platform.python_implementation()} "
        f"{platform.python_version()}, {versions}.\n"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (
            info.read_text(encoding="utf-8").splitlines() if info.exists() else ()
        )
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def document(
    found: Sequence[Measured], import_shares: Mapping[str, float], setting: str
) -> str:
    """Return the whole document."""
    parts = [INTRODUCTION, setting]
    for event_loop in EVENT_LOOPS:
        parts += [
            f"## {HEADINGS[event_loop]}\n",
            "| | | "
            + " | ".join(TITLES.values())
            + " | ours ÷ grpc.aio | target |\n"
            + "| --- | --- |"
            + " ---: |" * (len(TITLES) + 2)
            + "\n"
            + "".join(
                line + "\n" for measured in found for line in rows(measured, event_loop)
            ),
        ]
    if "uvloop" not in EVENT_LOOPS:
        parts.append("uvloop was not installed, and was not measured.\n")
    shares = "".join(
        f"- {owner}: {share:.0f} %\n" for owner, share in import_shares.items()
    )
    parts.append(IMPORT_SHARES + shares)
    return "\n".join(parts)


def rows(measured: Measured, event_loop: str) -> Iterator[str]:
    """Yield the table rows of one scenario, one for each figure."""
    title = measured.title
    for name in measured.names(event_loop):
        cells = [
            _number(measured.median(client, event_loop, name)) for client in TITLES
        ]
        target = measured.target(event_loop, name)
        said = ""
        if target is not None:
            is_met = measured.is_met(event_loop, name, target)
            said = f"≤ {target.limit:g}{', met' if is_met else ', **missed**'}"
        ratio = measured.ratio(event_loop, name)
        cells += ["—" if ratio is None else f"{ratio:.2f}", said]
        yield f"| {title} | {FIGURES[name]} | {' | '.join(cells)} |"
        title = ""


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
