"""``unicorn unpack``: decode pictures by index or name."""

import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unicorn_codec.errors import FormatError
from unicorn_codec.format.sources import stem_of

from .exit_codes import ExitCode
from .options import (
    archive_argument,
    archive_autoencoder_option,
    device_option,
    json_option,
    log_option,
    max_pixels_option,
    overwrite_option,
    sampling_steps_option,
)
from .parameters import Colour, IndexRanges
from .report import shortened
from .selection import names_one_file, paths_in_folder, refuse_existing, select_by_index, select_by_name
from .shards import shard_path, write_shard
from .text import count
from .values import to_json

if TYPE_CHECKING:  # at run time it would load torch
    import numpy as np

    from unicorn_codec.archive import Archive
    from unicorn_codec.metadata import PictureMetadata
    from unicorn_codec.shards.exporting import Export


STDOUT = "-"
"""Value of ``-o`` for the standard output."""


@click.command()
@archive_argument
@click.option("--index", "ranges", type=IndexRanges(), help="Indices of pictures, such as 42 or 3,5,8-11.")
@click.option(
    "--name",
    "patterns",
    multiple=True,
    help="A picture's name or a pattern; * matches anything, including /. May be given more than once.",
)
@click.option("--all", "everything", is_flag=True, help="All pictures.")
@click.option(
    "-o",
    "--output",
    metavar="FILE|FOLDER|-",
    help="For one picture a file, whose suffix selects the format, or - for the standard output. A folder otherwise; "
    "pictures keep their names in it.  [default: 42.png, or the own name of an exact picture, for one --index, else a "
    "folder named after the archive]",
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Write one picture to the standard output, as -o - does.")
@click.option(
    "--format",
    "picture_format",
    metavar="png|jpg|webp|avif|tif|bmp",
    help="Format of pictures in a folder or on the standard output.  [default: png; exact pictures come back as their "
    "own files]",
)
@click.option(
    "--as",
    "shard_kind",
    type=click.Choice(("tar", "parquet")),
    help="Write one tar or parquet file, of all pictures unless some are selected: -o names it.  [default: named after "
    "the archive]",
)
@click.option(
    "--background",
    type=Colour(),
    help="Flatten transparent pictures onto this colour: '#rrggbb' or a name.  [default: keep their transparency; "
    "white for jpg and bmp, which have none]",
)
@click.option(
    "--no-code",
    "with_code",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Leave out of each file its picture's code, by which `pack` takes over what was not edited.",
)
@click.option(
    "--fast",
    is_flag=True,
    help="Compute pixels in bfloat16 where the processor has it: sooner, and nearly the same. Of noise they differ "
    "more than the format allows.",
)
@sampling_steps_option
@device_option
@archive_autoencoder_option
@max_pixels_option
@overwrite_option
@log_option
@json_option
@click.pass_context
def unpack(
    ctx: click.Context,
    archive: Path | str,
    ranges: tuple[range, ...] | None,
    patterns: tuple[str, ...],
    everything: bool,
    output: str | None,
    to_stdout: bool,
    picture_format: str | None,
    shard_kind: str | None,
    background: tuple[int, int, int] | None,
    with_code: bool,
    fast: bool,
    sampling_steps: int | None,
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Unpack pictures selected by --index, by --name or by --all.

    One --index is written to a file such as 42.png in the current folder; other selections are written into a folder.
    -o chooses the place. Nothing is written outside the output folder, whatever names the archive holds.

    Exact pictures, and files that are no pictures, come back byte for byte, with their names and times.

    Files of png, jpg, webp and avif carry the code of their picture, so that packing them again loses nothing.

    EXIF, XMP, IPTC and PNG text go back into the file where its format has a place for them, and the file gets the
    time of its original.

    Where some of several pictures are damaged, the others are written, those that are lost are listed, and the exit
    code is 3.
    """
    everything = everything or (shard_kind is not None and ranges is None and not patterns)
    if sum((ranges is not None, bool(patterns), everything)) != 1:
        raise click.UsageError("select pictures by one of --index, --name and --all")
    if to_stdout and output not in (None, STDOUT):
        raise click.UsageError("--stdout writes no file: leave out -o")
    output = STDOUT if to_stdout else output
    if as_json and output == STDOUT:
        raise click.UsageError("--json cannot be combined with a picture on the standard output")

    from unicorn_codec.archive import Archive
    from unicorn_codec.pictures.images import MAX_PIXELS, write_format

    suffix = "." + (picture_format or "png").removeprefix(".")
    write_format(suffix)  # reject an unknown format before any work
    losses = Losses()
    most = max_pixels or MAX_PIXELS
    with Archive.open(archive, device=device, autoencoder=autoencoder, max_pixels=most, fast=fast) as opened:
        if ranges is not None:
            chosen = select_by_index(ranges, opened)
        else:
            chosen = select_by_name(patterns, opened) if patterns else readable_indices(opened, losses)
        whole = Whole(opened, is_format_given=picture_format is not None)
        is_one = len(chosen) == 1
        if shard_kind is not None:
            exported = export_of(
                opened, chosen, losses, whole, suffix=suffix, steps=sampling_steps, background=background
            )
            path = shard_path(output, archive, shard_kind, overwrite=overwrite)
            of_index = dict.fromkeys(write_shard(exported, path, shard_kind), path)
            report_losses(ctx, of_index, losses, as_json=as_json)
            return
        if output == STDOUT:
            carrying = Carrying(opened, chosen, with_code and background is None)
            write_to_stdout(opened, chosen, suffix, whole, carrying, steps=sampling_steps, background=background)
            return
        if is_one and output is not None and names_one_file(output):
            paths = {chosen[0]: path_of_file(output, picture_format, whole, chosen[0])}
        elif is_one and output is None and ranges is not None:
            paths = {chosen[0]: path_of_index(opened, chosen[0], suffix, whole)}
        else:
            names = opened.readable_names
            paths = paths_in_folder(Path(output or stem_of(archive)), chosen, names, suffix, whole)
        if not overwrite:
            refuse_existing(list(paths.values()))
        losses.raises = is_one and not everything
        written = write_files(opened, paths, losses, whole, overwrite=overwrite)
        carrying = Carrying(opened, [index for index in chosen if index in paths], with_code and background is None)
        written |= write_pictures(
            opened, paths, losses, whole, carrying, steps=sampling_steps, background=background, overwrite=overwrite
        )
        written_paths = {index: path for index, path in paths.items() if index in written}
    report_losses(ctx, written_paths, losses, as_json=as_json)


def report_losses(ctx: click.Context, written: dict[int, Path], losses: "Losses", *, as_json: bool) -> None:
    """Print what was written and what was lost; exit with ``PICTURES_LOST`` if pictures were."""
    click.echo(
        to_json(unpack_values(written, losses)) if as_json else written_text(list(dict.fromkeys(written.values())))
    )
    for line in losses.metadata_lines():
        click.echo(f"unicorn: warning: {line}", err=True)
    if losses.lines:
        click.echo("\n".join(f"unicorn: error: lost: {line}" for line in losses.lines), err=True)
        ctx.exit(ExitCode.PICTURES_LOST)


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
    from unicorn_codec.pictures.images import encode_with_metadata

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


def path_of_index(opened: "Archive", index: int, suffix: str, whole: Whole) -> Path:
    """Return the path of one picture selected by its index: 42.png, or the own name of one that is written whole."""
    from unicorn_codec.pictures.output_files import output_names, output_path

    if index not in whole:
        return Path(f"{index}{suffix}")
    (name,) = output_names([opened.name(index)], suffix, [0])
    return output_path(Path(), name.rsplit("/", 1)[-1])


def path_of_file(output: str, picture_format: str | None, whole: Whole, index: int) -> Path:
    """Return the file that ``-o`` names, checked against the known suffixes and ``--format``.

    An exact picture is written in the format of the file's suffix where that is not its own.

    Raises:
        InvalidSetting: pictures cannot be written in this format.
    """
    from unicorn_codec.pictures.images import write_format
    from unicorn_codec.pictures.output_files import output_path

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


@dataclass(slots=True)
class Losses:
    """Pictures that cannot be unpacked, one line each; where one picture alone is wanted, its error is raised.

    Also metadata and transparency that the files' format cannot hold: how many pictures lack each kind of it.
    """

    raises: bool = False
    lines: list[str] = field(default_factory=list)
    metadata: Counter[str] = field(default_factory=Counter)

    def metadata_lines(self) -> list[str]:
        from unicorn_codec.pictures.images import TRANSPARENCY

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


def export_of(
    opened: "Archive",
    chosen: list[int],
    losses: Losses,
    whole: Whole,
    *,
    suffix: str,
    steps: int | None,
    background: tuple[int, int, int] | None,
) -> "Export":
    """Return the selected members with their paths in a shard, which are those in a folder."""
    from unicorn_codec.shards.exporting import Export

    paths = paths_in_folder(Path(), chosen, opened.readable_names, suffix, whole)
    return Export(
        archive=opened,
        paths={index: path.as_posix() for index, path in paths.items()},
        whole=whole,
        suffix=suffix,
        steps=steps,
        background=background,
        on_error=losses.picture,
        on_lost=losses.metadata.update,
    )


def readable_indices(opened: "Archive", losses: Losses) -> list[int]:
    """Return the indices of all pictures, except those of damaged pages."""
    return list(opened.iterate_indices(losses.page))


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
    from unicorn_codec.pictures.images import write_picture
    from unicorn_codec.pictures.output_files import make_folder

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


def unpack_values(written: dict[int, Path], losses: Losses) -> dict[str, Any]:
    """Return the values that ``unpack --json`` prints."""
    return {
        "written": [{"index": index, "path": str(path)} for index, path in written.items()],
        "lost": losses.lines,
        "not_kept": dict(losses.metadata),
    }


def written_text(paths: list[Path]) -> str:
    """List the written paths, one per line; of many, the first ones and their number."""
    return shortened([f"written {path}" for path in paths])
