"""Which pictures of an archive are selected, and which file each of them becomes."""

import os
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from unicorn_codec.errors import IndexOutOfRange, NameNotFound, OutputError
from unicorn_codec.pictures.output_files import output_names, output_path
from unicorn_codec.pictures.picture_files import printable, stored_name


def select_by_index(ranges: Sequence[range], pictures: int) -> list[int]:
    """Return every index of the ranges once, in their order.

    Raises:
        IndexOutOfRange: a range ends beyond the archive.
    """
    for wanted in ranges:
        if wanted.stop > pictures:
            beyond = max(wanted.start, pictures)
            raise IndexOutOfRange(f"index {beyond} is out of range: the archive has 0 to {pictures - 1}")
    return list(dict.fromkeys(index for wanted in ranges for index in wanted))


def select_by_name(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the indices of the names that equal a pattern, else of those that equal it in Unicode's normal form NFC,
    else of those that match it. So names that hold brackets or asterisks are found by their own text.

    Raises:
        NameNotFound: a pattern matches no name.
    """
    composed = [unicodedata.normalize("NFC", name) for name in names]
    chosen: dict[int, None] = {}
    for pattern in map(stored_name, patterns):
        form = unicodedata.normalize("NFC", pattern)
        matching = [index for index, name in enumerate(names) if name == pattern]
        matching = matching or [index for index, name in enumerate(composed) if name == form]
        matching = matching or [index for index, name in enumerate(composed) if fnmatchcase(name, form)]
        if not matching:
            raise NameNotFound(f"no picture of the archive matches '{printable(pattern)}'")
        chosen |= dict.fromkeys(matching)
    return list(chosen)


def names_one_file(output: str) -> bool:
    """Return whether ``-o`` means a file: it has a suffix, no slash at its end, and is not a folder."""
    path = Path(output)
    return bool(path.suffix) and not output.endswith(("/", os.sep)) and not path.is_dir()


def paths_in_folder(folder: Path, chosen: Sequence[int], names: Sequence[str], suffix: str) -> dict[int, Path]:
    """Return the path of each index. It depends on all names of the archive, not on which are chosen.

    Raises:
        OutputError: a path leads outside the folder, or the folder is a file.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file, but several pictures need a folder: choose one by -o")
    relative = output_names(names, suffix)
    return {index: output_path(folder, relative[index]) for index in chosen}


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raise ``OutputError`` if one of the files exists: before the work, not after it."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing:
        others = f" and {len(existing) - 1:,} more exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{others}; --overwrite replaces existing files")
