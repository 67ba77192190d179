"""Partition of a folder into portions. It depends on the folder alone, never on who packs them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.packing.near_duplicates import MOST_PIXELS
from unicorn_codec.packing.thumbnail_search import group_alike
from unicorn_codec.pictures.batches import places_by_size
from unicorn_codec.pictures.folders import FoundFiles
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.pictures.picture_table import PictureTable

PORTION_PIXELS = 1 << 24
PORTION_FILES = 512
"""Limits of a portion, unless a single picture or group of near-duplicates exceeds them."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Files that must be in one portion: near-duplicates, or a single file.

    Args:
        name: of the first one.
        places: among the pictures, the exact pictures and the other files of the folder, in this order.
    """

    name: bytes
    places: list[int]
    pixels: int


def group_near_duplicates(folder: Folder, thumbnails: NDArray[np.float16], most: int) -> NDArray[np.int64]:
    """Return (M,) the group of each picture of a folder, by position. A picture without near-duplicates is alone.

    Args:
        thumbnails: (M, D) of the pictures, by position.
        most: pictures in a group.
    """
    groups, known = np.zeros(len(folder.pictures), np.int64), 0
    for (width, height), positions in places_by_size([(int(w), int(h)) for w, h in folder.sizes]).items():
        longest = max(1, min(most, MOST_PIXELS // (width * height)))
        own = (thumbnails[position].astype(np.float32) for position in positions)
        found = np.fromiter(group_alike(own, longest), np.int64, len(positions))
        groups[np.asarray(positions)] = found + known
        known += int(found.max()) + 1
    return groups


def partition(folder: Folder, groups: NDArray[np.int64]) -> list[Folder]:
    """Return the portions of a folder, in the order of their first names. Groups are not divided.

    Args:
        groups: (M,) of the pictures that are not exact, by position.
    """
    portions, places, files, pixels = list[Folder](), list[int](), 0, 0
    for unit in sorted(_units(folder, groups), key=lambda unit: unit.name):
        is_full = pixels + unit.pixels > PORTION_PIXELS or files + len(unit.places) > PORTION_FILES
        if places and is_full:
            portions.append(subset(folder, places))
            places, files, pixels = [], 0, 0
        places += unit.places
        files += len(unit.places)
        pixels += unit.pixels
    return [*portions, subset(folder, places)] if places else portions


def _units(folder: Folder, groups: NDArray[np.int64]) -> Iterator[_Unit]:
    by_group: dict[int, list[int]] = {}
    for position, group in enumerate(groups.tolist()):
        by_group.setdefault(group, []).append(position)
    sizes = folder.sizes.astype(np.int64).prod(1)
    for positions in by_group.values():
        name = folder.pictures.names[positions[0]].encode()
        yield _Unit(name, positions, int(sizes[positions].sum()))
    whole = chain(((p.name, p.width * p.height) for p in folder.exact), ((file.name, 0) for file in folder.others))
    for number, (own, pixels) in enumerate(whole, start=len(folder.pictures)):
        yield _Unit(own.encode(), [number], pixels)


def subset(folder: Folder, places: Sequence[int]) -> Folder:
    """Return a folder of some files of another one.

    Args:
        places: among the pictures, the exact pictures and the other files, in this order.
    """
    first_exact, first_other = len(folder.pictures), len(folder.pictures) + len(folder.exact)
    chosen = sorted(places)
    return Folder(
        root=folder.root,
        pictures=PictureTable(folder.pictures[place] for place in chosen if place < first_exact),
        exact=PictureTable(folder.exact[place - first_exact] for place in chosen if first_exact <= place < first_other),
        others=tuple(folder.others[place - first_other] for place in chosen if place >= first_other),
    )


def merged(root: Path, blocks: Sequence[Folder], found: FoundFiles) -> Folder:
    """Return the folder of all blocks, each of whose names follow those before it, and of what the walk found besides.

    Args:
        found: whose names the blocks hold.
    """
    others = (*found.others, *(file for block in blocks for file in block.others))
    left_out = (*found.left_out, *(file for block in blocks for file in block.left_out))
    return Folder(
        root=root,
        pictures=PictureTable(chain.from_iterable(block.pictures for block in blocks)),
        exact=PictureTable(chain.from_iterable(block.exact for block in blocks)),
        others=tuple(sorted(others, key=lambda file: file.name.encode())),
        left_out=tuple(sorted(left_out, key=lambda file: file.name)),
        flattened=sum(block.flattened for block in blocks),
        scaled=sum(block.scaled for block in blocks),
        notes=tuple(note for block in blocks for note in block.notes),
    )
