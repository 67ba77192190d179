"""Paths of the files that ``unicorn unpack`` writes."""

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.errors import OutputError
from unicorn_codec.format.sources import stem_of
from unicorn_codec.pictures.output_files import output_names, output_path

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.archive import Archive


@dataclass(slots=True)
class Whole:
    """Knows which members are written byte for byte: those whose files the archive holds, unless a format is wished.

    Args:
        is_format_given: whether pictures are to be written in a format of the user's choice.
    """

    opened: "Archive"
    is_format_given: bool

    def __contains__(self, index: object) -> bool:
        """Return whether a member is written byte for byte. Raises ``FormatError`` and ``IndexOutOfRange``."""
        if not isinstance(index, int):
            return False
        return self.opened.is_whole(index) and not (self.is_format_given and self.opened.is_picture(index))


def paths_of(
    output: str | None,
    archive: Path | str,
    chosen: Sequence[int],
    suffix: str,
    whole: Whole,
    *,
    picture_format: str | None,
    is_by_index: bool,
) -> dict[int, Path]:
    """Return the path of each selected member: one file, or files in a folder.

    Args:
        output: the file or folder that ``-o`` names; None: one named after the index, or after the archive.
        is_by_index: whether members were selected by ``--index``.

    Raises:
        InvalidSetting: pictures cannot be written in the format of the file's suffix.
        OutputError: a path leads outside the folder, or the folder is a file.
    """
    if len(chosen) == 1 and output is not None and names_one_file(output):
        return {chosen[0]: path_of_file(output, picture_format, whole, chosen[0])}
    if len(chosen) == 1 and output is None and is_by_index:
        return {chosen[0]: path_of_index(chosen[0], suffix, whole)}
    return paths_in_folder(Path(output or stem_of(archive)), chosen, whole.opened.readable_names, suffix, whole)


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


def path_of_index(index: int, suffix: str, whole: Whole) -> Path:
    """Return the path of one picture selected by its index: 42.png, or the own name of one that is written whole."""
    if index not in whole:
        return Path(f"{index}{suffix}")
    (name,) = output_names([whole.opened.name(index)], suffix, [0])
    return output_path(Path(), name.rsplit("/", 1)[-1])


def path_of_file(output: str, picture_format: str | None, whole: Whole, index: int) -> Path:
    """Return the file that ``-o`` names, checked against the known suffixes and ``--format``.

    An exact picture is written in the format of the file's suffix where that is not its own.

    Raises:
        InvalidSetting: pictures cannot be written in this format.
    """
    from unicorn_codec.pictures.picture_writing import write_format

    path = Path(output)
    if index in whole:
        own = Path(whole.opened.name(index)).suffix.lower()
        if path.suffix.lower() == own or not whole.opened.is_picture(index):
            return output_path(path.parent, path.name)
        whole.is_format_given = True
    name, _ = write_format(path.suffix)
    if picture_format and write_format("." + picture_format.removeprefix("."))[0] != name:
        raise click.UsageError(f"{output} has another format than --format {picture_format}")
    return output_path(path.parent, path.name)
