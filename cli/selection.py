"""Which pictures of an archive are meant, and which file each of them becomes."""

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from unicorn_codec.errors import IndexOutOfRange, NameNotFound, OutputError
from unicorn_codec.pictures.output_files import output_names, output_path
from unicorn_codec.pictures.picture_files import printable


def select_by_index(ranges: Sequence[range], pictures: int) -> list[int]:
    """Every index of the ranges once, in their order.

    Raises:
        IndexOutOfRange: a range leads beyond the archive.
    """
    for wanted in ranges:
        if wanted.stop > pictures:
            beyond = max(wanted.start, pictures)
            raise IndexOutOfRange(f"there is no picture {beyond}: the archive has 0 to {pictures - 1}")
    return list(dict.fromkeys(index for wanted in ranges for index in wanted))


def select_by_name(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Indices of the names that a pattern fits, or that are the pattern itself.

    Raises:
        NameNotFound: one of the patterns fits none.
    """
    chosen: dict[int, None] = {}
    for pattern in patterns:
        fitting = [index for index, name in enumerate(names) if name == pattern or fnmatchcase(name, pattern)]
        if not fitting:
            raise NameNotFound(f"no picture of the archive is called '{printable(pattern)}'")
        chosen |= dict.fromkeys(fitting)
    return list(chosen)


def names_one_file(output: str) -> bool:
    """Whether ``-o`` means a file: it has a suffix, is not written as a folder and is none."""
    path = Path(output)
    return bool(path.suffix) and not output.endswith(("/", os.sep)) and not path.is_dir()


def paths_in_folder(folder: Path, chosen: Sequence[int], names: Sequence[str], suffix: str) -> dict[int, Path]:
    """One path an index. All names of the archive decide it, so it does not depend on which are chosen.

    Raises:
        OutputError: a path leads outside the folder, or a file is in its place.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; these pictures need a folder: say which by -o")
    relative = output_names(names, suffix)
    return {index: output_path(folder, relative[index]) for index in chosen}


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raise ``OutputError`` if one of the files exists already: better before the work than after it."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing:
        others = f" and {len(existing) - 1:,} more exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{others} already; --overwrite replaces")
