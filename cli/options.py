"""Options that several commands share, as decorators."""

from pathlib import Path
from typing import Any

import click

from unicorn_codec.config import DEVICES, MAX_PIXELS, MetadataOptions, ReadOptions
from unicorn_codec.format.header import MAX_STEPS
from unicorn_codec.format.limits import MAX_SIDE
from unicorn_codec.format.sources import is_url

from .grouped import option
from .parameters import ArchivePath, Colour

a_path = click.Path(path_type=Path)
"""Type of paths. Existence is not checked here: the library reports missing and unreadable files."""


class LocalPath(click.Path):
    """A path of a file that is written to, which a URL is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if is_url(value):
            self.fail(f"{value!r} is a URL: only a local file can be changed", param, ctx)
        return super().convert(value, param, ctx)


archive_argument = click.argument("archive", metavar="FILE.uni|URL", type=ArchivePath())
local_archive_argument = click.argument("archive", metavar="FILE.uni", type=LocalPath(path_type=Path))

json_settings: dict[str, Any] = {"is_flag": True, "help": "Print JSON on stdout, anything else on stderr."}
json_option = click.option("--json", "as_json", **json_settings)

_LOG = "unicorn_cli.log"


def _remember_log(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[_LOG] = value


def is_logging() -> bool:
    """Return whether the running command was given ``--log``."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_LOG))


log_settings: dict[str, Any] = {
    "is_flag": True,
    "expose_value": False,
    "callback": _remember_log,
    "help": "Print progress as lines on stderr instead of a bar. Without a terminal there is no bar.",
}
log_option = click.option("--log", **log_settings)

overwrite_settings: dict[str, Any] = {"is_flag": True, "help": "Replace an existing output."}
overwrite_option = click.option("--overwrite", **overwrite_settings)

device_settings: dict[str, Any] = {
    "type": click.Choice(DEVICES),
    "default": "auto",
    "show_default": True,
    "help": "Device to compute on; auto uses a GPU if available.",
}
device_option = click.option("--device", **device_settings)

sampling_steps_option = click.option(
    "--sampling-steps",
    type=click.IntRange(1, MAX_STEPS),
    help="Sampling steps for archives with a network.  [default: stored in the file]",
)

archive_autoencoder_option = click.option(
    "--autoencoder",
    metavar="NAME|HUB-ID|FOLDER",
    help="Location of the archive's autoencoder.  [default: the name stored in the file]",
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="Refuse to decode larger pictures; protects against hostile files.  [default: 134217728, as for pack]",
)

skip_unreadable_settings: dict[str, Any] = {
    "is_flag": True,
    "help": "Skip unreadable files instead of stopping.",
}
skip_unreadable_option = click.option("--skip-unreadable", **skip_unreadable_settings)

self_contained_settings: dict[str, Any] = {
    "default": None,
    "help": "Store the model's decoder and the specification in the file, about 6 MB, so that software without the "
    "model can read it.  [default: from 100 MB on]",
}
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
        advanced=True,
        help="Scale larger pictures down to this side (Lanczos).  [default: never]",
    ),
    option(
        "--background",
        advanced=True,
        type=Colour(),
        help="Flatten transparent pictures onto this colour: '#rrggbb' or a name.  [default: keep their transparency; "
        "white with --index-only]",
    ),
    option("--skip-unreadable", **skip_unreadable_settings),
    option(
        "--first-page",
        advanced=True,
        is_flag=True,
        help="Use the first full-size page, frame or picture of files with several, instead of stopping.",
    ),
    option(
        "--accept-damaged",
        advanced=True,
        is_flag=True,
        help="Pack the decodable part of damaged pictures and report them, instead of stopping.",
    ),
    option(
        "--max-pixels",
        advanced=True,
        type=click.IntRange(min=1),
        default=MAX_PIXELS,
        show_default=True,
        help="Refuse to read larger pictures.",
    ),
)
"""Options for reading picture files; ``read_options_of`` collects their values."""

READ_SETTINGS = ("max_side", "background", "skip_unreadable", "first_page", "accept_damaged", "max_pixels")


def read_options_of(settings: dict[str, Any]) -> ReadOptions:
    """Return the library's reading options, taken from all settings of a command."""
    return ReadOptions(**{name: settings[name] for name in READ_SETTINGS})
