"""Reading of names, by index and by name."""

from collections import OrderedDict

from unicorn_codec.errors import FormatError
from unicorn_codec.format.chunks import LOOKUP, NAMES
from unicorn_codec.format.index_reading import KEPT_PAGES, IndexReader
from unicorn_codec.format.name_lookup import Directory, Run, candidates, indices_of, parse_run
from unicorn_codec.format.name_pages import NOT_DRAWN, Drawing, parse_drawing, parse_names
from unicorn_codec.format.names import name_hash, same_name
from unicorn_codec.format.pages import Leaf, Place
from unicorn_codec.format.sources import Source


class NameReader(IndexReader):
    """Names of an open archive."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._names: OrderedDict[int, list[str]] = OrderedDict()
        self._runs: dict[int, Directory | bytes] = {}

    def names_of(self, leaf: Leaf) -> list[str] | None:
        """Read the names of a leaf's rows, empty without a picture; None without names. Raises ``FormatError``."""
        if leaf.names is None:
            return None
        with self._lock:
            found = self._names.get(leaf.first)
            if found is None:
                payload = self._payload_of_names(leaf.names)
                found = self._names[leaf.first] = parse_names(payload, leaf.first, len(leaf))
                if len(self._names) > KEPT_PAGES:
                    self._names.popitem(last=False)
            return found

    def _payload_of_names(self, place: Place) -> bytes:
        return self.payload(NAMES, place.offset, place.length, place.digest)

    def drawing(self) -> Drawing:
        """Return how the archive's first indices were drawn, as far as the order of its names says it."""
        try:
            leaf = self.leaf(0)
            if leaf is not None and leaf.names is not None:
                return parse_drawing(self._payload_of_names(leaf.names))
        except FormatError:  # any order will do
            pass
        return NOT_DRAWN

    def name(self, index: int) -> str | None:
        """Return the name of a picture; None without one. Raises ``IndexOutOfRange`` and ``FormatError``."""
        self.row(index)
        leaf = self.leaf(index)
        names = None if leaf is None else self.names_of(leaf)
        return (names[index - leaf.first] or None) if names and leaf else None

    def find(self, name: str) -> list[int]:
        """Return the indices of pictures with exactly this name, else of those equal up to the normal form."""
        hashed = name_hash(name)
        if self.footer.runs:
            listed = [index for run in self.footer.runs for index in self._candidates(run, hashed)]
        else:
            listed = [int(index) for leaf in self.leaves() for index in leaf.living]
        found: dict[int, str] = {}
        for index in listed:
            row = self.any_row(index)
            known = self.name(index) if row is not None and row.lives else None
            if known is not None and same_name(known, name):
                found[index] = known
        exact = [index for index, known in found.items() if known == name]
        return sorted(exact or found)

    def indices_of(self, run: Run) -> list[int]:
        """Yield all indices in a lookup run. Raises ``FormatError``."""
        payload = self.payload(LOOKUP, run.offset, run.length)
        directory = parse_run(payload, run)
        if directory is None:
            return indices_of(payload)
        buckets = (self.payload(LOOKUP, *place) for place in directory.buckets if place)
        return [index for bucket in buckets for index in indices_of(bucket)]

    def _candidates(self, run: Run, hashed: int) -> list[int]:
        with self._lock:
            if run.offset not in self._runs:
                payload = self.payload(LOOKUP, run.offset, run.length)
                self._runs[run.offset] = parse_run(payload, run) or payload
            found = self._runs[run.offset]
        if isinstance(found, bytes):
            return candidates(found, 0, hashed)
        place = found.buckets[hashed >> 64 - found.bits]
        return candidates(self.payload(LOOKUP, *place), found.bits, hashed) if place else []
