"""Writing of output files, which appear whole or not at all, with the time of their originals."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.picture_files import reason_of


def refuse_output(path: Path, *, overwrite: bool) -> None:
    """Raise ``OutputError`` if a path is a folder, or exists and may not be replaced."""
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise OutputError(f"{path} {'is a folder' if path.is_dir() else 'exists already'}")


def write_file(path: Path, pieces: Iterable[bytes], *, overwrite: bool, modified_ns: int | None = None) -> None:
    """Write a file of some pieces. Nothing of it stays if one of them cannot be made.

    Args:
        modified_ns: time of modification in nanoseconds since 1970 UTC; None: now.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or cannot be written.
    """
    refuse_output(path, overwrite=overwrite)
    partial = path.with_name(f".unicorn-{secrets.token_hex(8)}.part")
    try:
        try:
            with open(partial, "xb") as file:
                for piece in pieces:
                    file.write(piece)
            if modified_ns is not None:
                with suppress(OSError, OverflowError):  # a time that the file system does not have
                    os.utime(partial, ns=(modified_ns, modified_ns))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {reason_of(error)}") from error
