"""A file below a folder: its printable and stored name, and its bytes."""

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
"""Suffixes of supported picture formats. Files are recognised by their content; a suffix marks candidates."""


class BadFile(Exception):
    """Reason why a file cannot be used. Collected when a folder is listed, and not raised to the library's callers."""


class DamagedFile(BadFile):
    """The picture is damaged. ``ReadOptions.accept_damaged`` accepts it, if part of it can be decoded."""


class IncompleteFile(BadFile):
    """The file holds more than one picture, of which one is kept. ``ReadOptions.first_page`` accepts the loss."""


class MissingReader(BadFile):
    """The file is a picture in an unsupported format. It is left out and listed."""


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file that is stored whole, and not as a picture.

    Args:
        name: relative to the folder, with ``/``.
        reason: why it is not read as a picture, without the name.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file, or a folder with all its content, that is not packed.

    Args:
        name: printable, relative to the folder; a folder's ends in ``/``.
        reason: without the name.
        is_picture: whether it is or holds a picture, or has a picture's suffix.
        is_fault: whether it is an unreadable picture, which stops packing unless such files may be skipped.
    """

    name: str
    reason: str
    is_picture: bool
    is_fault: bool


def fault(name: str, reason: str) -> LeftOut:
    """Describe a picture that cannot be used."""
    return LeftOut(name=printable(name), reason=reason, is_picture=True, is_fault=True)


def printable(name: str) -> str:
    """Return a printable file name: control characters and bytes that are not UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def reason_of(error: OSError) -> str:
    """Return the system's message for an error, without the path."""
    return (error.strerror or str(error)).lower()


def stored_name(native: str) -> str:
    """Return a name as stored in archives, in UTF-8, from the name in the system's encoding."""
    return os.fsencode(native).decode("utf-8", "surrogateescape")


def native_name(stored: str) -> str:
    """Invert ``stored_name``: return a name that opens the file whose name in bytes is the stored one in UTF-8."""
    return os.fsdecode(stored.encode("utf-8", "surrogateescape"))


def name_fault(name: str) -> str | None:
    """Return why an archive cannot store a name; None if it can."""
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


def is_readable(path: Path) -> bool:
    """Return whether a path is a regular file, empty or not, that may be read."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and os.access(path, os.R_OK)
    except OSError:
        return False


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
