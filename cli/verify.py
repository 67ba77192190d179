"""``unicorn verify``: whether a file is undamaged, and how well its pictures come back."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import AutoencoderUnavailable, CanaryWarning, DecoderMismatch, FormatError
from unicorn_codec.pictures.picture_files import printable

from .options import (
    a_path,
    archive_argument,
    archive_autoencoder_option,
    device_option,
    json_option,
    max_pixels_option,
    read_options,
)
from .report import measured_text, shortened
from .text import count
from .values import integrity_values, to_json, verify_values

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.reports import Measured


@click.command()
@archive_argument
@click.option("--against", metavar="FOLDER", type=a_path, help="Compare every picture with its original.")
@click.option("--min-psnr", type=float, help="Fail if a picture has a lower PSNR, in dB. Needs --against.")
@read_options
@device_option
@archive_autoencoder_option
@max_pixels_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    archive: Path,
    against: Path | None,
    min_psnr: float | None,
    max_side: int | None,
    background: tuple[int, int, int],
    skip_unreadable: bool,
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    as_json: bool,
) -> None:
    """Check that a file is whole.

    One picture is decoded and held against what the packing machine got, where the file tells that: a library that
    computes differently here is found out.

    With --against also every picture is decoded and compared with its original in a folder: then give
    --max-side and --background as when packing. The exit code is 1 if anything is wrong.
    """
    if against is None and min_psnr is not None:
        raise click.UsageError("--min-psnr needs --against")
    try:
        pictures = check_integrity(archive, device=device, autoencoder=autoencoder, max_pixels=max_pixels)
    except (FormatError, DecoderMismatch) as error:
        if as_json:
            click.echo(to_json(integrity_values(None, [str(error)])))
        raise
    if against is None:
        click.echo(to_json(integrity_values(pictures, [])) if as_json else intact_text(archive, pictures))
        return

    from unicorn_codec import archive as library
    from unicorn_codec.pictures.images import MAX_PIXELS

    from .progress import Bars

    read = ReadOptions(max_side=max_side or 0, background=background, skip_unreadable=skip_unreadable)
    with Bars() as bars:
        report = library.verify(
            archive,
            against,
            read=read,
            device=device,
            autoencoder=autoencoder,
            max_pixels=max_pixels or MAX_PIXELS,
            observer=bars,
        )
    missing = too_bad(report.measured, min_psnr)
    values = verify_values(pictures, report, missing)
    if as_json:
        click.echo(to_json(values))
    else:
        click.echo(intact_text(archive, pictures))
        click.echo("" if report.measured is None else "\n" + measured_text(report.measured))
        # A wrong folder may have very many; those that miss are all told, for somebody to act on.
        click.echo("\n".join(filter(None, [shortened(report.problems), *missing])))
    ctx.exit(0 if values["ok"] else 1)


def check_integrity(path: Path, *, device: str, autoencoder: str | None, max_pixels: int | None) -> int:
    """Read everything that the file holds, strictly, and decode its canary; return its number of pictures.

    Loads torch for a canary alone. Where the autoencoder is not at hand, that is a ``CanaryWarning``.

    Raises:
        ArchiveUnreadable: it is missing or may not be read.
        FormatError: anything in it is damaged.
        AutoencoderMismatch, DecoderMismatch: it decodes otherwise here than where it was made.
    """
    from unicorn_codec.format.container import read_container
    from unicorn_codec.weights.weight_section import parse_tensors

    container = read_container(path, strict=True)
    if container.weights is not None:
        parse_tensors(container.weights, container.header)
    if container.canary is not None:
        check_canary(path, device=device, autoencoder=autoencoder, max_pixels=max_pixels)
    return container.header.pictures


def check_canary(path: Path, *, device: str, autoencoder: str | None, max_pixels: int | None) -> None:
    """Decode the picture that the file tells the outcome of. Raises as ``check_integrity``."""
    from unicorn_codec.archive import Archive
    from unicorn_codec.pictures.images import MAX_PIXELS

    try:
        opened = Archive.open(path, device=device, autoencoder=autoencoder, max_pixels=max_pixels or MAX_PIXELS)
    except AutoencoderUnavailable as error:
        warnings.warn(f"no picture was decoded: {error}", CanaryWarning, stacklevel=2)
    else:
        opened.check_canary()


def intact_text(path: Path, pictures: int) -> str:
    return f"{path}: intact, {count(pictures, 'picture')}"


def too_bad(measured: "Measured | None", min_psnr: float | None) -> list[str]:
    """All pictures below the wanted PSNR, the worst first, as problems."""
    if measured is None or min_psnr is None:
        return []
    missing = measured.below(min_psnr, None)
    return [f"{printable(picture.name)}: {picture.psnr_db:.2f} dB PSNR, wanted are {min_psnr:g}" for picture in missing]
