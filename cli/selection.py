"""Selection of an archive's pictures, and the path that each is written to."""

import os
import unicodedata
from collections.abc import Container, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from unicorn_codec.errors import IndexOutOfRange, NameNotFound, OutputError
from unicorn_codec.pictures.output_files import output_names, output_path
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


def names_one_file(output: str) -> bool:
    """Return whether ``-o`` names a file: it has a suffix, does not end with a slash, and is no existing folder."""
    path = Path(output)
    return bool(path.suffix) and not output.endswith(("/", os.sep)) and not path.is_dir()


def paths_in_folder(
    folder: Path, chosen: Sequence[int], names: Mapping[int, str], suffix: str, whole: Container[int] = ()
) -> dict[int, Path]:
    """Return the path of each index. It depends on all names of the archive, not on the selection.

    Args:
        whole: indices of files that come back byte for byte, and keep their names.

    Raises:
        OutputError: a path leads outside the folder, or the folder is a file.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file, but several pictures need a folder: choose one by -o")
    positions = {position for position, index in enumerate(names) if index in whole}
    relative = dict(zip(names, output_names(list(names.values()), suffix, positions), strict=True))
    return {index: output_path(folder, relative[index]) for index in chosen}


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raise ``OutputError`` if one of the files exists, before any picture is decoded."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing:
        others = f" and {len(existing) - 1:,} more exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{others}; --overwrite replaces existing files")
