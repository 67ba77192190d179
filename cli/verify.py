"""``unicorn verify``: check a file for damage, and measure its pictures against their originals."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.config import MAX_PIXELS
from unicorn_codec.errors import DecoderMismatch, FormatError

from .distortion_text import below_stored_text, below_text, measured_text
from .exit_codes import ExitCode
from .options import (
    a_path,
    archive_argument,
    archive_autoencoder_option,
    device_option,
    json_option,
    log_option,
    max_pixels_option,
    skip_unreadable_option,
)
from .text import count, shortened
from .values import damage_values, to_json, verify_values

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.verification import VerifyReport


@click.command()
@archive_argument
@click.option(
    "--against",
    metavar="FOLDER|SHARD",
    type=a_path,
    multiple=True,
    help="Compare every picture with its original, in a folder or a tar or parquet file. May be given more than once "
    "for such files.",
)
@click.option("--min-psnr", "min_psnr_db", type=float, help="Fail if a picture has a lower PSNR, in dB.")
@click.option("--min-ms-ssim", type=float, help="Fail if a picture has a lower MS-SSIM, 0 to 1.")
@skip_unreadable_option
@click.option("--ignore-others", is_flag=True, help="Ignore originals that the archive does not contain.")
@device_option
@archive_autoencoder_option
@max_pixels_option
@log_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    archive: Path | str,
    against: tuple[Path, ...],
    min_psnr_db: float | None,
    min_ms_ssim: float | None,
    skip_unreadable: bool,
    ignore_others: bool,
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    as_json: bool,
) -> None:
    """Check that a file is undamaged.

    Checks all checksums, then decodes one picture and compares it with its decoding when packed.

    With --against, decodes every picture and compares it with its original, read with the settings of packing. The
    exit code is 1 on damage, if a picture is far below its PSNR as packed, or if the originals include a picture that
    the archive does not contain. Tar and parquet files are unpacked to the system's folder of temporary files.
    """
    if not against and (min_psnr_db is not None or min_ms_ssim is not None):
        raise click.UsageError("--min-psnr and --min-ms-ssim need --against")

    from unicorn_codec import verification

    from .progress import Bars

    try:
        with Bars() as bars:
            report = verification.verify(
                archive,
                against or None,
                min_psnr_db=min_psnr_db,
                min_ms_ssim=min_ms_ssim,
                skip_unreadable=skip_unreadable,
                ignore_others=ignore_others,
                device=device,
                autoencoder=autoencoder,
                max_pixels=max_pixels or MAX_PIXELS,
                on_stage=bars.stage,
            )
    except (FormatError, DecoderMismatch) as error:
        if as_json:
            click.echo(to_json(damage_values(error)))
        raise
    click.echo(to_json(verify_values(report)) if as_json else verify_text(archive, report))
    ctx.exit(ExitCode.DONE if report.ok else ExitCode.FAILED)


def verify_text(path: Path | str, report: "VerifyReport") -> str:
    """Format the text that ``verify`` prints."""
    state = "damaged" if report.damage else "intact"
    intact = f"{path}: {state}, {count(report.pictures, 'picture')}"
    measured = "" if report.measured is None else "\n" + measured_text(report.measured) + "\n"
    # Differences are shortened: with a wrong folder nearly all names differ. Pictures below the floor are all listed.
    lines = [
        intact,
        *report.damage,
        measured,
        shortened(report.differences),
        *map(below_stored_text, report.below_stored),
        *map(below_text, report.below_floor),
    ]
    return "\n".join(filter(None, lines))
