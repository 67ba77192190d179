"""Runs of the name lookup that a generation writes: of its new names, merged with small older runs."""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from unicorn_codec.format.chunks import LOOKUP
from unicorn_codec.format.limits import MAX_RUNS
from unicorn_codec.format.name_lookup import (
    Directory,
    Entries,
    Run,
    entries_of,
    serialize_bucket,
    serialize_directory,
    sort_into_buckets,
    split_run,
)
from unicorn_codec.format.names import name_hash
from unicorn_codec.format.pages import Place
from unicorn_codec.format.reader import ContainerReader

MERGED_ENTRIES = 4096
"""Runs of at most this many names are merged with new ones, which bounds the number of runs."""


@dataclass(frozen=True, slots=True)
class RunWriter:
    """Writes the runs of a generation.

    Args:
        reader: of the archive that it extends; None: a new one.
        put: writes a chunk of a letter and a payload.
        removed: indices of older pictures, whose names are dropped.
    """

    reader: ContainerReader | None
    put: Callable[[str, bytes], Place]
    removed: Container[int]

    def write(self, named: Iterable[tuple[int, str | None]], count: int) -> list[Run]:
        """Write a run of new names, and return all runs of the archive.

        Args:
            named: index and name of each new picture.
            count: of these.
        """
        old = list(self.reader.footer.runs) if self.reader else []
        hashes = ((name_hash(name), index) for index, name in named if name is not None)
        entries = entries_of(hashes, count)
        if not old and self.reader is not None:  # so far one page held all names
            entries = np.concatenate([entries, entries_of(_names_in(self.reader))])
        if not entries.size:
            return old
        most = MERGED_ENTRIES if len(old) >= MAX_RUNS // 2 else min(MERGED_ENTRIES, 2 * entries.size)
        kept = [run for run in old if run.entries > most]
        merged = [entries_of(self._entries(run)) for run in old if run.entries <= most]
        return kept + [self._write_run(part) for part in split_run(np.concatenate([entries, *merged]))]

    def _entries(self, run: Run) -> Iterator[tuple[int, int]]:
        """Yield hashes and indices of an older run's names of existing pictures."""
        assert self.reader is not None
        for index in self.reader.indices_of(run):
            row = self.reader.any_row(index)
            name = self.reader.name(index) if row is not None and row.lives else None
            if name is not None and index not in self.removed:
                yield name_hash(name), index

    def _write_run(self, entries: Entries) -> Run:
        bits, buckets = sort_into_buckets(entries)
        places: list[tuple[int, int] | None] = []
        for number, bucket in enumerate(buckets):
            if not bucket.size:
                places.append(None)
                continue
            place = self.put(LOOKUP, serialize_bucket(bits, number, bucket))
            places.append((place.offset, place.length))
        if bits == 0:
            assert places[0] is not None
            return Run(*places[0], entries.size)
        place = self.put(LOOKUP, serialize_directory(Directory(bits, tuple(places))))
        return Run(place.offset, place.length, entries.size)


def _names_in(reader: ContainerReader) -> Iterator[tuple[int, int]]:
    """Yield hash and index of each name of an archive."""
    for leaf in reader.leaves():
        for place, name in enumerate(reader.names_of(leaf) or ()):
            if name:
                yield name_hash(name), leaf.first + place
