"""``unicorn unpack``: get pictures back by index or name."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import (
    archive_argument,
    archive_autoencoder_option,
    device_option,
    max_pixels_option,
    overwrite_option,
    sampling_steps_option,
)
from .parameters import IndexRanges
from .report import shortened
from .selection import names_one_file, paths_in_folder, refuse_existing, select_by_index, select_by_name

if TYPE_CHECKING:  # at run time it would load torch
    import numpy as np

    from unicorn_codec.archive import Archive


STDOUT = "-"
"""Of ``-o``: the standard output."""


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
    help="A file for one picture, whose suffix decides the format; a folder, where pictures keep their names; or -, "
    "the standard output, for one picture.  "
    "[default: 42.png for one --index, else a folder named after the archive]",
)
@click.option(
    "--format",
    "picture_format",
    metavar="png|jpg|webp|avif|tif|bmp",
    help="Format of pictures in a folder.  [default: png]",
)
@sampling_steps_option
@device_option
@archive_autoencoder_option
@max_pixels_option
@overwrite_option
def unpack(
    archive: Path,
    ranges: tuple[range, ...] | None,
    patterns: tuple[str, ...],
    everything: bool,
    output: str | None,
    picture_format: str | None,
    sampling_steps: int | None,
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    overwrite: bool,
) -> None:
    """Get pictures back by --index, by --name, or --all.

    One picture is written to 42.png in the current folder, or where -o says; several are written into a folder.
    Nothing is ever written outside the output folder, whatever names the file holds.
    """
    if sum((ranges is not None, bool(patterns), everything)) != 1:
        raise click.UsageError("select pictures by one of --index, --name and --all")

    from unicorn_codec.archive import Archive
    from unicorn_codec.pictures.images import MAX_PIXELS, write_format

    suffix = "." + (picture_format or "png").removeprefix(".")
    write_format(suffix)  # refuses an unknown one before the work
    with Archive.open(archive, device=device, autoencoder=autoencoder, max_pixels=max_pixels or MAX_PIXELS) as opened:
        if ranges is not None:
            chosen = select_by_index(ranges, len(opened))
        else:
            chosen = select_by_name(patterns, opened.names) if patterns else list(range(len(opened)))
        is_one = len(chosen) == 1
        if output == STDOUT:
            write_to_stdout(opened, chosen, suffix, steps=sampling_steps)
            return
        if is_one and output is not None and names_one_file(output):
            paths = {chosen[0]: path_of_file(output, picture_format)}
        elif is_one and output is None and ranges is not None:
            paths = {chosen[0]: Path(f"{chosen[0]}{suffix}")}
        else:
            paths = paths_in_folder(Path(output or archive.stem), chosen, opened.names, suffix)
        if not overwrite:
            refuse_existing(list(paths.values()))
        write_pictures(opened, paths, steps=sampling_steps, overwrite=overwrite)
    click.echo(written_text(list(paths.values())))


def write_to_stdout(opened: "Archive", chosen: list[int], suffix: str, *, steps: int | None) -> None:
    """Write the one picture that is chosen to the standard output.

    Raises:
        UsageError: several are chosen, or the output is a terminal.
    """
    from unicorn_codec.pictures.images import encode_picture

    if len(chosen) != 1:
        raise click.UsageError(f"-o - writes one picture, not {len(chosen)}")
    if sys.stdout.isatty():
        raise click.UsageError("-o - writes a picture: redirect the output to a file or another program")
    (pixels,) = dict(opened.iterate(chosen, steps=steps)).values()
    sys.stdout.buffer.write(encode_picture(pixels, suffix))
    sys.stdout.buffer.flush()


def path_of_file(output: str, picture_format: str | None) -> Path:
    """Return the file that ``-o`` names, checked against the known suffixes and ``--format``.

    Raises:
        InvalidSetting: pictures cannot be written in this format.
    """
    from unicorn_codec.pictures.images import write_format
    from unicorn_codec.pictures.output_files import output_path

    path = Path(output)
    name, _ = write_format(path.suffix)
    if picture_format and write_format("." + picture_format.removeprefix("."))[0] != name:
        raise click.UsageError(f"{output} has another format than --format {picture_format}")
    return output_path(path.parent, path.name)


def write_pictures(opened: "Archive", paths: dict[int, Path], *, steps: int | None, overwrite: bool) -> None:
    """Decode pictures and write each while the next ones are decoded, with a progress bar for several."""
    from unicorn_codec.concurrency import map_in_threads
    from unicorn_codec.pictures.images import write_picture
    from unicorn_codec.pictures.output_files import make_folder

    from .progress import bar

    def write(picture: tuple[int, "np.ndarray"]) -> None:
        index, pixels = picture
        make_folder(paths[index].parent)
        write_picture(pixels, paths[index], overwrite)

    with bar("unpacking", len(paths), hidden=len(paths) == 1) as shown:
        for _ in map_in_threads(write, opened.iterate(paths, steps=steps)):
            shown.update()


def written_text(paths: list[Path]) -> str:
    """List the written paths, one a line; of many the first ones and their number."""
    return shortened([f"written {path}" for path in paths])
