"""Distortion of an archive's pictures."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.concurrency import map_in_threads
from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import worker_count
from unicorn_codec.pictures.images import Folder, Picture, Pixels, read_with_alpha
from unicorn_codec.pictures.metrics import Distortion, alpha_error, ms_ssim, psnr_db, summarize, worst

WORST_SHOWN = 5

SAMPLE_PICTURES = 256
"""Number of pictures in a sample: those with the lowest indices, which the archive's seed draws at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDistortion:
    """Distortion of one decoded picture.

    Args:
        alpha_error: largest difference of the opacity, in levels of 255.
    """

    index: int
    name: str
    psnr_db: float
    ms_ssim: float
    alpha_error: int = 0

    @classmethod
    def of(cls, index: int, name: str, original: np.ndarray, decoded: np.ndarray) -> "PictureDistortion":
        """Compare a decoded picture with its original, uint8 (H, W, 3) each, or (H, W, 4) with transparency."""
        return cls(
            index=index,
            name=name,
            psnr_db=psnr_db(original, decoded[..., :3]),
            ms_ssim=ms_ssim(original, decoded[..., :3]),
            alpha_error=alpha_error(original, decoded),
        )

    @classmethod
    def of_identical(cls, index: int, name: str) -> "PictureDistortion":
        """Describe a picture whose file comes back byte for byte."""
        return cls(index=index, name=name, psnr_db=math.inf, ms_ssim=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Distortion of decoded pictures.

    Args:
        rows: every picture, the worst PSNR first.
    """

    psnr_db: Distortion
    ms_ssim: Distortion
    rows: tuple[PictureDistortion, ...]

    @classmethod
    def of(cls, rows: Sequence[PictureDistortion]) -> "Measured":
        """Summarize pictures in any order."""
        psnrs = [row.psnr_db for row in rows]
        return cls(
            psnr_db=summarize(psnrs),
            ms_ssim=summarize([row.ms_ssim for row in rows]),
            rows=tuple(rows[place] for place in worst(psnrs, len(psnrs))),
        )

    @classmethod
    def nothing(cls) -> "Measured":
        """Return the summary of no pictures, whose values are NaN."""
        unknown = Distortion(math.nan, math.nan, math.nan)
        return cls(psnr_db=unknown, ms_ssim=unknown, rows=())

    @property
    def pictures(self) -> int:
        return len(self.rows)

    @property
    def worst(self) -> tuple[PictureDistortion, ...]:
        """The ``WORST_SHOWN`` pictures with the lowest PSNR."""
        return self.rows[:WORST_SHOWN]

    def below(self, min_psnr_db: float | None, min_ms_ssim: float | None) -> tuple[PictureDistortion, ...]:
        """Return the pictures below a quality floor, the worst first."""
        least_db = -math.inf if min_psnr_db is None else min_psnr_db
        least_similarity = -math.inf if min_ms_ssim is None else min_ms_ssim
        return tuple(row for row in self.rows if not (row.psnr_db >= least_db and row.ms_ssim >= least_similarity))


def measure_some(
    archive: Archive, originals: Folder, read: ReadOptions, progress: Callable[[int, int], None], some: str
) -> Measured:
    """Measure the pictures that a word of ``config.MEASURED_PICTURES`` names, as ``measure`` does."""
    if some == "none":
        return Measured.nothing()
    if some == "all" or len(archive) <= SAMPLE_PICTURES:
        return measure(archive, originals, read, progress)
    by_name = {picture.name: picture for picture in originals.all_pictures}
    sample = {index: by_name[archive.name(index)] for index in archive.indices[:SAMPLE_PICTURES]}
    return measure(archive, originals, read, progress, sample)


def measure(
    archive: Archive,
    originals: Folder,
    read: ReadOptions,
    progress: Callable[[int, int], None] = lambda *_: None,
    matching: Mapping[int, Picture] | None = None,
) -> Measured:
    """Decode every picture whose original is in a folder, and measure its distortion.

    Args:
        originals: at least one picture with a name and size of the archive. Of an exact one, the bytes are compared.
        read: options for reading the folder's files.
        matching: the original of each index to compare, instead of matching by name.
    """
    if matching is None:
        by_name = {picture.name: picture for picture in originals.all_pictures}
        matching = {index: by_name[name] for index, name in archive.indices_of(by_name).items()}
    pairs_of, indices = matching, sorted(matching)
    names = archive.names_of(indices)
    identical = [index for index in indices if gives_back(archive, index, pairs_of[index])]
    others = sorted({*indices} - {*identical})

    def pairs() -> Iterator[tuple[int, Pixels, Pixels]]:
        for index, decoded in archive.iterate(others):
            yield index, read_with_alpha(originals, pairs_of[index], read), decoded

    def compare(pair: tuple[int, Pixels, Pixels]) -> PictureDistortion:
        index, original, decoded = pair
        return PictureDistortion.of(index, names[index], original, decoded)

    rows = [PictureDistortion.of_identical(index, names[index]) for index in identical]
    threads = worker_count(max(p.width * p.height for p in matching.values()), os.cpu_count() or 1)
    for row in map_in_threads(compare, pairs(), threads=threads) if threads > 1 else map(compare, pairs()):
        rows.append(row)
        progress(len(rows), len(indices))
    return Measured.of(rows)


def gives_back(archive: Archive, index: int, original: Picture) -> bool:
    """Return whether an archive gives back the bytes of a picture's file, by restoring them.

    Raises ``FormatError`` if it has them and they are damaged.
    """
    if not archive.is_whole(index) or archive.stored_file(index).sha256.hex() != original.sha256:
        return False
    return all(True for _ in archive.file_pieces(index))
