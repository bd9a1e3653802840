"""The Markdown of a comparison."""

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

The library beside what else there is: `grpc.aio`, which is grpcio's C core with
Google's C parser, and what betterproto's own plugin generates, on plain grpclib. Two
floors stand beside them: bytes made beforehand, over grpclib's own client API, and
the same bytes to a bare asyncio socket and back.

Every client has a process of its own. All speak to one server, a process of its own
too: grpcio's C core, which cuts the audio's bytes out of a request and pastes them
into the answer, without decoding. Each client builds its messages, waits for the
session to be ready, and reads the fields of what comes back, in its own idiom; ours
does so through `RemoteMediaClient`, with all its checks, a dict for the manifest, and
a deadline.

- Processor time is that of the client's process, with all its threads, for each
  operation: a call, or a chunk. It is what the client can be held to.
- Wall time includes waiting for the server. A chunk takes the server about as much
  processor time as it takes `grpc.aio`, so a client cannot go much faster than that.
- Live streams send at the pace of speech. Their worst chunk is counted from when it
  was due, so it includes how late the client was itself, and how late the server was.
  The latency of the one live stream is counted from handing a chunk over. All sessions
  are open before the first chunk, and until the last was answered.
- With 1,000 live streams grpcio's server is as busy as the clients. So they also speak
  to a server that does next to nothing, on a core of its own.
- Memory is the peak above what the process had before the call.
- Figures are medians of rounds in which the clients take turns. A ratio is the median
  of the rounds' own ratios, ours to grpc.aio's, less is better; it may differ a
  little from the ratio of the medians.

Where a target is out of reach:

- **Import.** `import betterproto` alone takes longer than importing `grpc.aio` with all
  that was generated for it, and grpclib comes on top: what betterproto's own plugin
  generates takes nearly as long as ours. The end of this page says which package takes
  how much. numpy is imported with the first array.

![Cost relative to grpc.aio](benchmarks.svg)
"""

IMPORT_SHARES = """\
## Where the time of our import goes

By `python -X importtime`; what a package is the first to import counts as its own.

"""


def setting(*, quick: bool) -> str:
    """When and where the comparison runs, and with what."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    kind = "a quick one, which only shows that it works; " if quick else ""
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
    """The whole document."""
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
    """The rows of one scenario, one a figure."""
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
