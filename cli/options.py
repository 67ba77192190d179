"""Options that several commands share, as decorators."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from unicorn_codec.format.header import MAX_SIDE, MAX_STEPS

from .parameters import Colour

Command = TypeVar("Command", bound=Callable[..., Any])

a_path = click.Path(path_type=Path)
"""A path that the library, not click, finds missing or unreadable: it says why in one way everywhere."""


def together(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order in the help text."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


archive_argument = click.argument("archive", metavar="FILE.uni", type=a_path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, anything else on stderr.")

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what exists already.")

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes a GPU if there is one.",
)

steps_option = click.option(
    "--steps",
    type=click.IntRange(1, MAX_STEPS),
    help="Sampling steps when decoding.  [default: the number that measured best when packing]",
)

archive_autoencoder_option = click.option(
    "--autoencoder",
    metavar="NAME|HUB-ID|FOLDER",
    help="Where to find the archive's autoencoder.  [default: the name that the file gives]",
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="Refuse to decode larger pictures: a hostile file can claim any size.  [default: 134217728, as packing does]",
)

read_options = together(
    click.option(
        "--max-side",
        type=click.IntRange(0, MAX_SIDE),
        help="Scale larger pictures down to this side (Lanczos); 0: never.  [default: 0]",
    ),
    click.option(
        "--background",
        type=Colour(),
        default="white",
        show_default=True,
        help="What lies under transparent pixels: '#rrggbb' or a name.",
    ),
    click.option("--skip-unreadable", is_flag=True, help="Leave out files that cannot be read, instead of stopping."),
)
