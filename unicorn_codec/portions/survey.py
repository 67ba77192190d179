"""Survey of a large folder: its files are listed in blocks, with thumbnails for the search for near-duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import CodesOptions
from unicorn_codec.packing.thumbnail_search import THUMBNAIL, Thumbnail, thumbnail
from unicorn_codec.pictures.avif import has_avif
from unicorn_codec.pictures.folders import FoundFiles
from unicorn_codec.pictures.picture_folder import Folder, read_files

BLOCK_FILES = 512


@dataclass(frozen=True, slots=True)
class Block:
    """Some files of a folder, with consecutive names."""

    root: Path
    names: tuple[str, ...]
    options: CodesOptions


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A block that was read.

    Args:
        folder: its files.
        thumbnails: (N, D) float16 of its pictures; none without sequences.
    """

    folder: Folder
    thumbnails: NDArray[np.float16]


def blocks_of(root: Path, names: Sequence[str], options: CodesOptions) -> list[Block]:
    """Divide the files of a folder into blocks."""
    return [
        Block(root, tuple(names[start : start + BLOCK_FILES]), options) for start in range(0, len(names), BLOCK_FILES)
    ]


def survey(block: Block) -> Surveyed:
    """List the files of a block. Those that cannot be read are faults among what is left out."""
    found = list[Thumbnail]()

    def see(pixels: NDArray[np.uint8]) -> None:
        found.append(thumbnail(pixels).astype(np.float16))

    wanted = block.options.sequences and has_avif()
    listed = read_files(
        block.root,
        FoundFiles(names=list(block.names)),
        block.options.read,
        block.options.originals,
        see=see if wanted else lambda _: None,
    )
    stacked = np.stack(found) if found else np.empty((0, 3 * THUMBNAIL**2))
    return Surveyed(listed, stacked.astype(np.float16))
