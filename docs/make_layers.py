"""Draw the layers of the library into ``layers.svg``."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

PICTURE = Path(__file__).with_name("layers.svg")
WIDTH, LEFT, TOP, HEIGHT, GAP = 860, 20, 64, 50, 10
BOXES_LEFT, BOXES_WIDTH = LEFT + 40, WIDTH - 2 * LEFT - 40

COLOURS = {"top": "#dbeafe", "writer": "#fde2c4", "reader": "#cfeedd", "base": "#e7e5f4", "ground": "#e5e7eb"}


@dataclass(frozen=True, slots=True)
class Box:
    """One layer, or one of several that do not use each other."""

    name: str
    job: str
    colour: str


ROWS = (
    (Box("cli", "commands, options, what is printed", "top"),),
    (Box("bench", "other codecs and measurements: unicorn bench", "top"),),
    (Box("viewing", "a gallery in the browser, contact sheets, reports", "top"),),
    (Box("portions", "large folders in portions, by processes or a cluster", "writer"),),
    (Box("packing", "the writer: targets, refinement, near-duplicates, quality floor, training", "writer"),),
    (Box("verification", "the reader: damage, and comparison with originals", "reader"),),
    (Box("shards", "tar and parquet files to folders, and archives to such files", "reader"),),
    (Box("archive, measurement", "the reader: open, get by index, measure", "reader"),),
    (Box("decoders", "codes, or a network, to pixels", "reader"),),
    (
        Box("transform", "autoencoder: pixels to latents and back", "base"),
        Box("network", "diffusion transformer, index only", "base"),
        Box("overfitted", "functions fitted to latents", "base"),
    ),
    (Box("pictures", "files and pixels, AVIF and AV1 sequences, metrics", "base"),),
    (
        Box("codes", "latents to bytes and back: context model", "base"),
        Box("weights", "weights to bytes and back", "base"),
    ),
    (Box("format", "sections, checks of raw bytes, rANS, index map; knows no model's name", "ground"),),
    (Box("errors, devices, threads, atomic files", "what everything stands on", "ground"),),
)
"""From the top down: a layer uses only rows below its own."""


def draw() -> str:
    """Return the picture as SVG. Its background is opaque, so that it can be read on light and dark pages."""
    height = TOP + len(ROWS) * (HEIGHT + GAP) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title" font-family="Helvetica, Arial, sans-serif">',
        '<title id="title">Layers of unicorn-codec: each uses only the layers below it</title>',
        f'<rect width="{WIDTH}" height="{height}" rx="12" fill="#ffffff" stroke="#9ca3af"/>',
        _text(LEFT, 38, "Each layer uses only those below it. The reader needs nothing of the writer.", 17, weight=600),
        *_arrow(LEFT + 14, TOP + 4, height - 28),
    ]
    for number, row in enumerate(ROWS):
        width = (BOXES_WIDTH - GAP * (len(row) - 1)) / len(row)
        y = TOP + number * (HEIGHT + GAP)
        for place, box in enumerate(row):
            parts += _box(BOXES_LEFT + place * (width + GAP), y, width, box)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: float, y: float, width: float, box: Box) -> list[str]:
    fill = COLOURS[box.colour]
    return [
        f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{HEIGHT}" rx="7" fill="{fill}" stroke="#6b7280"/>',
        _text(x + 14, y + 21, box.name, 15, weight=700),
        _text(x + 14, y + 40, box.job, 13),
    ]


def _text(x: float, y: float, text: str, size: int, weight: int = 400) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="#111827">{escape(text)}</text>'


def _arrow(x: float, top: float, bottom: float) -> list[str]:
    return [
        f'<path d="M{x} {top}V{bottom}" stroke="#4b5563" stroke-width="2" fill="none"/>',
        f'<path d="M{x - 6} {bottom - 8}L{x} {bottom + 2}L{x + 6} {bottom - 8}Z" fill="#4b5563"/>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
