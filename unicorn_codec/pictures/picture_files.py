"""Finding picture files below a folder, and reading their bytes. What the bytes mean is for ``images``."""

import os
import stat
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unicorn_codec.format.header import MAX_NAME_BYTES
from unicorn_codec.format.picture_table import is_forbidden_name

MAX_FILE_BYTES = 1 << 30
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One file or folder that cannot be read, by its printable name, and why."""

    name: str
    reason: str


class BadFile(Exception):
    """Why one file cannot be used. ``pictures`` collects these; no caller of the library sees one."""


def printable(name: str) -> str:
    """Return a file name as it may be printed: control characters and bytes that are not UTF-8 escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def reason_of(error: OSError) -> str:
    """Return the system's words for an error, without the path, which the message names already."""
    return (error.strerror or str(error)).lower()


def find_pictures(root: Path) -> tuple[list[str], list[Unreadable], int]:
    """Walk a folder: the pictures' names, what cannot be used, and the number of files that are no pictures.

    Names are relative, with ``/``, in the order of their UTF-8 bytes. Hidden files and folders are passed over.
    Each folder is visited once, by its real place if that lies below the root, else through a link: no loops.
    """
    names: list[str] = []
    unusable: list[Unreadable] = []
    other_files = 0
    seen: set[tuple[int, int]] = set()
    waiting = deque([""])
    while waiting:
        below = waiting.popleft()
        try:
            entries = _new_entries(root / below, seen)
        except OSError as error:
            unusable.append(Unreadable(printable(below or "./"), reason_of(error)))
            continue
        folders = [entry for entry in entries if _is_folder(entry)]
        waiting.extendleft(f"{below}{entry.name}/" for entry in reversed(folders) if not entry.is_symlink())
        waiting.extend(f"{below}{entry.name}/" for entry in folders if entry.is_symlink())
        files = [below + entry.name for entry in entries if not _is_folder(entry)]
        pictures = [name for name in files if os.path.splitext(name)[1].lower() in SUFFIXES]
        other_files += len(files) - len(pictures)
        faults = _name_faults(pictures)
        unusable += faults.values()
        names += [name for name in pictures if name not in faults]
    return sorted(names, key=str.encode), unusable, other_files


def _new_entries(folder: Path, seen: set[tuple[int, int]]) -> "list[os.DirEntry[str]]":
    """Return a folder's visible entries in order; none if it was seen before. It is marked as seen."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return []
    seen.add(identity)
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: os.fsencode(e.name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it will name the reason
        return False


def _name_faults(names: Iterable[str]) -> dict[str, Unreadable]:
    faults = {}
    for name in names:
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            faults[name] = Unreadable(printable(name), "its name is not UTF-8")
        else:
            if size > MAX_NAME_BYTES:
                faults[name] = Unreadable(printable(name), f"its name has {size} bytes; {MAX_NAME_BYTES} are allowed")
            elif "\n" in name or is_forbidden_name(name):
                faults[name] = Unreadable(printable(name), "its name holds a character that no name in a file may hold")
    return faults


def read_file(root: Path, name: str) -> bytes:
    """Return the bytes of a regular file of sensible size.

    Raises:
        BadFile: it is missing, empty, too large, unreadable, or no regular file.
    """
    path = root / name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            raise BadFile("it is not a regular file")
        if status.st_size == 0:
            raise BadFile("it is empty")
        if status.st_size > MAX_FILE_BYTES:
            raise BadFile(f"it has {status.st_size} bytes; {MAX_FILE_BYTES} are allowed")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(reason_of(error)) from error
