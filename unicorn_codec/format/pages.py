"""Pages of the index: leaves with a row per picture, and inner pages with the places of other pages.

A leaf covers ``MAX_ROWS`` indices, an inner page ``MAX_ROWS`` pages of the level below it. Finding a row takes one read
per level, at most three.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.chunks import DIGEST_BYTES
from unicorn_codec.format.columns import Integers, column, take_column
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import (
    MAX_CHUNK_BYTES,
    MAX_DECODERS,
    MAX_LEVEL_OF_PAGES,
    MAX_PICTURES,
    MAX_PSNR,
    MAX_ROWS,
    MAX_SIDE,
    MAX_TIME,
)
from unicorn_codec.format.records import CODECS, NETWORK, OTHER_FILE, REMOVED, check_size

MAX_OFFSET = (1 << 63) - 1
UNKNOWN_PSNR, IDENTICAL_PSNR, FIRST_PSNR = 0, 1, 2
"""Stored PSNR: unknown, infinite, or tenths of a dB, offset by ``FIRST_PSNR``."""

UNKNOWN_TIME = 0
"""Stored time of modification: unknown, or seconds since 1970 UTC, offset by ``MAX_TIME``."""


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a chunk: its offset, its total length, and the digest of its payload."""

    offset: int
    length: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """Entry of a picture in the index, see the columns of ``Leaf``."""

    index: int
    codec: int
    width: int
    height: int
    decoder: int
    offset: int
    length: int
    parent: int | None
    psnr: int
    modified: int | None = None

    @property
    def lives(self) -> bool:
        """Whether the index has a picture that was not removed."""
        return self.codec != REMOVED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaf:
    """Rows of neighbouring indices: (N,) int64 columns, N from 1 to ``MAX_ROWS``.

    Args:
        first: index of the first row, a multiple of ``MAX_ROWS``.
        codecs: numbers of ``CODECS``; 0 for indices without a picture.
        widths, heights: in pixels.
        decoders: number of each picture's decoder.
        offsets, lengths: of the records; 0 without one.
        parents: one more than the index of the picture that each depends on; 0 if it depends on none.
        psnrs: as packed, see ``FIRST_PSNR``.
        times: of modification of the original files, see ``UNKNOWN_TIME``.
        names: place of the pictures' names; None without any.
    """

    first: int
    codecs: Integers
    widths: Integers
    heights: Integers
    decoders: Integers
    offsets: Integers
    lengths: Integers
    parents: Integers
    psnrs: Integers
    times: Integers
    names: Place | None = None

    def __len__(self) -> int:
        return self.codecs.size

    def row(self, index: int) -> Row | None:
        """Return the row of an index; None without a picture."""
        n = index - self.first
        if not 0 <= n < len(self) or not self.codecs[n]:
            return None
        return Row(
            index,
            int(self.codecs[n]),
            int(self.widths[n]),
            int(self.heights[n]),
            int(self.decoders[n]),
            int(self.offsets[n]),
            int(self.lengths[n]),
            int(self.parents[n]) - 1 if self.parents[n] else None,
            int(self.psnrs[n]),
            None if self.codecs[n] == REMOVED else time_of_code(int(self.times[n])),
        )

    @property
    def living(self) -> NDArray[np.int64]:
        """Indices of the pictures that were not removed, ascending."""
        return self.first + np.flatnonzero((self.codecs > 0) & (self.codecs != REMOVED))

    @property
    def pictures(self) -> NDArray[np.int64]:
        """Like ``living``, without files that are no pictures."""
        return self.first + np.flatnonzero((self.codecs > 0) & (self.codecs != REMOVED) & (self.codecs != OTHER_FILE))


def serialize_leaf(leaf: Leaf) -> bytes:
    """Write the payload of a leaf. Columns of indices without a picture hold each column's lowest value."""
    lives = leaf.codecs > 0
    check(bool(lives.any()), "a leaf has a picture at least")
    sizes, numbers = np.unique((leaf.widths << 32 | leaf.heights)[lives], return_inverse=True)
    size_numbers = np.zeros(len(leaf), np.int64)
    size_numbers[lives] = numbers
    parts = [varint(0), varint(leaf.first), varint(len(leaf)), _place(leaf.names), varint(sizes.size)]
    parts += [varint(int(size >> 32)) + varint(int(size & 0xFFFFFFFF)) for size in sizes]
    parts += [column(leaf.codecs), column(size_numbers)]
    parts += [_of_living(values, lives) for values in (leaf.decoders, leaf.lengths)]
    lengths = np.where(lives, leaf.lengths, 0)  # a reader does not know those of removed pictures
    start = int(leaf.offsets[lives][0])
    is_run = bool((leaf.offsets[lives] == (start + _ends(lengths) - lengths)[lives]).all())
    parts.append(b"\1" + varint(start) if is_run else b"\0" + _of_living(leaf.offsets, lives))
    parts += [_of_living(values, lives) for values in (leaf.parents, leaf.psnrs)]
    shown = lives & (leaf.codecs != REMOVED)
    if leaf.times[shown].any():
        parts.append(_of_living(leaf.times, shown))
    return b"".join(parts)


def _ends(lengths: Integers) -> Integers:
    """Return the end of each record, relative to the first one's start, if they are contiguous."""
    return np.cumsum(lengths)


def _of_living(values: Integers, lives: NDArray[np.bool_]) -> bytes:
    return column(np.where(lives, values, values[lives].min()))


def parse_leaf(payload: bytes, first: int) -> Leaf:
    """Read the payload of the leaf with the first index ``first``. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing(f"index page of {first}"):
        count, names = _take_head(fields, 0, first), _take_place(fields)
        shapes = _take_sizes(fields, count)
        codecs = take_column(fields, count, len(CODECS) - 1, "a codec")
        lives = codecs > 0
        check(bool(lives.any()), "a leaf without a picture")
        numbers = take_column(fields, count, len(shapes) - 1, "a size's number")
        check(np.unique(numbers[lives]).size == len(shapes), "a size that no picture has")
        decoders = take_column(fields, count, MAX_DECODERS - 1, "a decoder's number")
        lengths = np.where(lives, take_column(fields, count, MAX_CHUNK_BYTES, "a record's length"), 0)
        check(bool(((lengths == 0) == ~lives | (codecs == NETWORK)).all()), "a picture without a record")
        offsets = _take_offsets(fields, lengths)
        parents = take_column(fields, count, MAX_PICTURES, "a parent")
        psnrs = take_column(fields, count, FIRST_PSNR + MAX_PSNR, "a PSNR")
        times = _take_times(fields, count)
        fields.finish()
        return Leaf(
            first=first,
            codecs=codecs,
            widths=shapes[numbers, 0],
            heights=shapes[numbers, 1],
            decoders=decoders,
            offsets=np.where(lives, offsets, 0),
            lengths=lengths,
            parents=np.where(lives, parents, 0),
            psnrs=psnrs,
            times=times,
            names=names,
        )


def _take_head(fields: Fields, level: int, first: int) -> int:
    """Read level and first index of a page, compare them with the expected ones, and return its number of entries."""
    found = fields.varint(MAX_LEVEL_OF_PAGES, "a level"), fields.varint(MAX_PICTURES - 1, "a first index")
    check(found == (level, first), f"a page of level {found[0]} and index {found[1]} lies in its place")
    count = fields.varint(MAX_ROWS, "the number of rows")
    check(count > 0, "a page without rows")
    return count


def _take_sizes(fields: Fields, count: int) -> Integers:
    """Read (K, 2) widths and heights."""
    many = fields.varint(count, "the number of sizes")
    check(many > 0, "a page without sizes")
    shapes = np.empty((many, 2), np.int64)
    for n in range(many):
        shapes[n] = fields.varint(MAX_SIDE, "a width"), fields.varint(MAX_SIDE, "a height")
        check_size(*map(int, shapes[n]))
        check(not n or tuple(shapes[n - 1]) < tuple(shapes[n]), "sizes must ascend strictly")
    return shapes


def _take_offsets(fields: Fields, lengths: Integers) -> Integers:
    (is_run,) = fields.numbers("B")
    check(is_run in (0, 1), f"offsets of kind {is_run}, known are 0 and 1")
    if not is_run:
        return take_column(fields, lengths.size, MAX_OFFSET >> 1, "an offset")
    start = fields.varint(MAX_OFFSET >> 1, "an offset")
    return start + _ends(lengths) - lengths


def _take_times(fields: Fields, count: int) -> Integers:
    if not fields.left:
        return np.full(count, UNKNOWN_TIME)
    times = take_column(fields, count, 2 * MAX_TIME - 1, "a time of modification")
    check(bool(times.any()), "a column of times of which none is known")
    return times


def _place(place: Place | None) -> bytes:
    return varint(0) if place is None else varint(place.offset) + varint(place.length) + place.digest


def _take_place(fields: Fields) -> Place | None:
    offset = fields.varint(what="an offset")
    if not offset:
        return None
    return Place(offset, fields.varint(MAX_CHUNK_BYTES, "a chunk's length"), fields.take(DIGEST_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Places of the pages of the level below.

    Args:
        level: 1 or 2.
        first: the first index that it covers.
        children: place of each page, in order; None for pages without pictures.
    """

    level: int
    first: int
    children: tuple[Place | None, ...]


def span_of(level: int) -> int:
    """Return the number of indices that a page of a level covers."""
    return MAX_ROWS ** (level + 1)


def serialize_inner(page: Inner) -> bytes:
    """Write the payload of an inner page."""
    places = [child or Place(0, 0, bytes(DIGEST_BYTES)) for child in page.children]
    return b"".join([
        varint(page.level), varint(page.first), varint(len(places)),
        column([place.offset for place in places]), column([place.length for place in places]),
        *(place.digest for place in places),
    ])  # fmt: skip


def parse_inner(payload: bytes, level: int, first: int) -> Inner:
    """Read the payload of the inner page with this level and first index."""
    fields = Fields(payload)
    with refusing(f"index page of {first}, level {level}"):
        count = _take_head(fields, level, first)
        offsets = take_column(fields, count, MAX_OFFSET >> 1, "an offset").tolist()
        lengths = take_column(fields, count, MAX_CHUNK_BYTES, "a page's length").tolist()
        digests = [fields.take(DIGEST_BYTES) for _ in range(count)]
        fields.finish()
        places = zip(offsets, lengths, digests, strict=True)
        children = tuple(Place(*place) if place[1] else None for place in places)
        check(any(children), "an inner page without pages")
        return Inner(level=level, first=first, children=children)


def psnr_code(psnr_db: float | None) -> int:
    """Convert a PSNR in dB, infinite for an identical picture, to its stored form."""
    if psnr_db is None:
        return UNKNOWN_PSNR
    if psnr_db == float("inf"):
        return IDENTICAL_PSNR
    return FIRST_PSNR + min(MAX_PSNR, max(0, round(10 * psnr_db)))


def psnr_of_code(code: int) -> float | None:
    """Invert ``psnr_code``, up to rounding."""
    if code == UNKNOWN_PSNR:
        return None
    return float("inf") if code == IDENTICAL_PSNR else (code - FIRST_PSNR) / 10


def time_code(modified: int | None) -> int:
    """Convert a time of modification, in seconds since 1970 UTC, to its stored form."""
    return UNKNOWN_TIME if modified is None else modified + MAX_TIME


def time_of_code(code: int) -> int | None:
    """Invert ``time_code``."""
    return None if code == UNKNOWN_TIME else code - MAX_TIME
