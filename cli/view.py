"""``unicorn view``: look at an archive's pictures in the browser."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unicorn_codec.config import MAX_PIXELS
from unicorn_codec.errors import PackageMissing
from unicorn_codec.format.sources import is_url

from .exit_codes import ExitCode
from .options import (
    archive_argument,
    archive_autoencoder_option,
    device_option,
    json_option,
    log_option,
    max_pixels_option,
    overwrite_option,
)
from .parameters import IndexRanges
from .selection import select_by_index, select_by_name
from .text import count, exact_bytes
from .values import to_json

if TYPE_CHECKING:  # at run time these would load torch
    from unicorn_codec.archive import Archive
    from unicorn_codec.viewing.gallery import Gallery


@click.command()
@archive_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1.  [default: any free one]")
@click.option("--no-browser", is_flag=True, help="Print the address, and do not open the browser.")
@click.option(
    "--export",
    "page",
    metavar="PAGE.html",
    type=click.Path(path_type=Path),
    help="Write one page that holds all pictures, or those of --index and --name, instead of serving. At most 500.",
)
@click.option("--index", "ranges", type=IndexRanges(), help="Indices of pictures to export, such as 42 or 3,5,8-11.")
@click.option("--name", "patterns", multiple=True, help="Names or patterns of pictures to export, as for unpack.")
@device_option
@archive_autoencoder_option
@max_pixels_option
@overwrite_option
@log_option
@json_option
@click.pass_context
def view(
    ctx: click.Context,
    archive: Path | str,
    port: int,
    no_browser: bool,
    page: Path | None,
    ranges: tuple[range, ...] | None,
    patterns: tuple[str, ...],
    device: str,
    autoencoder: str | None,
    max_pixels: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Show a gallery of the pictures in the browser, until Ctrl-C.

    The gallery is served on 127.0.0.1 alone, at an address with a secret; nothing leaves this machine. --export writes
    one page instead, which needs no server and can be passed on.
    """
    if page is None and (ranges is not None or patterns or overwrite):
        raise click.UsageError("--index, --name and --overwrite belong to --export")
    if ranges is not None and patterns:
        raise click.UsageError("select pictures by one of --index and --name")
    try:
        from unicorn_codec.viewing.gallery import Gallery

        if page is None:
            from unicorn_codec.viewing.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise PackageMissing("unicorn view needs starlette and uvicorn: pip install 'unicorn-codec[view]'") from error

    gallery = Gallery(archive, device=device, autoencoder=autoencoder, max_pixels=max_pixels or MAX_PIXELS)
    try:
        if page is not None:
            lost = export(gallery, page, ranges, patterns, overwrite=overwrite, as_json=as_json)
            ctx.exit(ExitCode.PICTURES_LOST if lost else ExitCode.DONE)

        def ready(address: str) -> None:
            place = archive if is_url(archive) else Path(archive).name
            text = f"{place} is shown at {address} until Ctrl-C"
            click.echo(to_json({"address": address}) if as_json else text)
            if not no_browser:
                import webbrowser

                webbrowser.open(address)

        serve(gallery, port=port, ready=ready)
    finally:
        gallery.close()


def export(
    gallery: "Gallery",
    page: Path,
    ranges: tuple[range, ...] | None,
    patterns: tuple[str, ...],
    *,
    overwrite: bool,
    as_json: bool,
) -> list[int]:
    """Write the selected pictures into one page, and return the indices of damaged ones."""
    from unicorn_codec.viewing.export import export_gallery

    from .bars import bar

    def choose(opened: "Archive") -> list[int]:
        if ranges is not None:
            return select_by_index(ranges, opened)
        return select_by_name(patterns, opened) if patterns else opened.indices

    chosen = gallery.select(choose)
    with bar("exporting", len(chosen), hidden=len(chosen) <= 1) as shown:
        lost = export_gallery(
            gallery, page, chosen, overwrite=overwrite, progress=lambda done: shown.update(done - shown.n)
        )
    good, file_bytes = len(chosen) - len(lost), page.stat().st_size
    if as_json:
        click.echo(to_json({"page": str(page), "pictures": good, "file_bytes": file_bytes, "lost": lost}))
    else:
        click.echo(f"written {page}: {count(good, 'picture')}, {exact_bytes(file_bytes)}")
    if lost:
        click.echo(f"unicorn: warning: {count(len(lost), 'picture')} cannot be decoded, as the page says", err=True)
    return lost
