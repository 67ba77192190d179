"""One file below a folder: its name, as it may be printed and stored, and its bytes. What they mean is for others."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from unicorn_codec.format.limits import MAX_NAME_BYTES
from unicorn_codec.format.names import is_forbidden_name

MAX_FILE_BYTES = 1 << 30

RAW_SUFFIXES = (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw",
                ".3fr", ".iiq", ".x3f", ".mrw", ".rwl", ".erf")  # fmt: skip
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif",
            ".heic", ".heif", ".hif", *RAW_SUFFIXES)  # fmt: skip
"""Of files that call themselves pictures of a kind that is read; what counts are their bytes."""


class BadFile(Exception):
    """Why one file cannot be used. The listing of a folder collects these; no caller of the library sees one."""


class DamagedFile(BadFile):
    """The picture is not whole. ``ReadOptions.accept_damaged`` takes it, if there is anything to show."""


class IncompleteFile(BadFile):
    """The file holds more than the one picture that would be kept. ``ReadOptions.first_page`` accepts the loss."""


class MissingReader(BadFile):
    """The file is a picture of a kind that is not read here. It is left out, and named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file, or a folder with all that is in it, of which nothing is packed.

    Args:
        name: printable, relative to the folder; a folder's ends in ``/``.
        reason: why, without the name.
        is_picture: it is, holds, or calls itself, a picture.
        is_fault: it would have been packed if it could be read: without leave it stops the packing.
    """

    name: str
    reason: str
    is_picture: bool
    is_fault: bool


def fault(name: str, reason: str) -> LeftOut:
    """Return a picture that cannot be used, by its name as the system has it."""
    return LeftOut(name=printable(name), reason=reason, is_picture=True, is_fault=True)


def printable(name: str) -> str:
    """Return a file name as it may be printed: control characters and bytes that are not UTF-8 escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def reason_of(error: OSError) -> str:
    """Return the system's words for an error, without the path, which the message names already."""
    return (error.strerror or str(error)).lower()


def stored_name(native: str) -> str:
    """Return a name as archives hold it, in UTF-8's characters, from the name as the system's encoding makes it."""
    return os.fsencode(native).decode("utf-8", "surrogateescape")


def native_name(stored: str) -> str:
    """Return the inverse of ``stored_name``: what opens a file whose name in bytes is the stored one in UTF-8."""
    return os.fsdecode(stored.encode("utf-8", "surrogateescape"))


def name_fault(name: str) -> str | None:
    """Say why no archive can hold a name, if none can."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if size > MAX_NAME_BYTES:
        return f"its name has {size} bytes; {MAX_NAME_BYTES} are allowed"
    if "\n" in name or is_forbidden_name(name):
        return "its name holds a character that no name in a file may hold"
    return None


def read_file(root: Path, name: str) -> bytes:
    """Return the bytes of a regular file of sensible size, by its stored name.

    Raises:
        BadFile: it is missing, empty, too large, unreadable, or no regular file.
    """
    path = root / native_name(name)
    try:
        size = _regular_size(path)
        if size > MAX_FILE_BYTES:
            raise BadFile(f"it has {size} bytes; {MAX_FILE_BYTES} are allowed")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(reason_of(error)) from error


def read_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a regular file. Raises ``BadFile`` as ``read_file``."""
    try:
        _regular_size(path)
        with open(path, "rb") as file:
            return file.read(size)
    except OSError as error:
        raise BadFile(reason_of(error)) from error


def _regular_size(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
        raise BadFile("it is not a regular file")
    if status.st_size == 0:
        raise BadFile("it is empty")
    return status.st_size
