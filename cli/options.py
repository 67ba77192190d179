"""Options that several commands share, as decorators."""

from pathlib import Path
from typing import Any

import click

from unicorn_codec.config import DEVICES, MAX_PIXELS, MetadataOptions, ReadOptions
from unicorn_codec.format.header import MAX_STEPS
from unicorn_codec.format.limits import MAX_SIDE

from .grouped import option
from .parameters import ArchivePath, Colour

a_path = click.Path(path_type=Path)
"""Type of paths. The library reports missing and unreadable ones, in the same words everywhere."""


archive_argument = click.argument("archive", metavar="FILE.uni|URL", type=ArchivePath())
local_archive_argument = click.argument("archive", metavar="FILE.uni", type=a_path)

json_settings: dict[str, Any] = {"is_flag": True, "help": "Print JSON on stdout, anything else on stderr."}
json_option = click.option("--json", "as_json", **json_settings)

overwrite_settings: dict[str, Any] = {"is_flag": True, "help": "Replace an existing output."}
overwrite_option = click.option("--overwrite", **overwrite_settings)

device_settings: dict[str, Any] = {
    "type": click.Choice(DEVICES),
    "default": "auto",
    "show_default": True,
    "help": "Where to compute; auto takes a GPU if there is one.",
}
device_option = click.option("--device", **device_settings)

sampling_steps_option = click.option(
    "--sampling-steps",
    type=click.IntRange(1, MAX_STEPS),
    help="Sampling steps for archives with a network.  [default: the number that measured best when packing]",
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

skip_unreadable_settings: dict[str, Any] = {
    "is_flag": True,
    "help": "Leave out files that cannot be read, instead of stopping.",
}
skip_unreadable_option = click.option("--skip-unreadable", **skip_unreadable_settings)

strip_settings: dict[str, Any] = {
    "type": click.Choice(("all", "gps")),
    "help": "Leave out metadata: all of it, or where pictures were taken (in EXIF and XMP).  "
    "[default: keep EXIF, XMP, IPTC, PNG text and the file's time]",
}
checksums_settings: dict[str, Any] = {
    "is_flag": True,
    "help": "Store size and SHA-256 of each original file, about 45 bytes a picture.",
}


def metadata_options_of(strip: str | None, checksums: bool) -> MetadataOptions:
    """Return the library's options from those that ``strip_settings`` and ``checksums_settings`` describe."""
    return MetadataOptions(keep=strip != "all", keep_gps=strip is None, checksums=checksums)


read_options = (
    option(
        "--max-side",
        type=click.IntRange(0, MAX_SIDE),
        default=0,
        help="Scale larger pictures down to this side (Lanczos).  [default: never]",
    ),
    option(
        "--background",
        type=Colour(),
        default="white",
        show_default=True,
        help="Colour under transparent pixels: '#rrggbb' or a name.",
    ),
    option("--skip-unreadable", **skip_unreadable_settings),
    option(
        "--first-page",
        advanced=True,
        is_flag=True,
        help="Keep the first full-size page, frame or picture of files that hold several, instead of stopping.",
    ),
    option(
        "--accept-damaged",
        advanced=True,
        is_flag=True,
        help="Keep what can be decoded of damaged pictures, and report them, instead of stopping.",
    ),
    option(
        "--max-pixels",
        advanced=True,
        type=click.IntRange(min=1),
        default=MAX_PIXELS,
        show_default=True,
        help="Refuse to read larger pictures: a small file can claim any size.",
    ),
)
"""Options that decide how files become pixels; ``read_options_of`` takes their values."""

READ_SETTINGS = ("max_side", "background", "skip_unreadable", "first_page", "accept_damaged", "max_pixels")


def read_options_of(settings: dict[str, Any]) -> ReadOptions:
    """Return the library's options from a command's settings, among which are those of ``read_options``."""
    return ReadOptions(**{name: settings[name] for name in READ_SETTINGS})
