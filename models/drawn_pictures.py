"""Draw training pictures that photo collections lack: text, receipts, screens, charts, line art, gradients, gray scans.

    python models/drawn_pictures.py --count 24 --out SHEET.png  # look at a sample

Every picture follows from its seed and from the fonts that are installed (Debian: fonts-dejavu-core,
fonts-dejavu-extra, fonts-liberation, fonts-freefont-ttf, fonts-noto-core). Nothing is taken from any data set.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path("/usr/share/fonts/truetype")
LATIN = ("DejaVu", "Liberation", "Free", "NotoSans-", "NotoSerif-", "NotoSansMono-")
"""Fonts whose names begin like this have Latin letters and digits."""

SIDE = 320
GRAY = 0.5
"""Part of the pictures that are drawn or scanned without colour."""

SYLLABLES = (
    *("ba", "co", "di", "fe", "gu", "ha", "jo", "ki", "la", "mi", "no", "pe", "qua", "ri", "sa", "te", "ul", "vo"),
    *("wa", "xe", "ya", "zo", "ent", "ing", "ion", "ers", "al", "st", "tr", "pl", "ch"),
)

Colour = tuple[int, int, int]


@cache
def font_files(folder: Path = FONTS) -> tuple[Path, ...]:
    """Fonts with Latin letters. Raises ``FileNotFoundError`` if none is installed."""
    files = tuple(sorted(path for path in folder.rglob("*.ttf") if path.name.startswith(LATIN)))
    if not files:
        raise FileNotFoundError(f"no font in {folder}: install fonts-dejavu-core, fonts-liberation, fonts-noto-core")
    return files


def font_of(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
    files = font_files()
    return ImageFont.truetype(str(files[rng.integers(len(files))]), size)


def word_of(rng: np.random.Generator) -> str:
    """A word, a number, a price, a date or a code."""
    kind = rng.random()
    if kind < 0.55:
        word = "".join(rng.choice(SYLLABLES, rng.integers(1, 5)))
        return [word, word.capitalize(), word.upper()][rng.integers(3)]
    if kind < 0.7:
        return f"{rng.integers(0, 1000)}.{rng.integers(0, 100):02d}"
    if kind < 0.8:
        return f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/20{rng.integers(0, 30):02d}"
    if kind < 0.95:
        return str(rng.integers(0, 10 ** rng.integers(1, 10)))
    return "".join(rng.choice(list("#*-:=&%@()[]{}+/<>$"), rng.integers(1, 6)))


def line_of(rng: np.random.Generator, words: int) -> str:
    return " ".join(word_of(rng) for _ in range(words))


def colour_of(rng: np.random.Generator, *, low: int = 0, high: int = 256, gray: bool = False) -> Colour:
    """A colour of components in [low, high)."""
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return (red, red, red) if gray else (red, green, blue)


def two_colours(rng: np.random.Generator, *, gray: bool) -> tuple[Colour, Colour]:
    """Ink and ground that differ well."""
    dark, light = colour_of(rng, high=90, gray=gray), colour_of(rng, low=190, gray=gray)
    return (light, dark) if rng.random() < 0.2 else (dark, light)


def draw_text(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """A page: lines of one or two fonts, in columns or as prose."""
    ink, ground = ((0, 0, 0), (255, 255, 255)) if rng.random() < 0.5 else two_colours(rng, gray=gray)
    picture = Image.new("RGB", (side, side), ground)
    draw, top = ImageDraw.Draw(picture), int(rng.integers(-10, 20))
    size = int(np.exp(rng.uniform(np.log(8), np.log(30))))
    font, left = font_of(rng, size), int(rng.integers(-20, 30))
    while top < side:
        if rng.random() < 0.08:
            size = int(np.exp(rng.uniform(np.log(8), np.log(44))))
            font = font_of(rng, size)
        if rng.random() < 0.88:
            draw.text((left + int(rng.integers(0, 2)) * 12, top), line_of(rng, int(rng.integers(1, 9))), ink, font)
        if rng.random() < 0.15:
            draw.text((side - 6 * size, top), word_of(rng), ink, font)
        if rng.random() < 0.06:
            draw.line((0, top, side, top), ink, int(rng.integers(1, 3)))
        top += round(size * rng.uniform(1.1, 1.5))
    return picture


def draw_scan(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """A page as a scanner or a printer of receipts gives it: turned a little, uneven, soft, with noise."""
    page = draw_text(rng, side + 40, gray=True)
    page = page.rotate(rng.normal(0, 1.5), Image.Resampling.BICUBIC).crop((20, 20, side + 20, side + 20))
    page = page.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.1)))
    levels: np.ndarray = np.asarray(page).astype(np.float32)
    contrast, lowest = rng.uniform(0.4, 1.0), rng.uniform(0, 60)
    levels = lowest + levels * contrast * (255 - lowest) / 255
    levels *= 1 + rng.uniform(0, 0.15) * gradient_of(rng, side)[..., None]
    levels += rng.normal(0, rng.uniform(0, 5), levels.shape[:2])[..., None]
    if not gray:
        levels *= rng.uniform(0.8, 1.05, 3)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def draw_screen(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """Windows, buttons, tables and small text on flat areas."""
    picture = Image.new("RGB", (side, side), colour_of(rng, gray=gray))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(3, 14)):
        left, top = (int(value) for value in rng.integers(-30, side - 20, 2))
        width, height = int(rng.integers(20, side)), int(rng.integers(12, side // 2))
        ink, ground = two_colours(rng, gray=gray)
        box = (left, top, left + width, top + height)
        edge = ink if rng.random() < 0.6 else None
        draw.rounded_rectangle(box, int(rng.integers(0, 8)), ground, edge, int(rng.integers(1, 3)))
        size = int(rng.integers(8, 18))
        font = font_of(rng, size)
        for row in range(top + 3, top + height - size, round(size * 1.4)):
            letters = max(1, width // (3 * size))
            draw.text((left + 5, row), line_of(rng, letters)[: 2 * width // size], ink, font)
    return picture


def draw_chart(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """Bars, lines, points or sectors, with axes, a grid and labels."""
    ink, ground = ((0, 0, 0), (255, 255, 255)) if rng.random() < 0.7 else two_colours(rng, gray=gray)
    picture = Image.new("RGB", (side, side), ground)
    draw, font = ImageDraw.Draw(picture), font_of(rng, int(rng.integers(8, 16)))
    for place in range(30, side - 30, int(rng.integers(20, 60))):
        draw.line((30, place, side - 10, place), colour_of(rng, low=150, gray=True))
        draw.text((2, place - 6), str(rng.integers(0, 500)), ink, font)
        draw.text((place, side - 26), word_of(rng)[:6], ink, font)
    count = int(rng.integers(3, 30))
    xs = np.linspace(34, side - 14, count)
    kind = rng.integers(4)
    for _ in range(rng.integers(1, 4)):
        colour, width = colour_of(rng, gray=gray), int(rng.integers(1, 4))
        ys = (side / 2 + np.cumsum(rng.normal(0, side / 12, count))).clip(20, side - 32)
        if kind == 0:
            for x, y in zip(xs, ys, strict=True):
                draw.rectangle((x, y, x + 0.7 * (side - 48) / count, side - 30), colour)
        elif kind == 1:
            draw.line([*zip(xs, ys, strict=True)], colour, width)
        elif kind == 2:
            for x, y in zip(xs, ys, strict=True):
                draw.ellipse((x - 2 - width, y - 2 - width, x + 2 + width, y + 2 + width), colour)
        else:
            start = rng.uniform(0, 360)
            draw.pieslice((40, 40, side - 40, side - 40), start, start + rng.uniform(20, 160), colour, ink)
    draw.line((30, 10, 30, side - 30, side - 10, side - 30), ink, 1)
    return picture


def draw_lines(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """Line art: curves, polygons and circles, smooth, drawn at twice the size."""
    ink, ground = ((0, 0, 0), (255, 255, 255)) if rng.random() < 0.5 else two_colours(rng, gray=gray)
    picture = Image.new("RGB", (2 * side, 2 * side), ground)
    draw = ImageDraw.Draw(picture)
    filled = rng.random() < 0.4
    for _ in range(rng.integers(4, 30)):
        colour = colour_of(rng, gray=gray) if filled else ink
        width, (x, y) = int(rng.integers(1, 7)), rng.uniform(0, 2 * side, 2)
        kind = rng.integers(3)
        if kind == 0:
            reach = rng.uniform(5, side, 2)
            box = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
            draw.ellipse(box, colour if filled else None, ink, width)
        elif kind == 1:
            corners = rng.normal(0, side / 3, (int(rng.integers(3, 7)), 2)) + np.array([x, y])
            draw.polygon([*map(tuple, corners)], colour if filled else None, ink, width)
        else:
            turns = np.cumsum(rng.normal(0, 0.2, 60)) + rng.uniform(0, 2 * math.pi)
            path = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(2, 14), 0)
            draw.line([*map(tuple, path + np.array([x, y]))], colour, width, joint="curve")
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def gradient_of(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) float32 in [-1, 1]: a smooth field of a few waves."""
    rows, columns = np.mgrid[:side, :side] / side
    field = np.zeros((side, side))
    for _ in range(rng.integers(1, 5)):
        down, right = rng.normal(0, 1.2, 2)
        field += rng.random() * np.cos(2 * math.pi * (down * rows + right * columns + rng.random()))
    return (field / max(1e-6, np.abs(field).max())).astype(np.float32)


def draw_gradient(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """Smooth areas between two colours, now and then with a flat shape or film grain on them."""
    part = (gradient_of(rng, side)[..., None] + 1) / 2
    ends = np.array([colour_of(rng, gray=gray) for _ in range(2)], np.float32)
    levels = ends[0] * part + ends[1] * (1 - part)
    if rng.random() < 0.4:
        levels += rng.normal(0, rng.uniform(0.5, 8), (side, side))[..., None]
    picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    for _ in range(rng.integers(0, 4)):
        left, top, width, height = (int(value) for value in rng.integers(0, side, 4))
        ImageDraw.Draw(picture).rectangle((left, top, left + width, top + height), colour_of(rng, gray=gray))
    return picture


def draw_exposure(rng: np.random.Generator, side: int, *, gray: bool) -> Image.Image:
    """Soft overlapping bodies of little contrast with grain, as X-rays and microscopes give them."""
    levels = np.full((side, side), rng.uniform(10, 120), np.float32)
    for _ in range(rng.integers(4, 25)):
        body = Image.new("L", (side, side))
        x, y = rng.uniform(0, side, 2)
        reach = np.exp(rng.uniform(np.log(4), np.log(side / 2), 2))
        box = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
        width = int(rng.integers(2, 14))
        ImageDraw.Draw(body).ellipse(box, *((None, 255, width) if rng.random() < 0.4 else (255,)))
        body = body.rotate(rng.uniform(0, 180)).filter(ImageFilter.GaussianBlur(math.exp(rng.uniform(0, 2.5))))
        levels += np.asarray(body) / 255 * rng.normal(0, 35)
    grain, coarse = rng.normal(0, rng.uniform(0, 6), (2, side, side)), rng.random()
    levels += (1 - coarse) * grain[0] + coarse * (grain[1] + np.roll(grain[1], 1, 0)) / 2
    tint = np.ones(3) if gray else rng.uniform(0.7, 1.1, 3)
    return Image.fromarray((levels[..., None] * tint).clip(0, 255).astype(np.uint8))


KINDS: tuple[tuple[Callable[..., Image.Image], float], ...] = (
    (draw_text, 0.2),
    (draw_scan, 0.28),
    (draw_screen, 0.12),
    (draw_chart, 0.1),
    (draw_lines, 0.1),
    (draw_gradient, 0.08),
    (draw_exposure, 0.12),
)
"""What is drawn, and how often."""


def drawn_picture(seed: int, side: int = SIDE) -> np.ndarray:
    """Return the picture of a seed, (side, side, 3) uint8, at least 96 pixels large; a gray one has equal channels."""
    rng = np.random.default_rng([27, seed])
    gray = bool(rng.random() < GRAY)
    draw = KINDS[rng.choice(len(KINDS), p=[part for _, part in KINDS])][0]
    picture = draw(rng, side, gray=gray)
    return np.asarray(picture.convert("L").convert("RGB") if gray else picture)


def drawn_pictures(count: int, *, first: int = 0, processes: int = 2) -> Iterator[np.ndarray]:
    """The pictures of ``count`` seeds from ``first`` on."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(drawn_picture, range(first, first + count), chunksize=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--out", type=Path, required=True, help="one PNG of all, six in a row")
    args = parser.parse_args()
    pictures = [*drawn_pictures(args.count)]
    blank = [np.zeros_like(pictures[0])] * (-len(pictures) % 6)
    rows = [np.concatenate(row, 1) for row in zip(*[iter(pictures + blank)] * 6, strict=True)]
    Image.fromarray(np.concatenate(rows)).save(args.out)


if __name__ == "__main__":
    main()
