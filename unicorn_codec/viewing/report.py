"""A page about a packing run: totals, distributions, the worst pictures beside their originals, settings, versions."""

import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unicorn_codec import __version__
from unicorn_codec.archive import Archive
from unicorn_codec.config import AUTO, PackOptions
from unicorn_codec.errors import ImageFolderError, OutputError
from unicorn_codec.measurement import PictureDistortion
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.file_writing import refuse_output, write_file
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.picture_folder import Folder, read_with_alpha
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.viewing.histograms import HEIGHT, WIDTH, Histogram, histogram
from unicorn_codec.viewing.pages import data_address, policy, render, static
from unicorn_codec.viewing.small_pictures import encode_small

WORST_SHOWN = 20
SHOWN_SIDE = 768
"""Longest side of the pictures that the page shows."""

MOST_LISTED = 500
"""Files of one list that the page names."""

REPORT_STYLES = ("page.css", "report.css")
LIBRARIES = ("torch", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A picture of the page.

    Args:
        decoded, original: addresses that hold the pictures; no original if its file has changed since.
        bytes: of its record.
    """

    index: int
    name: str
    psnr_db: float
    ms_ssim: float
    bytes: int
    decoded: str
    original: str | None


def refuse_report_page(page: Path, *, overwrite: bool) -> None:
    """Raise ``OutputError`` before the work if a page cannot be written after it."""
    refuse_output(page, overwrite=overwrite)
    if not page.parent.is_dir():
        raise OutputError(f"{page}: there is no folder {page.parent}")


def write_report_page(
    page: Path, output: Path, folder: Folder, options: PackOptions, report: PackReport, *, overwrite: bool = False
) -> None:
    """Write a page that describes a packing run, and needs no other file.

    Args:
        output: the archive that was written.
        folder: of the originals, which are read again for the worst pictures.
        options, report: of the run.

    Raises:
        OutputError: the page exists or cannot be written.
        FormatError: the archive is damaged.
    """
    device, most = options.device, options.read.max_pixels
    autoencoder = None if options.autoencoder == AUTO else options.autoencoder
    with Archive.open(output, device=device, autoencoder=autoencoder, max_pixels=most) as archive:
        lengths = {row.index: row.length for index in archive.indices if (row := archive.reader.any_row(index))}
        compared = list(worst_pictures(archive, folder, options, report, lengths))
    style = static(*REPORT_STYLES)
    text = render(
        "report.html",
        policy=policy(style),
        style=style,
        title=output.name,
        report=report,
        histograms=[one for one in histograms_of(report, lengths) if one is not None],
        plot=(WIDTH, HEIGHT),
        worst=compared,
        settings=list(settings_of(options)),
        versions=[("unicorn-codec", __version__), ("Python", platform.python_version())]
        + [(name, version(name)) for name in LIBRARIES],
        system=f"{platform.system()} {platform.machine()}",
        lists=lists_of(report),
        decibels=decibels,
    )
    write_file(page, [text.encode("utf-8", "replace")], overwrite=overwrite)


def worst_pictures(
    archive: Archive, folder: Folder, options: PackOptions, report: PackReport, lengths: Mapping[int, int]
) -> Iterator[Compared]:
    """Yield the pictures with the lowest PSNR, the worst first; identical ones are none of them."""
    rows = [row for row in report.measured.rows[:WORST_SHOWN] if row.psnr_db != math.inf]
    decoded = {index: shown(pixels) for index, pixels in archive.iterate([row.index for row in rows])}
    pictures = {picture.name: picture for picture in folder.all_pictures}
    for row in rows:
        original = None
        if row.name in pictures:
            try:
                original = shown(read_with_alpha(folder, pictures[row.name], options.read))
            except ImageFolderError:  # it changed since
                original = None
        yield Compared(
            index=row.index,
            name=printable(row.name),
            psnr_db=row.psnr_db,
            ms_ssim=row.ms_ssim,
            bytes=lengths.get(row.index, 0),
            decoded=decoded[row.index],
            original=original,
        )


def decibels(value: float) -> str:
    """Format a PSNR, which is infinite for identical pictures."""
    return "\u221e" if math.isinf(value) else f"{value:.2f}"


def shown(pixels: Pixels) -> str:
    """Return an address that holds a picture."""
    return data_address(encode_small(pixels, SHOWN_SIDE), "image/webp")


def histograms_of(report: PackReport, lengths: Mapping[int, int]) -> Iterator[Histogram | None]:
    """Yield the histograms of bytes, PSNR and MS-SSIM of all pictures."""
    rows: tuple[PictureDistortion, ...] = tuple(report.measured.rows)
    if any(lengths.values()):
        yield histogram("Bytes of a picture", list(lengths.values()), lambda value: f"{value:,.0f}")
    yield histogram("PSNR in dB", [row.psnr_db for row in rows], lambda value: f"{value:.4g}")
    yield histogram("MS-SSIM", [row.ms_ssim for row in rows], lambda value: f"{value:.4g}")


def lists_of(report: PackReport) -> list[tuple[str, list[tuple[str, str]], int]]:
    """Return titles, the first rows and the numbers of all of the lists of files."""
    lists = [
        ("Left out", [(file.name, file.reason) for file in report.left_out]),
        ("Kept byte for byte", [(file.name, file.reason) for file in report.kept]),
        ("Notes", [(note.name, note.text) for note in report.notes]),
        (
            "Below the quality floor",
            [(printable(one.name), f"{one.psnr_db:.2f} dB, MS-SSIM {one.ms_ssim:.4f}") for one in report.below_target],
        ),
    ]
    return [(title, rows[:MOST_LISTED], len(rows)) for title, rows in lists if rows]


def settings_of(options: PackOptions) -> Iterator[tuple[str, str]]:
    """Yield names and values of all options; those of groups as ``group.name``."""
    for name, value in asdict(options).items():
        own = getattr(options, name)
        if is_dataclass(own) and isinstance(value, dict):
            yield from ((f"{name}.{inner}", _setting(one)) for inner, one in value.items())
        else:
            yield name, _setting(value)


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "default" if value is None else printable(str(getattr(value, "value", value)))
