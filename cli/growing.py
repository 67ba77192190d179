"""``unicorn add``, ``remove``, ``compact``, ``repair`` and ``join``: edit, rebuild and combine archives."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .distortion_text import measured_text
from .exit_codes import ExitCode
from .options import (
    a_path,
    checksums_settings,
    device_option,
    json_option,
    local_archive_argument,
    log_option,
    metadata_options_of,
    overwrite_option,
    self_contained_settings,
    skip_unreadable_option,
    strip_settings,
)
from .parameters import IndexRanges, RegionOfPicture
from .report import kept_text, notes_text
from .selection import select_by_index, select_by_name
from .text import count, exact_bytes, indented, shortened
from .values import measured_values, to_json
from .whole_files import WithExact, exact_settings, keep_others_settings, original_options_of

if TYPE_CHECKING:  # at run time these would load torch
    from unicorn_codec.format.repair import RepairReport
    from unicorn_codec.packing.add import AddReport
    from unicorn_codec.regions import Region


@click.command(cls=WithExact)
@local_archive_argument
@click.argument("inputs", metavar="FOLDER|SHARD...", nargs=-1, required=True, type=a_path)
@click.option("--effort", type=click.IntRange(0), help="Rounds of refinement.  [default: as for pack]")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed that draws the new indices.  [default: 0]")
@skip_unreadable_option
@click.option("--exact", **exact_settings)
@click.option("--keep-others", **keep_others_settings)
@click.option("--strip", **strip_settings)
@click.option("--checksums", **checksums_settings)
@click.option("--self-contained/--no-self-contained", "self_contained", **self_contained_settings)
@click.option(
    "--importance",
    metavar="FOLDER",
    type=a_path,
    help="Gray masks of pictures, with the same names: white parts count most. [default: all parts count alike]",
)
@click.option("--roi", type=RegionOfPicture(), help="Region of each picture that counts more, in pixels or %.")
@device_option
@log_option
@json_option
def add(
    archive: Path,
    inputs: tuple[Path, ...],
    effort: int | None,
    seed: int,
    skip_unreadable: bool,
    exact: tuple[str, ...],
    keep_others: bool,
    strip: str | None,
    checksums: bool,
    self_contained: bool | None,
    importance: Path | None,
    roi: "Region | None",
    device: str,
    as_json: bool,
) -> None:
    """Add all pictures below FOLDER, or in tar and parquet files, to an archive.

    They are coded with the archive's model and quantisation step. Existing bytes and indices do not change. An
    archive made with --index-only or --overfit cannot grow.
    """
    from unicorn_codec.config import CodesOptions, ReadOptions
    from unicorn_codec.packing import add as library

    from .progress import Bars

    read = ReadOptions(skip_unreadable=skip_unreadable)
    metadata = metadata_options_of(strip, checksums)
    originals = original_options_of(exact, keep_others=keep_others)
    options = CodesOptions(
        read=read,
        metadata=metadata,
        effort=effort,
        seed=seed,
        device=device,
        originals=originals,
        self_contained=self_contained,
        importance=importance,
        roi=roi,
    )
    with Bars() as bars:
        report = library.add(archive, inputs, options, bars)
    click.echo(to_json(add_values(report)) if as_json else add_text(archive, report))


def add_values(report: "AddReport") -> dict[str, Any]:
    """Return the values that ``add --json`` prints."""
    values = asdict(report)
    del values["measured"]
    return values | measured_values(report.measured)


def add_text(path: Path, report: "AddReport") -> str:
    """Format the text that ``add`` prints."""
    files, indices = len(report.kept), report.indices
    new = count(len(indices) - files, "picture") + (f" and {count(files, 'other file')}" if files else "")
    parts = [
        f"{path}: {new} added, {exact_bytes(report.added_bytes)}; indices {indices[0]} to {indices[-1]}",
        measured_text(report.measured),
    ]
    if report.kept:
        parts.append("kept byte for byte\n" + indented(kept_text(report.kept)))
    if report.notes:
        parts.append("notes\n" + indented(notes_text(report.notes)))
    return "\n\n".join(parts)


@click.command()
@local_archive_argument
@click.option("--index", "ranges", type=IndexRanges(), help="Indices of pictures, such as 42 or 3,5,8-11.")
@click.option("--name", "patterns", multiple=True, help="A picture's name or a pattern. May be given more than once.")
@json_option
def remove(archive: Path, ranges: tuple[range, ...] | None, patterns: tuple[str, ...], as_json: bool) -> None:
    """Mark pictures as removed. Indices do not change; ``unicorn compact`` frees the bytes."""
    if (ranges is None) == (not patterns):
        raise click.UsageError("select pictures by one of --index and --name")

    from unicorn_codec.archive import Archive
    from unicorn_codec.editing import remove as remove_pictures

    with Archive.open(archive) as opened:
        chosen = select_by_name(patterns, opened) if patterns else select_by_index(ranges or (), opened)
    left = remove_pictures(archive, chosen)
    if as_json:
        click.echo(to_json({"removed": chosen, "pictures": left}))
        return
    click.echo(f"{archive}: {count(len(chosen), 'picture')} removed, {count(left, 'picture')} left")


@click.command()
@local_archive_argument
@log_option
@json_option
def compact(archive: Path, as_json: bool) -> None:
    """Rewrite an archive without its removed pictures. Indices do not change."""
    from unicorn_codec.format.growth import compact as compact_file

    from .bars import stage

    with stage("copying") as progress:
        before, after = compact_file(archive, progress)
    if as_json:
        click.echo(to_json({"file_bytes": after, "file_bytes_before": before}))
        return
    click.echo(f"{archive}: {exact_bytes(after)}, {exact_bytes(before)} before")


@click.command()
@click.argument("damaged", metavar="DAMAGED.uni", type=a_path)
@click.argument("output", metavar="SAVED.uni", type=a_path)
@overwrite_option
@log_option
@json_option
@click.pass_context
def repair(ctx: click.Context, damaged: Path, output: Path, overwrite: bool, as_json: bool) -> None:
    """Rebuild a damaged archive, and list the pictures that are lost.

    The damaged file is not modified. Pictures keep their indices. The exit code is 3 if any picture is lost.
    """
    if output.exists() and damaged.exists() and output.samefile(damaged):
        raise click.UsageError("DAMAGED.uni and SAVED.uni are the same file")
    from unicorn_codec.editing import repair_file
    from unicorn_codec.packing.archive_writing import check_output

    from .bars import stage

    check_output(output, overwrite=overwrite)
    with stage("scanning", as_share=True) as scanning, stage("storing") as storing:
        report = repair_file(damaged, output, scanning, storing)
    click.echo(to_json(asdict(report)) if as_json else repair_text(output, report))
    ctx.exit(ExitCode.PICTURES_LOST if report.lost or report.is_index_lost else ExitCode.DONE)


def repair_text(path: Path, report: "RepairReport") -> str:
    """Format the text that ``repair`` prints."""
    lost = [f"lost: picture {index}" + (f" ({name})" if name else "") for index, name in report.lost]
    nameless = f"{count(report.nameless, 'picture')} without a name" if report.nameless else ""
    unknown = ""
    if report.is_index_lost:
        unknown = "the index is lost: later pictures and stored PSNRs may be lost too"
    return "\n".join(
        filter(
            None,
            [
                f"{path}: {count(report.pictures, 'picture')} rebuilt",
                shortened(report.problems),
                nameless,
                unknown,
                *lost,
            ],
        )
    )


@click.command()
@click.argument("archives", metavar="FILE.uni...", nargs=-1, required=True, type=a_path)
@click.option("-o", "--output", metavar="OUTPUT.uni", required=True, type=a_path, help="The new archive.")
@overwrite_option
@log_option
@json_option
def join(archives: tuple[Path, ...], output: Path, overwrite: bool, as_json: bool) -> None:
    """Write one archive of all members of several, without coding them again.

    Pictures of the first archive keep their indices; those of later ones follow. Archives of different models, steps
    or updates can be joined, up to 64 of these. No two pictures may have the same name.
    """
    from unicorn_codec.editing import join_files
    from unicorn_codec.packing.archive_writing import check_output

    from .bars import stage

    if output.exists() and any(output.samefile(path) for path in archives if path.exists()):
        raise click.UsageError(f"{output} is one of the archives to join")
    check_output(output, overwrite=overwrite)
    with stage("copying") as progress:
        members, size = join_files(archives, output, progress)
    if as_json:
        click.echo(to_json({"members": members, "file_bytes": size}))
        return
    click.echo(f"{output}: {count(members, 'member')} of {count(len(archives), 'archive')}, {exact_bytes(size)}")
