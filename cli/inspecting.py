"""``unicorn inspect``: describe a file without decoding it."""

from pathlib import Path

import click

from .inspection_text import inspect_text, picture_text
from .options import archive_argument, json_option
from .values import to_json


@click.command()
@archive_argument
@click.option(
    "--entries",
    is_flag=True,
    help="List every picture: index, size, record, PSNR as packed, date (not for URLs), name.",
)
@click.option("--index", type=click.IntRange(min=0), help="Show one picture alone, with all its metadata.")
@click.option("--specification", is_flag=True, help="Print the text of the format that a self-contained file holds.")
@json_option
def inspect(archive: Path | str, entries: bool, index: int | None, specification: bool, as_json: bool) -> None:
    """Describe a file: its pictures, rate, network, autoencoder, and the bytes of each part.

    No picture is decoded.
    """
    from unicorn_codec.inspection import describe, describe_picture, specification_of

    if specification:
        click.echo(specification_of(archive), nl=False)
        return

    if index is not None:
        picture = describe_picture(archive, index)
        click.echo(to_json(picture) if as_json else picture_text(picture))
        return
    values = describe(archive, entries=entries)
    click.echo(to_json(values) if as_json else inspect_text(archive, values))
