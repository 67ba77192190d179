"""Square pictures of one size, cut from the pictures of some folders, in a chosen order of indices."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from unicorn_codec.bench.video_rivals import sort_by_similarity
from unicorn_codec.format.index_map import position_of_index

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
THUMBNAIL = (8, 8)


def list_sources(folders: Sequence[Path]) -> list[Path]:
    """Return the pictures of all folders, one of each in turn."""
    by_folder = [sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) for folder in folders]
    return [path for path in chain.from_iterable(zip_longest(*by_folder)) if path is not None]


def square(path: Path, side: int) -> Image.Image:
    """Return the centre of a picture, scaled to ``side`` (Lanczos)."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    return picture.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge))


def similarity_order(pictures: Sequence[Image.Image]) -> list[int]:
    """Order pictures in a chain, each followed by the most similar of the remaining ones, judged by thumbnails."""
    thumbnails = [np.asarray(p.resize(THUMBNAIL, Image.Resampling.BOX), np.float32).ravel() for p in pictures]
    return sort_by_similarity(np.stack(thumbnails))


def write_pictures(sources: Sequence[Path], folder: Path, *, side: int, seed: int, similar: bool) -> None:
    """Write squares of all sources, named so that an archive with this seed gives them the intended indices.

    An archive draws the index of each position from its seed, and positions are ranks of names. Names therefore
    determine the indices.

    Args:
        similar: give similar pictures neighbouring indices. Otherwise the indices stay random.
    """
    folder.mkdir(parents=True)
    pictures = [square(path, side) for path in sources]
    positions: Sequence[int] = range(len(pictures))
    if similar:
        position_of_place = dict(zip(similarity_order(pictures), position_of_index(seed, len(pictures)), strict=True))
        positions = [int(position_of_place[place]) for place in positions]
    for picture, position in zip(pictures, positions, strict=True):
        picture.save(folder / f"{position:05}.png")
