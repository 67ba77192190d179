"""Shards that ``unicorn unpack --as`` writes."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.errors import OutputError
from unicorn_codec.format.sources import stem_of
from unicorn_codec.pictures.picture_files import reason_of

from .member_writing import Losses
from .output_paths import Whole, paths_in_folder
from .text import count

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.archive import Archive
    from unicorn_codec.shards.exporting import Export

TAR = "tar"


def shard_path(output: str | None, archive: Path | str, kind: str, *, overwrite: bool) -> Path:
    """Return the path of a shard: ``-o``, or a file named after the archive. Raises ``OutputError`` if it exists."""
    if output == "-":
        raise click.UsageError("--as writes a file, not the standard output: name it by -o")
    path = Path(output or f"{stem_of(archive)}.{kind}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file by -o, such as {path / f'{stem_of(archive)}.{kind}'}")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists; --overwrite replaces existing files")
    return path


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


def write_shard(export: "Export", path: Path, kind: str) -> list[int]:
    """Write a shard, whole or not at all, and return the indices of its files. Raises ``OutputError``."""
    from unicorn_codec.atomic_files import open_atomic
    from unicorn_codec.shards.parquet_files import import_pyarrow, write_parquet
    from unicorn_codec.shards.tar_files import write_tar

    from .bars import bar

    if kind != TAR:
        import_pyarrow()  # refuse before the work, not at its end
    try:
        with open_atomic(path) as file, bar("unpacking", len(export.paths)) as shown:
            export = replace(export, on_file=shown.update)
            if kind == TAR:
                return write_tar(export, file)
            written, files_left = write_parquet(export, file)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason_of(error)}") from error
    if files_left:
        text = f"{count(files_left, 'file')} without a place in a parquet file, being no pictures; --as tar keeps all"
        click.echo(f"unicorn: warning: {text}", err=True)
    return written
