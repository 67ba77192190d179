"""Distortion of an archive's pictures."""

import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import overload

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.archive import Archive
from unicorn_codec.concurrency import map_in_threads
from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import worker_count
from unicorn_codec.format.columns import Integers
from unicorn_codec.format.pages import psnr_code
from unicorn_codec.pictures.metrics import Distortion, alpha_error, ms_ssim, psnr_db, summarize
from unicorn_codec.pictures.picture_folder import Folder, read_with_alpha
from unicorn_codec.pictures.picture_table import Picture
from unicorn_codec.pictures.pixels import Pixels

WORST_SHOWN = 5

SAMPLE_PICTURES = 256
"""Number of pictures in a sample: those with the lowest indices, which the archive's seed draws at random."""

See = Callable[[int, Pixels], None]
"""Called with index and pixels of a picture."""

MATCHED_TOGETHER = 4096
"""Pictures that are listed together, which bounds memory."""


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


class DistortionTable(Sequence[PictureDistortion]):
    """Distortions in columns: 34 bytes a picture, a fifth of what objects take.

    Attributes:
        indices, psnrs_db, ms_ssims: of the pictures.
    """

    def __init__(self) -> None:
        self.indices, self.psnrs_db, self.ms_ssims = array("q"), array("d"), array("d")
        self._names, self._alpha_errors = list[str](), bytearray()
        self._order: NDArray[np.intp] | None = None

    def append(self, row: PictureDistortion) -> None:
        """Add a picture at the end."""
        self.indices.append(row.index)
        self.psnrs_db.append(row.psnr_db)
        self.ms_ssims.append(row.ms_ssim)
        self._names.append(row.name)
        self._alpha_errors.append(row.alpha_error)

    def sort(self) -> None:
        """Show the worst PSNR first."""
        self._order = np.argsort(np.array(self.psnrs_db), kind="stable")

    @overload
    def __getitem__(self, number: int) -> PictureDistortion: ...

    @overload
    def __getitem__(self, number: slice) -> tuple[PictureDistortion, ...]: ...

    def __getitem__(self, number: int | slice) -> PictureDistortion | tuple[PictureDistortion, ...]:
        if isinstance(number, slice):
            return tuple(self[one] for one in range(*number.indices(len(self))))
        place = number if self._order is None else int(self._order[number])
        return PictureDistortion(
            index=self.indices[place],
            name=self._names[place],
            psnr_db=self.psnrs_db[place],
            ms_ssim=self.ms_ssims[place],
            alpha_error=self._alpha_errors[place],
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Distortion of decoded pictures.

    Args:
        rows: every picture, the worst PSNR first.
    """

    psnr_db: Distortion
    ms_ssim: Distortion
    rows: DistortionTable

    @classmethod
    def of(cls, rows: Iterable[PictureDistortion]) -> "Measured":
        """Summarize pictures in any order."""
        table = DistortionTable()
        for row in rows:
            table.append(row)
        if not table:
            return cls.nothing()
        table.sort()
        return cls(psnr_db=summarize(table.psnrs_db), ms_ssim=summarize(table.ms_ssims), rows=table)

    def psnr_codes(self) -> tuple[Integers, Integers]:
        """Return (M,) indices, ascending, and (M,) PSNRs in stored form."""
        indices = np.array(self.rows.indices, np.int64)
        codes = np.fromiter(map(psnr_code, self.rows.psnrs_db), np.int64, len(indices))
        order = np.argsort(indices)
        return indices[order], codes[order]

    @classmethod
    def nothing(cls) -> "Measured":
        """Return the summary of no pictures, whose values are NaN."""
        unknown = Distortion(math.nan, math.nan, math.nan)
        return cls(psnr_db=unknown, ms_ssim=unknown, rows=DistortionTable())

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


@dataclass(frozen=True, slots=True)
class Matching:
    """Pictures of an archive, by index, and the originals that they are compared with, in the same order."""

    indices: Sequence[int] | Integers
    originals: Sequence[Picture]

    @classmethod
    def by_name(cls, archive: Archive, originals: Folder) -> "Matching":
        """Match the pictures of an archive and of a folder that have the same name."""
        by_name = {picture.name: picture for picture in originals.all_pictures}
        found = archive.indices_of(by_name)
        return cls(list(found), [by_name[name] for name in found.values()])

    def parts(self) -> Iterator[dict[int, Picture]]:
        """Yield the original of each index, some at a time, ascending by index."""
        for start in range(0, len(self.indices), MATCHED_TOGETHER):
            part = slice(start, start + MATCHED_TOGETHER)
            yield dict(sorted(zip(map(int, self.indices[part]), self.originals[part], strict=True), key=itemgetter(0)))

    def sample(self) -> "Matching":
        """Return the ``SAMPLE_PICTURES`` with the lowest indices."""
        chosen = np.argsort(np.asarray(self.indices), kind="stable")[:SAMPLE_PICTURES].tolist()
        return Matching([self.indices[place] for place in chosen], [self.originals[place] for place in chosen])


def measure_chosen(
    archive: Archive,
    originals: Folder,
    read: ReadOptions,
    progress: Callable[[int, int], None],
    matching: Matching,
    some: str,
    see: See = lambda *_: None,
) -> Measured:
    """Measure the pictures that a word of ``config.MEASURED_PICTURES`` names, as ``measure`` does."""
    if some == "none":
        return Measured.nothing()
    return measure(archive, originals, read, progress, matching.sample() if some == "sample" else matching, see)


def measure(
    archive: Archive,
    originals: Folder,
    read: ReadOptions,
    progress: Callable[[int, int], None] = lambda *_: None,
    matching: Matching | None = None,
    see: See = lambda *_: None,
) -> Measured:
    """Decode every picture whose original is in a folder, and measure its distortion.

    Args:
        originals: at least one picture with a name and size of the archive. Of an exact one, the bytes are compared.
        progress: called with the number of pixels that are measured, and of all.
        read: options for reading the folder's files.
        matching: what to compare, instead of matching by name. Pictures of a sequence should be near each other.
        see: called with index and pixels of each decoded picture.
    """
    matching = matching or Matching.by_name(archive, originals)
    total = sum(original.width * original.height for original in matching.originals)

    def rows() -> Iterator[PictureDistortion]:
        done = 0
        for part in matching.parts():
            for row in measure_some(archive, originals, read, part, see):
                yield row
                done += part[row.index].width * part[row.index].height
                progress(done, total)

    return Measured.of(rows())


def measure_some(
    archive: Archive, originals: Folder, read: ReadOptions, matching: Mapping[int, Picture], see: See
) -> Iterator[PictureDistortion]:
    """Yield the distortion of some pictures; the arguments are those of ``measure``."""
    names = archive.names_of(matching)
    identical = [index for index, original in matching.items() if gives_back(archive, index, original)]
    others = sorted({*matching} - {*identical})

    def pairs() -> Iterator[tuple[int, Pixels, Pixels]]:
        for index, decoded in archive.iterate(others):
            see(index, decoded)
            yield index, read_with_alpha(originals, matching[index], read), decoded

    def compare(pair: tuple[int, Pixels, Pixels]) -> PictureDistortion:
        index, original, decoded = pair
        return PictureDistortion.of(index, name_of(index), original, decoded)

    def name_of(index: int) -> str:
        known = matching[index].name  # one object for a name, if it is the same one
        return known if known == names[index] else names[index]

    yield from (PictureDistortion.of_identical(index, name_of(index)) for index in identical)
    threads = worker_count(max(p.width * p.height for p in matching.values()), os.cpu_count() or 1)
    yield from map_in_threads(compare, pairs(), threads=threads) if threads > 1 else map(compare, pairs())


def gives_back(archive: Archive, index: int, original: Picture) -> bool:
    """Return whether an archive gives back the bytes of a picture's file, by restoring them.

    Raises ``FormatError`` if it has them and they are damaged.
    """
    if not archive.is_whole(index) or archive.stored_file(index).sha256.hex() != original.sha256:
        return False
    return all(True for _ in archive.file_pieces(index))
