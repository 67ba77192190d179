"""Rows of a generation's new pictures in columns, and the leaves that result from them."""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from unicorn_codec.format.columns import Integers
from unicorn_codec.format.fields import check
from unicorn_codec.format.limits import MAX_ROWS
from unicorn_codec.format.pages import Leaf, Row, time_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import REMOVED, SEQUENCE

_COLUMNS = ("index", "codec", "width", "height", "decoder", "offset", "length", "parent", "psnr", "time")


class NewRows:
    """The rows and names of new pictures, in 88 bytes each besides the name.

    Attributes:
        names: by the order of addition; None without one.
    """

    def __init__(self) -> None:
        self._columns = {name: array("q") for name in _COLUMNS}
        self.names: list[str | None] = []

    def append(self, row: Row, name: str | None) -> None:
        """Add a row."""
        self.names.append(name)
        parent = 0 if row.parent is None else row.parent + 1
        size, time = (row.width, row.height), time_code(row.modified)
        values = (row.index, row.codec, *size, row.decoder, row.offset, row.length, parent, row.psnr, time)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    @property
    def columns(self) -> dict[str, Integers]:
        """(N,) values of each column. No row may be added while they are in use."""
        return {name: np.frombuffer(values, np.int64) for name, values in self._columns.items()}

    def set_psnrs(self, indices: Integers, psnrs: Integers) -> None:
        """Set PSNRs in stored form, of (N,) indices in ascending order."""
        columns = self.columns
        known = np.isin(columns["index"], indices)
        columns["psnr"][known] = psnrs[np.searchsorted(indices, columns["index"][known])]

    def leaves(
        self, reader: ContainerReader | None, hidden: Collection[int], removed: Mapping[int, Row]
    ) -> Iterator[tuple[int, Leaf | None, list[str]]]:
        """Yield first index, rows and names of each leaf with new or removed pictures; no rows if none is left.

        Args:
            reader: of the archive that they are added to; None: a new one.
            hidden: indices of new pictures that others depend on, and that are removed otherwise.
            removed: older pictures, by index.
        """
        columns = self.columns
        order = np.argsort(columns["index"], kind="stable")
        firsts = columns["index"][order] // MAX_ROWS * MAX_ROWS
        touched = {first // MAX_ROWS * MAX_ROWS for first in removed} | set(np.unique(firsts).tolist())
        for first in sorted(touched):
            start, end = np.searchsorted(firsts, [first, first + 1])
            rows = order[start:end]
            new = {name: values[rows] for name, values in columns.items()}
            new_names = [self.names[row] or "" for row in rows.tolist()]
            merged, names = _merged(reader, first, new, new_names)
            _remove(merged["codec"], names, first, hidden, removed)
            yield first, _leaf_of(first, merged), names


def _merged(
    reader: ContainerReader | None, first: int, new: Mapping[str, Integers], new_names: Sequence[str]
) -> tuple[dict[str, Integers], list[str]]:
    """Return the columns and names of a leaf's older and new rows."""
    old = reader.leaf(first) if reader else None
    count = max(len(old) if old else 0, int(new["index"].max(initial=first - 1)) - first + 1)
    merged = {name: np.zeros(count, np.int64) for name in _COLUMNS}
    names = [""] * count
    if reader is not None and old is not None:
        found = (old.codecs, old.widths, old.heights, old.decoders, old.offsets, old.lengths, old.parents)
        for name, values in zip(_COLUMNS[1:], (*found, old.psnrs, old.times), strict=True):
            merged[name][: len(old)] = values
        names[: len(old)] = reader.names_of(old) or [""] * len(old)
    places = new["index"] - first
    check(np.unique(places).size == places.size and not merged["codec"][places].any(), "an index is given once")
    for name in _COLUMNS:
        merged[name][places] = new[name]
    for place, name in zip(places.tolist(), new_names, strict=True):
        names[place] = name
    return merged, names


def _remove(
    codecs: Integers, names: list[str], first: int, hidden: Collection[int], removed: Mapping[int, Row]
) -> None:
    """Mark the removed pictures of a leaf in its columns of codecs and names."""
    for index in hidden:
        if first <= index < first + codecs.size:
            codecs[index - first] = REMOVED
    for index, row in removed.items():
        if first <= index < first + codecs.size:
            codecs[index - first] = REMOVED if row.codec == SEQUENCE else 0
            names[index - first] = ""


def _leaf_of(first: int, merged: Mapping[str, Integers]) -> Leaf | None:
    if not merged["codec"].any():
        return None
    return Leaf(
        first=first,
        codecs=merged["codec"],
        widths=merged["width"],
        heights=merged["height"],
        decoders=merged["decoder"],
        offsets=merged["offset"],
        lengths=merged["length"],
        parents=merged["parent"],
        psnrs=merged["psnr"],
        times=merged["time"],
    )
