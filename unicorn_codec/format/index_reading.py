"""Reading of the index: a row of a picture takes one read per level of pages, of which some are cached."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import IndexOutOfRange, InvalidField
from unicorn_codec.format.chunks import INDEX
from unicorn_codec.format.limits import MAX_PAGE_BYTES, MAX_ROWS
from unicorn_codec.format.opening import OpenArchive
from unicorn_codec.format.pages import Inner, Leaf, Place, Row, parse_inner, parse_leaf, span_of
from unicorn_codec.format.sources import Source

KEPT_PAGES = 64


class IndexReader(OpenArchive):
    """Rows and pages of an open archive."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._lock = RLock()  # pages are kept for all threads that read
        self._pages: OrderedDict[tuple[int, int], Leaf | Inner] = OrderedDict()

    def leaf(self, index: int) -> Leaf | None:
        """Return the leaf that covers an index; None if there is none. Raises ``FormatError``."""
        page = self._descend(0, index) if 0 <= index < span_of(self.footer.level) else None
        return page if isinstance(page, Leaf) else None

    def page(self, level: int, first: int) -> Inner | None:
        """Return the inner page of a level with a first index, or None. Raises ``FormatError``."""
        page = self._descend(level, first) if level <= self.footer.level else None
        return page if isinstance(page, Inner) else None

    def _descend(self, level: int, index: int) -> Leaf | Inner | None:
        """Return the page of a level that covers an index, from the root down; None if there is none."""
        if self.footer.root is None:
            return None
        page = self._page(self.footer.root, self.footer.level, 0)
        while isinstance(page, Inner) and page.level > level:
            below = span_of(page.level - 1)
            number = (index - page.first) // below
            place = page.children[number] if number < len(page.children) else None
            if place is None:
                return None
            page = self._page(place, page.level - 1, page.first + number * below)
        return page

    def _page(self, place: Place, level: int, first: int) -> Leaf | Inner:
        with self._lock:
            return self._kept_page(place, level, first)

    def _kept_page(self, place: Place, level: int, first: int) -> Leaf | Inner:
        found = self._pages.get((level, first))
        if found is None:
            if place.length > MAX_PAGE_BYTES:
                raise InvalidField(f"index page of {place.length} bytes, at most {MAX_PAGE_BYTES} are allowed")
            payload = self.payload(INDEX, place.offset, place.length, place.digest)
            found = parse_inner(payload, level, first) if level else self._parsed_leaf(payload, first)
            self._pages[level, first] = found
            if len(self._pages) > KEPT_PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end((level, first))
        return found

    def _parsed_leaf(self, payload: bytes, first: int) -> Leaf:
        leaf = parse_leaf(payload, first)
        if first + len(leaf) > self.footer.next_index:
            raise InvalidField(
                f"index page of {first}: {len(leaf)} rows, the archive has indices below {self.footer.next_index}"
            )
        return leaf

    def leaves(self) -> Iterator[Leaf]:
        """Yield all leaves in order, without caching. Raises ``FormatError`` at a damaged one."""
        for first in self.leaf_firsts():
            leaf = self.leaf(first)
            if leaf is not None:
                yield leaf

    def pictures(self) -> NDArray[np.int64]:
        """Return the indices of all pictures, ascending. Raises ``FormatError`` if a page of the index is damaged."""
        return np.concatenate([np.zeros(0, np.int64), *(leaf.pictures for leaf in self.leaves())])

    def leaf_firsts(self) -> Iterator[int]:
        """Yield the first indices of leaves that may exist."""
        yield from range(0, self.footer.next_index, MAX_ROWS)

    def indices_near(self, first: int) -> range:
        """Return the indices that the leaf with a first index may cover."""
        return range(first, min(first + MAX_ROWS, self.footer.next_index))

    def row(self, index: int) -> Row:
        """Return the row of an existing picture. Raise ``IndexOutOfRange`` without one, or ``FormatError``."""
        row = self.any_row(index)
        if row is None or not row.lives:
            raise IndexOutOfRange(self.absence_of(index))
        return row

    def is_living(self, index: int) -> bool:
        """Return whether a picture has the index. Raises ``FormatError``."""
        row = self.any_row(index)
        return row is not None and row.lives

    def absence_of(self, index: int) -> str:
        """Return the error message for an index without a picture."""
        if 0 <= index < self.footer.next_index:
            return f"picture {index} was removed from the archive"
        if not self.footer.next_index:
            return f"index {index} is out of range: the archive is empty"
        return f"index {index} is out of range: the archive has 0 to {self.footer.next_index - 1}"

    def any_row(self, index: int) -> Row | None:
        """Return the row of a picture, removed or not; None without one. Raises ``FormatError``."""
        leaf = self.leaf(index) if 0 <= index < self.footer.next_index else None
        return None if leaf is None else leaf.row(index)
