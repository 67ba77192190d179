"""Members of an archive to files, or one to the standard output."""

import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.errors import FormatError

from .output_paths import Whole
from .text import count

if TYPE_CHECKING:  # at run time it would load torch
    import numpy as np

    from unicorn_codec.archive import Archive
    from unicorn_codec.metadata import PictureMetadata


@dataclass(slots=True)
class Losses:
    """Pictures that cannot be unpacked, one line each; where one picture alone is wanted, its error is raised.

    Also metadata and transparency that the files' format cannot hold: how many pictures lack each kind of it.
    """

    raises: bool = False
    lines: list[str] = field(default_factory=list)
    metadata: Counter[str] = field(default_factory=Counter)

    def metadata_lines(self) -> list[str]:
        from unicorn_codec.pictures.picture_writing import TRANSPARENCY

        flattened = "; it lies on white, or on the --background"
        return [
            f"{kind} of {count(number, 'picture')} does not fit the format{flattened if kind == TRANSPARENCY else ''}"
            for kind, number in self.metadata.items()
        ]

    def picture(self, index: int, error: FormatError) -> None:
        if self.raises:
            raise error
        self.lines.append(str(error) if f"picture {index}" in str(error) else f"picture {index}: {error}")

    def page(self, indices: range, error: FormatError) -> None:
        self.lines.append(f"pictures {indices.start} to {indices.stop - 1}: {error}")


UPDATE_EVERY = 64
"""One of as many pictures carries its decoder's update, which packing needs once to take over all their codes."""


class Carrying:
    """Knows which files carry the code of their picture.

    Args:
        chosen: indices of the pictures that are written together.
        is_wanted: whether any does.
    """

    def __init__(self, opened: "Archive", chosen: list[int], is_wanted: bool) -> None:
        self._opened, self._is_wanted = opened, is_wanted
        decoded = [index for index in chosen if not opened.is_whole(index)] if is_wanted else []
        self._with_update = set(decoded[::UPDATE_EVERY])

    def metadata(self, index: int) -> "PictureMetadata":
        """Return what is to be written of a picture besides its pixels."""
        found = self._opened.metadata(index)
        if not self._is_wanted:
            return found
        try:
            carried = self._opened.carried_code(index, with_update=index in self._with_update)
        except FormatError:  # what was decoded is written, with or without its code
            return found
        return replace(found, carried=carried)


def readable_indices(opened: "Archive", losses: Losses) -> list[int]:
    """Return the indices of all pictures, except those of damaged pages."""
    return list(opened.iterate_indices(losses.page))


def write_to_stdout(
    opened: "Archive",
    chosen: list[int],
    suffix: str,
    whole: Whole,
    carrying: Carrying,
    *,
    steps: int | None,
    background: tuple[int, int, int] | None,
) -> None:
    """Write the selected picture or file to the standard output.

    Raises:
        UsageError: several pictures are selected, or the output is a terminal.
    """
    from unicorn_codec.pictures.picture_writing import encode_with_metadata

    if len(chosen) != 1:
        raise click.UsageError(f"-o - writes one picture, not {len(chosen)}")
    if sys.stdout.isatty():
        raise click.UsageError("-o - writes a picture: redirect the output to a file or another program")
    if chosen[0] in whole:
        pieces = opened.file_pieces(chosen[0])
    else:
        (pixels,) = dict(opened.iterate(chosen, steps=steps, background=background)).values()
        encoded, lost = encode_with_metadata(pixels, suffix, carrying.metadata(chosen[0]))
        for line in Losses(metadata=Counter(lost)).metadata_lines():
            click.echo(f"unicorn: warning: {line}", err=True)
        pieces = iter([encoded])
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def write_files(
    opened: "Archive", paths: dict[int, Path], losses: Losses, whole: Whole, *, overwrite: bool
) -> set[int]:
    """Write the members that are written byte for byte, and return their indices, without those that are damaged."""
    from unicorn_codec.pictures.file_writing import write_file
    from unicorn_codec.pictures.output_files import make_folder

    from .bars import bar

    chosen = [index for index in paths if index in whole]
    written = set[int]()
    with bar("restoring", len(chosen), hidden=len(chosen) <= 1) as shown:
        for index in chosen:
            make_folder(paths[index].parent)
            try:
                modified_ns = opened.modified_ns(index)
                write_file(paths[index], opened.file_pieces(index), overwrite=overwrite, modified_ns=modified_ns)
            except FormatError as error:
                losses.picture(index, error)
            else:
                written.add(index)
            shown.update()
    return written


def write_pictures(
    opened: "Archive",
    paths: dict[int, Path],
    losses: Losses,
    whole: Whole,
    carrying: Carrying,
    *,
    steps: int | None,
    background: tuple[int, int, int] | None,
    overwrite: bool,
) -> set[int]:
    """Write decoded pictures while the next ones are decoded, with a progress bar for several.

    Returns:
        The indices of those that were written.
    """
    from unicorn_codec.concurrency import MAX_PENDING, THREADS, map_in_threads, usable_cores
    from unicorn_codec.devices import worker_count
    from unicorn_codec.pictures.output_files import make_folder
    from unicorn_codec.pictures.picture_writing import write_picture

    from .bars import bar

    def write(picture: tuple[int, "np.ndarray"]) -> tuple[int, list[str]]:
        index, pixels = picture
        make_folder(paths[index].parent)
        return index, write_picture(pixels, paths[index], overwrite, carrying.metadata(index))

    chosen = [index for index in paths if index not in whole]
    threads = max(THREADS, worker_count(largest_pixels(opened, chosen), usable_cores()))
    written = set[int]()
    with bar("unpacking", len(chosen), hidden=len(chosen) <= 1) as shown:
        pictures = opened.iterate(chosen, steps=steps, background=background, on_error=losses.picture)
        for index, lost in map_in_threads(write, pictures, threads=threads, pending=max(MAX_PENDING, 2 * threads)):
            written.add(index)
            losses.metadata.update(lost)
            shown.update()
    return written


def largest_pixels(opened: "Archive", indices: list[int]) -> int:
    """Return the pixels of the largest of some pictures, without those in damaged pages of the index."""
    largest = 1
    for index in indices:
        with suppress(FormatError):
            width, height = opened.size(index)
            largest = max(largest, width * height)
    return largest
