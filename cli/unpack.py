"""``unicorn unpack``: decode pictures by index or name."""

from pathlib import Path
from typing import Any

import click

from unicorn_codec.config import MAX_PIXELS

from .exit_codes import ExitCode
from .member_writing import Carrying, Losses, readable_indices, write_files, write_pictures, write_to_stdout
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
from .output_paths import Whole, paths_of, refuse_existing
from .parameters import Colour, IndexRanges
from .selection import select_by_index, select_by_name
from .shards import export_of, shard_path, write_shard
from .text import shortened
from .values import to_json

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
    from unicorn_codec.pictures.picture_writing import write_format

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
        paths = paths_of(
            output, archive, chosen, suffix, whole, picture_format=picture_format, is_by_index=ranges is not None
        )
        if not overwrite:
            refuse_existing(list(paths.values()))
        losses.raises = len(chosen) == 1 and not everything
        written = write_files(opened, paths, losses, whole, overwrite=overwrite)
        carrying = Carrying(opened, chosen, with_code and background is None)
        written |= write_pictures(
            opened, paths, losses, whole, carrying, steps=sampling_steps, background=background, overwrite=overwrite
        )
        written_paths = {index: path for index, path in paths.items() if index in written}
    report_losses(ctx, written_paths, losses, as_json=as_json)


def report_losses(ctx: click.Context, written: dict[int, Path], losses: Losses, *, as_json: bool) -> None:
    """Print what was written and what was lost; exit with ``PICTURES_LOST`` if pictures were."""
    click.echo(
        to_json(unpack_values(written, losses)) if as_json else written_text(list(dict.fromkeys(written.values())))
    )
    for line in losses.metadata_lines():
        click.echo(f"unicorn: warning: {line}", err=True)
    if losses.lines:
        click.echo("\n".join(f"unicorn: error: lost: {line}" for line in losses.lines), err=True)
        ctx.exit(ExitCode.PICTURES_LOST)


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
