"""Draws what is in the documents from the tables in the code.

``python -m tests.docs.drawings`` writes the drawings; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path

from remotemedia.session.machine import TRANSITIONS, State
from tests.project.test_wings import WINGS

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"

# The site puts a drawing into its page, where the theme sets the variables. A code host
# shows it as a picture, which follows the settings of the reader's system.
STYLE = """\
.drawing { --ink: var(--color-foreground-primary, #1f2328);
  --soft: var(--color-foreground-muted, #59636e);
  --paper: var(--color-background-secondary, #f6f8fa);
  --line: var(--color-brand-content, #0a58ca); max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
  .drawing { --ink: var(--color-foreground-primary, #f0f6fc);
    --soft: var(--color-foreground-muted, #9198a1);
    --paper: var(--color-background-secondary, #151b23);
    --line: var(--color-brand-content, #4493f8); } }
.drawing text { font: 14px sans-serif; fill: var(--ink); text-anchor: middle; }
.drawing .soft { font-size: 12px; fill: var(--soft); }
.drawing rect { fill: var(--paper); stroke: var(--line); stroke-width: 1.5; }
.drawing path { fill: none; stroke: var(--line); stroke-width: 1.5; }
.drawing .head { fill: var(--line); stroke: none; }"""

ROW, BOX, GAP = 46, 30, 12


def picture(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Return a drawing as SVG. Its identifiers begin with those of the title."""
    name = title.split()[-1]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" '
            f'viewBox="0 0 {width} {height}" width="{width}">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<defs><marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" '
            'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
            '<path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>',
            *(part.replace("url(#head)", f"url(#{name})") for part in parts),
            "</svg>\n",
        ]
    )


def box(x: float, y: float, width: float, text: str) -> str:
    """Return a box around a text. `x` and `y` are its centre."""
    return (
        f'<rect x="{x - width / 2:g}" y="{y - BOX / 2:g}" width="{width:g}" '
        f'height="{BOX}" rx="6"/><text x="{x:g}" y="{y + 5:g}">{escape(text)}</text>'
    )


def layers(table: dict[str, set[str]]) -> list[list[str]]:
    """Sort the parts into rows: each imports only from rows below its own."""
    # `wing.module` is a single module, and no reason to stand above its wing.
    graph = {
        wing: {name for name in may if name in table} for wing, may in table.items()
    }
    height: dict[str, int] = {}
    for wing in TopologicalSorter(graph).static_order():
        height[wing] = 1 + max((height[name] for name in graph[wing]), default=-1)
    rows = range(max(height.values()), -1, -1)
    return [sorted(wing for wing in graph if height[wing] == row) for row in rows]


def wings() -> str:
    """Return the drawing of the parts of the library."""
    rows = layers(WINGS)
    width = 480
    parts = []
    for number, row in enumerate(rows):
        y = 24 + number * ROW
        each = min((width - GAP * (len(row) + 1)) / len(row), 132)
        start = (width - len(row) * (each + GAP) + GAP) / 2
        for place, wing in enumerate(row):
            parts.append(box(start + place * (each + GAP) + each / 2, y, each, wing))
    height = 24 + len(rows) * ROW
    return picture(width, height - 16, "What imports what: the wings", parts)


# Where each state stands, and how an arrow between two of them bends.
PLACES = {
    State.NEW: (70, 40),
    State.OPENING: (240, 40),
    State.OPEN: (240, 130),
    State.CLOSING: (130, 220),
    State.CANCELLING: (350, 220),
    State.CLOSED: (240, 310),
    State.FAILED: (420, 130),
}
ARROWS = {
    (State.NEW, State.OPENING): ("M122 40 H186", (154, 32)),
    (State.NEW, State.FAILED): ("M70 24 V12 H420 V113", (320, 27)),
    (State.OPENING, State.OPEN): ("M240 56 V113", (266, 90)),
    (State.OPENING, State.FAILED): ("M292 48 L394 113", (362, 78)),
    (State.OPEN, State.CLOSING): ("M212 146 L148 203", (156, 172)),
    (State.OPEN, State.CANCELLING): ("M268 146 L332 203", (330, 182)),
    (State.OPEN, State.CLOSED): ("M240 146 V293", (268, 225)),
    (State.OPEN, State.FAILED): ("M292 130 H367", (336, 123)),
    (State.CLOSING, State.CLOSED): ("M148 236 L212 293", (146, 275)),
    (State.CLOSING, State.FAILED): ("M78 220 H14 V345 H456 V147", (60, 338)),
    (State.CANCELLING, State.CLOSED): ("M332 236 L268 293", (326, 275)),
    (State.CANCELLING, State.FAILED): ("M378 203 L410 147", (418, 182)),
}


def states() -> str:
    """Return the drawing of the states of a session, and of what leads to the next."""
    events: dict[tuple[State, State], list[str]] = {}
    for (before, event), after in TRANSITIONS.items():
        if before is not after:
            events.setdefault((before, after), []).append(event.value)
    parts = []
    for step, names in events.items():
        line, (x, y) = ARROWS[step]
        parts.append(f'<path marker-end="url(#head)" d="{line}"/>')
        parts.append(f'<text class="soft" x="{x}" y="{y}">{", ".join(names)}</text>')
    parts += [box(x, y, 104, state.value) for state, (x, y) in PLACES.items()]
    return picture(480, 360, "What leads from state to state: the states", parts)


def flow() -> str:
    """Return the drawing of the first page: what goes to the service and comes back."""
    parts = [
        '<rect x="8" y="20" width="124" height="164" rx="6"/>',
        '<text x="70" y="92">your program</text>',
        '<text class="soft" x="70" y="114">asyncio, or</text>',
        '<text class="soft" x="70" y="130">threads</text>',
        '<rect x="244" y="20" width="228" height="164" rx="6"/>',
        '<text x="358" y="44">pipeline service</text>',
        '<text class="soft" x="358" y="170">nodes, in its pipeline</text>',
    ]
    for y, text, ends in [
        (54, "pipeline", "M132 60 H243"),
        (88, "chunks of audio", "M132 94 H243"),
        (128, "results", "M244 134 H133"),
        (162, "or one error", "M244 168 H133"),
    ]:
        parts.append(f'<text class="soft" x="188" y="{y}">{text}</text>')
        parts.append(f'<path marker-end="url(#head)" d="{ends}"/>')
    parts += [
        box(x, 104, 50, t) for x, t in ((288, "mic"), (358, "vad"), (428, "text"))
    ]
    parts += [f'<path marker-end="url(#head)" d="M{x} 104 h19"/>' for x in (313, 383)]
    return picture(480, 204, "A program, a service, and their flow", parts)


DRAWINGS = {"flow.svg": flow, "states.svg": states, "wings.svg": wings}


def main() -> None:
    """Write all drawings."""
    for name, draw in DRAWINGS.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
