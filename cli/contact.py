"""``unicorn contact``: draw a contact sheet."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.config import MAX_PIXELS

from .exit_codes import ExitCode
from .options import (
    a_path,
    archive_argument,
    archive_autoencoder_option,
    device_option,
    json_option,
    log_option,
    max_pixels_option,
    overwrite_option,
)
from .parameters import Colour, IndexRanges
from .selection import select_by_index, select_by_name
from .text import count
from .values import to_json

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.archive import Archive


@click.command()
@archive_argument
@click.argument("sheet", metavar="SHEET.jpg", type=a_path)
@click.option("--index", "ranges", type=IndexRanges(), help="Indices of pictures, such as 42 or 3,5,8-11.")
@click.option("--name", "patterns", multiple=True, help="Names or patterns of pictures, as for unpack.")
@click.option("--columns", type=click.IntRange(1, 100), default=6, show_default=True, help="Pictures in a row.")
@click.option("--rows", type=click.IntRange(1, 1000), default=8, show_default=True, help="Rows on a page.")
@click.option(
    "--side", type=click.IntRange(16, 2000), default=200, show_default=True, help="Longest side of a picture in pixels."
)
@click.option("--no-captions", is_flag=True, help="Leave out index and name below the pictures.")
@click.option("--background", type=Colour(), default="white", show_default=True, help="Colour of the page.")
@click.option("--font", type=a_path, help="Font file for captions.  [default: one of Pillow with Latin letters alone]")
@device_option
@archive_autoencoder_option
@max_pixels_option
@overwrite_option
@log_option
@json_option
@click.pass_context
def contact(
    ctx: click.Context,
    archive: Path | str,
    sheet: Path,
    ranges: tuple[range, ...] | None,
    patterns: tuple[str, ...],
    columns: int,
    rows: int,
    side: int,
    no_captions: bool,
    background: tuple[int, int, int],
    font: Path | None,
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw a contact sheet of all pictures by name, or of those of --index and --name.

    The suffix of SHEET selects the format: any that Pillow writes. Where there are more pictures than fit on a page,
    PDF and TIFF get several pages, and other formats several files, sheet-1.jpg and so on.
    """
    if ranges is not None and patterns:
        raise click.UsageError("select pictures by one of --index and --name")

    from unicorn_codec.archive import Archive
    from unicorn_codec.errors import InvalidSetting
    from unicorn_codec.viewing.contact_sheet import SheetLayout, sheet_format, write_contact_sheet

    from .bars import bar

    layout = SheetLayout(
        columns=columns, rows=rows, side=side, captions=not no_captions, background=background, font=font
    )
    sheet_format(sheet)  # reject an unknown format before any work
    with Archive.open(archive, device=device, autoencoder=autoencoder, max_pixels=max_pixels or MAX_PIXELS) as opened:
        chosen = selected(opened, ranges, patterns)
        if not chosen:
            raise InvalidSetting(f"{archive} holds no pictures to draw")
        with bar("drawing", len(chosen), hidden=len(chosen) <= columns) as shown:
            paths, lost = write_contact_sheet(
                sheet,
                chosen,
                opened.names_of(chosen),
                lambda indices, on_error: opened.iterate(indices, on_error=on_error),
                layout,
                overwrite=overwrite,
                progress=lambda done: shown.update(done - shown.n),
            )
    if as_json:
        drawn = len(chosen) - len(lost)
        click.echo(to_json({"written": [str(path) for path in paths], "pictures": drawn, "lost": sorted(lost)}))
    else:
        for path in paths:
            click.echo(f"written {path}")
    if lost:
        numbers = ", ".join(map(str, sorted(lost)[:20]))
        click.echo(f"unicorn: error: {count(len(lost), 'picture')} damaged: {numbers}", err=True)
        ctx.exit(ExitCode.PICTURES_LOST)


def selected(opened: "Archive", ranges: tuple[range, ...] | None, patterns: tuple[str, ...]) -> list[int]:
    """Return the selected pictures in the order of the selection; all of them in that of their names."""
    if ranges is not None:
        chosen = select_by_index(ranges, opened)
    elif patterns:
        chosen = select_by_name(patterns, opened)
    else:
        names = opened.names_of(opened.iterate_indices(lambda *_: None))
        chosen = sorted(names, key=lambda index: (names[index].encode(), index))
    return [index for index in chosen if opened.is_picture(index)]
