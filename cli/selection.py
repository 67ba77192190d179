"""Selection of an archive's pictures, by index or by name."""

import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from unicorn_codec.errors import IndexOutOfRange, NameNotFound
from unicorn_codec.pictures.picture_files import printable, stored_name

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.archive import Archive


def select_by_index(ranges: Sequence[range], opened: "Archive") -> list[int]:
    """Return every index of the ranges once, in their order; removed indices inside a longer range are skipped.

    Raises:
        IndexOutOfRange: a range ends beyond the archive.
    """
    limit = opened.index_limit
    for wanted in ranges:
        if wanted.stop > limit:
            beyond = max(wanted.start, limit)
            raise IndexOutOfRange(f"index {beyond} is out of range: the archive has 0 to {limit - 1}")
    chosen = dict.fromkeys(index for wanted in ranges for index in wanted if len(wanted) == 1 or index in opened)
    return list(chosen)


def select_by_name(patterns: Sequence[str], opened: "Archive") -> list[int]:
    """Return the indices of pictures by name: by exact match, else by a pattern, compared in Unicode's normal form NFC.

    Raises:
        NameNotFound: a pattern matches no name.
    """
    chosen: dict[int, None] = {}
    for pattern in map(stored_name, patterns):
        matching = opened.find(pattern)
        if not matching:
            form = unicodedata.normalize("NFC", pattern)
            named = opened.member_names.items()
            matching = [i for i, name in named if fnmatchcase(unicodedata.normalize("NFC", name), form)]
        if not matching:
            raise NameNotFound(f"no picture of the archive matches '{printable(pattern)}'")
        chosen |= dict.fromkeys(matching)
    return list(chosen)
