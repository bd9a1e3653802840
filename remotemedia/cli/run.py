"""``remotemedia run``: one execution, from whole inputs to whole outputs."""

from __future__ import annotations

from pathlib import Path

import click

from remotemedia.cli import options
from remotemedia.cli.output import (
    others,
    outputs,
    shortened,
    show_json,
    show_table,
    write_audio,
)
from remotemedia.v1 import AudioBuffer


@click.command()
@options.manifest
@click.option(
    "--audio", multiple=True, metavar="NODE=FILE", help="Audio for a node; repeatable."
)
@click.option(
    "--data", multiple=True, metavar="NODE=JSON", help="Data for a node; repeatable."
)
@click.option("--out", type=options.NEW_FILE, help="Where the audio output goes.")
@options.address
@options.as_json
@options.connects
def run(
    make_client: options.MakeClient,
    *,
    manifest: Path,
    audio: tuple[str, ...],
    data: tuple[str, ...],
    out: Path | None,
    address: str,
    as_json: bool,
) -> None:
    """Run a pipeline once, from whole inputs to whole outputs."""
    inputs = {
        node: AudioBuffer.from_file(file)
        for node, file in split("--audio", audio).items()
    }
    with make_client(address) as client:
        result = client.execute_pipeline(manifest, inputs, split("--data", data))
    if out is not None:
        write_audio(out, result.audio_outputs)
    if as_json:
        show_json({**outputs(result), "metrics": result.metrics.to_dict()})
        return
    rows = [
        (
            node_id,
            "audio",
            f"{buffer.duration:g} s, {buffer.sample_rate} Hz, "
            f"{buffer.channels} channel(s), {buffer.format.name}",
        )
        for node_id, buffer in result.audio_outputs.items()
    ]
    rows += [
        (node_id, "data", shortened(text))
        for node_id, text in result.data_outputs.items()
    ]
    rows += [(name, kind, shortened(text)) for name, kind, _, text in others(result)]
    show_table(
        f"done in {result.metrics.wall_time_ms:.1f} ms", ("node", "", "output"), rows
    )


def split(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """Split ``NODE=VALUE`` arguments.

    Raises:
        click.BadParameter: an argument has no ``=``, or two are for the same node.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        node, equals, value = pair.partition("=")
        if not (node and equals):
            raise click.BadParameter(f"{pair!r} must be NODE=VALUE", param_hint=option)
        if node in found:
            raise click.BadParameter(f"two are for node {node!r}", param_hint=option)
        found[node] = value
    return found
