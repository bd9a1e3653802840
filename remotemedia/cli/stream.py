"""``remotemedia stream``: an audio file, sent chunk by chunk as a live session."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
from rich.progress import Progress

from remotemedia.cli import options
from remotemedia.cli.output import (
    outputs,
    progress,
    show_json,
    show_result,
    show_table,
)
from remotemedia.manifest import to_manifest
from remotemedia.v1 import AudioBuffer, PipelineManifest


@click.command()
@options.manifest
@click.argument("file", type=options.EXISTING_FILE)
@click.option("--node", help="The node that gets the audio; by default, the first.")
@click.option(
    "--chunk-ms",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    help="Length of a chunk in milliseconds.",
)
@click.option("--live", is_flag=True, help="Send at the pace of the recording.")
@click.option("--out", type=options.NEW_FILE, help="Where the audio output goes.")
@click.option(
    "--plot",
    type=options.NEW_FILE,
    metavar="FILE.png",
    help="Draw the audio and the round trips.",
)
@options.address
@options.as_json
@options.connects
def stream(
    make_client: options.MakeClient,
    *,
    manifest: Path,
    file: Path,
    node: str | None,
    chunk_ms: float,
    live: bool,
    out: Path | None,
    plot: Path | None,
    address: str,
    as_json: bool,
) -> None:
    """Stream an audio file through a pipeline, chunk by chunk."""
    checked = to_manifest(manifest)
    node_id = node or first_node(checked)
    check_new_files(file, out, plot)
    lengths_s: list[float] = []
    # Only the picture needs the audio, of which an hour may be over a gigabyte.
    drawn: list[AudioBuffer] | None = [] if plot else None
    round_trips_ms: list[float] = []
    with ExitStack() as stack:
        bar = stack.enter_context(progress(as_json=as_json))
        writer = stack.enter_context(AudioBuffer.file_writer(out)) if out else None
        client = stack.enter_context(make_client(address))
        source = chunks(
            file,
            node_id,
            chunk_ms,
            live=live,
            bar=bar,
            lengths_s=lengths_s,
            drawn=drawn,
        )
        session = stack.enter_context(client.open_stream(checked, source))
        for result in session:
            round_trips_ms.append(session.round_trip_ms or 0.0)
            if writer is not None and result.audio_outputs:
                writer.write(result.audio())
            if as_json:
                show_json({"sequence": result.sequence, **outputs(result)})
            else:
                show_result(result, result.sequence * chunk_ms / 1000, bar)
        closed = session.closed
    summary = {
        "chunks": len(lengths_s),
        "results": len(round_trips_ms),
        "seconds": round(sum(lengths_s), 3),
        "round_trip_ms_median": round(statistics.median(round_trips_ms or [0]), 3),
        "round_trip_ms_worst": round(max(round_trips_ms, default=0), 3),
        "reason": closed.reason if closed else "",
    }
    if as_json:
        show_json({"summary": summary})
    else:
        show_table(
            f"{file.name} through {checked.metadata.name}",
            ("", ""),
            [(name.replace("_", " "), value) for name, value in summary.items()],
        )
    if plot is not None and drawn is not None:
        from remotemedia.cli.plot import draw

        draw(plot, drawn, round_trips_ms)


def check_new_files(file: Path, out: Path | None, plot: Path | None) -> None:
    """Check, before an hour is streamed, that its results can be written.

    Raises:
        click.BadParameter: a file would be the one that is being read, is in no folder,
            or has an ending that matplotlib does not write.
    """
    for hint, path in (("--out", out), ("--plot", plot)):
        if path is None:
            continue
        if path.exists() and path.samefile(file):
            raise click.BadParameter(
                "it is the file that is streamed, and would be overwritten while it is "
                "read",
                param_hint=hint,
            )
        if not path.parent.is_dir():
            raise click.BadParameter(f"no folder {path.parent}", param_hint=hint)
    if plot is not None:
        from remotemedia.cli.plot import check_ending

        check_ending(plot)


def first_node(manifest: PipelineManifest) -> str:
    """The id of the only node that no connection enters.

    Raises:
        click.BadParameter: there are several.
    """
    entered = {connection.to for connection in manifest.connections}
    first = [node.id for node in manifest.nodes if node.id not in entered]
    if len(first) != 1:
        raise click.BadParameter(
            f"several nodes take input: {', '.join(first)}; choose one",
            param_hint="--node",
        )
    return first[0]


def chunks(
    file: Path,
    node_id: str,
    chunk_ms: float,
    *,
    live: bool,
    bar: Progress,
    lengths_s: list[float],
    drawn: list[AudioBuffer] | None,
) -> Iterator[tuple[str, AudioBuffer]]:
    """Read a file chunk by chunk, and note what was read.

    Args:
        file: the audio file.
        node_id: the node that gets the chunks.
        chunk_ms: the length of a chunk in milliseconds.
        live: whether each chunk waits until it would have been recorded.
        bar: shows how far the file has been read.
        lengths_s: gets the length of each chunk, in seconds.
        drawn: gets the chunks, unless it is None.
    """
    total_s = AudioBuffer.from_file(file).duration
    task = bar.add_task(file.name, total=total_s)
    started_s = time.monotonic()
    recorded_s = 0.0
    for buffer in AudioBuffer.stream_file(file, chunk_ms):
        recorded_s += buffer.duration
        if live:
            time.sleep(max(0.0, started_s + recorded_s - time.monotonic()))
        lengths_s.append(buffer.duration)
        if drawn is not None:
            drawn.append(buffer)
        bar.update(task, completed=recorded_s)
        yield node_id, buffer
