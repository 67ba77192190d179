"""``unicorn inspect``: what a file holds, without decoding."""

from pathlib import Path

import click

from .options import archive_argument, json_option
from .report import inspect_text
from .values import to_json


@click.command()
@archive_argument
@click.option("--entries", is_flag=True, help="List every picture: index, size, code, PSNR as packed, name.")
@json_option
def inspect(archive: Path, entries: bool, as_json: bool) -> None:
    """Show what a file holds: pictures, rate, network, autoencoder and sections.

    Nothing is decoded.
    """
    from unicorn_codec.inspection import describe

    values = describe(archive, entries=entries)
    click.echo(to_json(values) if as_json else inspect_text(archive, values))
