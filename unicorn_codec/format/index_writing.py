"""Writing of the index: changed pages and those above them, names, and their lookup."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from unicorn_codec.format.chunks import INDEX, NAMES
from unicorn_codec.format.columns import Integers
from unicorn_codec.format.footer import CodecTotal, Footer
from unicorn_codec.format.limits import MAX_ROWS
from unicorn_codec.format.name_lookup import Run
from unicorn_codec.format.name_pages import Drawing, serialize_names
from unicorn_codec.format.name_runs import RunWriter
from unicorn_codec.format.new_rows import NewRows
from unicorn_codec.format.pages import Inner, Leaf, Place, Row, serialize_inner, serialize_leaf, span_of
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import OTHER_FILE


class IndexWriter:
    """Writes the index of a generation.

    Args:
        reader: of the archive that grows; None for a new one.
        write: a chunk of a letter, and return its place.
        drawing: of the archive's first indices, for the order of its names.
    """

    def __init__(self, reader: ContainerReader | None, write: Callable[[str, bytes], Place], drawing: Drawing) -> None:
        self._reader, self._write, self._drawing = reader, write, drawing

    def write_tree(
        self, leaves: Iterable[tuple[int, Leaf | None, list[str]]], next_index: int
    ) -> tuple[int, Place | None]:
        """Write changed pages and those above them. Return level and place of the root.

        Args:
            leaves: first index, rows and names of each changed leaf; no rows if none is left.
            next_index: one more than the highest index ever assigned.
        """
        changed = {(0, first): self._write_leaf(leaf, names) for first, leaf, names in leaves}
        level = next(level for level in range(4) if span_of(level) >= next_index)
        old_level = self._reader.footer.level if self._reader else 0
        if not changed and level == old_level:
            return level, self._reader.footer.root if self._reader else None
        for above in range(1, level + 1):
            span, children = span_of(above), defaultdict[int, dict[int, Place | None]](dict)
            for (below, first), place in changed.items():
                if below == above - 1:
                    children[first // span * span][first % span // span_of(below)] = place
            for first, new in children.items():
                changed[above, first] = self._write_inner(above, first, new)
        return level, changed.get((level, 0))

    def _write_inner(self, level: int, first: int, new: Mapping[int, Place | None]) -> Place | None:
        children: list[Place | None] = []
        if self._reader is not None:
            old, old_level = self._reader.page(level, first), self._reader.footer.level
            if old is not None:
                children = list(old.children)
            elif first == 0 and level == old_level + 1:
                children = [self._reader.footer.root]
        children += [None] * (max(new) + 1 - len(children))
        for number, place in new.items():
            children[number] = place
        if not any(children):
            return None
        payload = serialize_inner(Inner(level=level, first=first, children=tuple(children)))
        return self._write(INDEX, payload)

    def write_runs(self, rows: NewRows, removed: Mapping[int, Row], next_index: int) -> list[Run]:
        """Write the name lookup; nothing if one page holds all names."""
        if next_index <= MAX_ROWS:
            return []
        named = zip(map(int, rows.columns["index"]), rows.names, strict=True)
        return RunWriter(self._reader, self._write, removed).write(named, len(rows.names))

    def _write_leaf(self, leaf: Leaf | None, names: list[str]) -> Place | None:
        if leaf is None:
            return None
        if any(names):
            leaf = replace(leaf, names=self._write(NAMES, serialize_names(leaf.first, names, self._drawing)))
        return self._write(INDEX, serialize_leaf(leaf))


def totals_after(
    old: Footer | None,
    columns: Mapping[str, Integers],
    hidden: Collection[int],
    removed: Iterable[Row],
    piece_bytes: Mapping[int, int],
) -> tuple[tuple[CodecTotal, ...], int]:
    """Return pictures and bytes by codec, and total pixels, after additions and removals.

    Args:
        old: footer of the generation before; None for a new archive.
        columns: of the new pictures' rows, see ``NewRows``.
        hidden: indices of new pictures that count as removed.
        removed: rows of older pictures.
        piece_bytes: by codec, of new pictures' pieces; negative for those of removed ones.
    """
    pictures, sizes = Counter[int](), Counter[int]()
    for total in old.totals if old else ():
        pictures[total.codec], sizes[total.codec] = total.pictures, total.bytes
    pixels = old.pixels if old else 0
    if hidden:
        shown = ~np.isin(columns["index"], sorted(hidden))
        columns = {name: values[shown] for name, values in columns.items()}
    for codec in np.unique(columns["codec"]).tolist():
        of_codec = columns["codec"] == codec
        pictures[codec] += int(of_codec.sum())
        sizes[codec] += int(columns["length"][of_codec].sum())
    is_picture = columns["codec"] != OTHER_FILE
    pixels += int((columns["width"] * columns["height"])[is_picture].sum())
    for row in removed:
        pictures[row.codec] -= 1
        sizes[row.codec] -= row.length
        pixels -= row.width * row.height if row.codec != OTHER_FILE else 0
    for codec, count in piece_bytes.items():
        sizes[codec] += count
    totals = (CodecTotal(codec, pictures[codec], sizes[codec]) for codec in sorted(pictures) if pictures[codec])
    return tuple(totals), pixels
