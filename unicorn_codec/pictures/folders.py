"""Walk of a folder: candidate pictures, and every other file with the reason why it is left out."""

import os
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from unicorn_codec.atomic_files import is_partial_of
from unicorn_codec.checkpoints import checkpoint_path, portions_path
from unicorn_codec.pictures.picture_files import (
    SUFFIXES,
    BadFile,
    LeftOut,
    OtherFile,
    fault,
    is_readable,
    name_fault,
    printable,
    read_head,
    reason_of,
    stored_name,
)
from unicorn_codec.pictures.recognise import HEAD_BYTES, recognise

MAX_HIDDEN_FILES = 1000
"""Maximum number of files examined below a hidden folder, to find out whether it holds pictures."""

_IS_OUTPUT = "the archive itself, or its unfinished work"

Identity = tuple[int, int] | str


@dataclass(slots=True)
class FoundFiles:
    """Result of a walk.

    Args:
        names: files with a picture's content or suffix; relative, with ``/``, in the order of their UTF-8 bytes.
        others: files without, if they are kept.
        left_out: all others, in the same order; a hidden folder counts as one.
    """

    names: list[str] = field(default_factory=list)
    others: list[OtherFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def find_files(root: Path, *, keep_others: bool = False, output: Path | None = None) -> FoundFiles:
    """Walk a folder, and list everything in it.

    Each folder is visited once, by its real path if that is below the root, else through a link, so loops end.

    Args:
        keep_others: list regular files that are not read as pictures as kept, hidden ones too.
        output: archive that is left out, with its checkpoint and its temporary files, should it lie below the folder.
    """
    found = FoundFiles()
    seen: set[Identity] = set()
    waiting = deque([""])
    while waiting:
        below = waiting.popleft()
        try:
            entries = _new_entries(root / below, seen)
        except OSError as error:
            found.left_out.append(fault(stored_name(below) or "./", reason_of(error)))
            continue
        entries = [entry for entry in entries if not _is_work_folder(entry, output)]
        folders = [entry for entry in entries if _is_folder(entry) and (keep_others or not _is_hidden(entry.name))]
        waiting.extendleft(f"{below}{entry.name}/" for entry in reversed(folders) if not entry.is_symlink())
        waiting.extend(f"{below}{entry.name}/" for entry in folders if entry.is_symlink())
        for entry in entries:
            if _is_folder(entry) and (keep_others or not _is_hidden(entry.name)):
                continue
            path, name = Path(entry.path), stored_name(below + entry.name)
            if output is not None and _is_of_output(entry, output):
                found.left_out.append(
                    LeftOut(name=printable(name), reason=_IS_OUTPUT, is_picture=False, is_fault=False)
                )
                continue
            left = _why_left_out(path, name, is_folder=_is_folder(entry))
            if left is None:
                found.names.append(name)
            elif keep_others and is_storable(path, name):
                found.others.append(OtherFile(name, left.reason))
            else:
                found.left_out.append(left)
    found.names.sort(key=str.encode)
    found.others.sort(key=lambda file: file.name.encode())
    found.left_out.sort(key=lambda file: file.name)
    return found


def named_files(names: Iterable[str]) -> FoundFiles:
    """Return files by their names relative to a folder. Names that lead outside it are faults."""
    found = FoundFiles()
    for name in sorted({name.removeprefix("./") for name in names}, key=str.encode):
        leads_outside = name.startswith("/") or ".." in name.split("/")
        reason = "its name leads outside the folder" if leads_outside else name_fault(name)
        if reason is None:
            found.names.append(name)
        else:
            found.left_out.append(fault(name, reason))
    return found


def _is_work_folder(entry: "os.DirEntry[str]", output: Path | None) -> bool:
    """Return whether a folder holds the unfinished portions of an archive."""
    if output is None or entry.name != portions_path(output).name or not _is_folder(entry):
        return False
    return os.path.realpath(entry.path) == os.path.realpath(portions_path(output))


def _is_of_output(entry: "os.DirEntry[str]", output: Path) -> bool:
    """Return whether a file is an archive, its checkpoint, or a temporary file of it, also through a link."""
    if entry.name not in (output.name, checkpoint_path(output).name) and not (
        entry.is_symlink() or is_partial_of(output, entry.name)
    ):
        return False
    target, real = os.path.realpath(entry.path), os.path.realpath(output)
    folder, name = os.path.split(target)
    if target in (real, os.fspath(checkpoint_path(Path(real)))):
        return True
    return folder == os.path.dirname(real) and is_partial_of(output, name)


def alike_names(names: Iterable[str]) -> list[str]:
    """Return the names that differ from another one only in Unicode's normal form."""
    listed = list(names)
    counted = Counter(unicodedata.normalize("NFC", name) for name in listed)
    return [name for name in listed if counted[unicodedata.normalize("NFC", name)] > 1]


def is_storable(path: Path, name: str) -> bool:
    """Return whether an archive can hold a file whole: it is a regular one of a name that can be stored."""
    return name_fault(name) is None and is_readable(path)


def _why_left_out(path: Path, name: str, *, is_folder: bool) -> LeftOut | None:
    """Return why a file or hidden folder is left out; None for a file that may be a picture."""
    if any(map(_is_hidden, name.split("/"))):
        return _hidden(path, name, is_folder=is_folder)
    calls_itself_picture = os.path.splitext(name)[1].lower() in SUFFIXES
    left = None if calls_itself_picture else _unread(path, name)
    if left is None and (reason := name_fault(name)) is not None:
        left = fault(name, reason)
    return left


def _unread(path: Path, name: str) -> LeftOut | None:
    """Return why a file without a picture's suffix is left out; None if its content is a supported picture."""
    shown = printable(name)
    try:
        kind = recognise(read_head(path, HEAD_BYTES))
    except BadFile as error:
        return LeftOut(name=shown, reason=f"not a picture: {error}", is_picture=False, is_fault=False)
    if kind.is_read:
        return None
    reason = f"{kind.name}, a picture format that is not read" if kind.is_picture else f"not a picture: {kind.name}"
    return LeftOut(name=shown, reason=reason, is_picture=kind.is_picture, is_fault=False)


def _hidden(path: Path, name: str, *, is_folder: bool) -> LeftOut:
    """Describe a hidden file, or a hidden folder as a single entry."""
    if not is_folder:
        return LeftOut(name=printable(name), reason="hidden file", is_picture=_is_picture(path), is_fault=False)
    holds_pictures = any(map(_is_picture, islice(_files_below(path), MAX_HIDDEN_FILES)))
    reason = "hidden folder, with pictures in it" if holds_pictures else "hidden folder"
    return LeftOut(name=printable(name) + "/", reason=reason, is_picture=holds_pictures, is_fault=False)


def _files_below(folder: Path) -> Iterator[Path]:
    return (Path(top) / name for top, _, names in os.walk(folder) for name in names)


def _is_picture(path: Path) -> bool:
    try:
        return recognise(read_head(path, HEAD_BYTES)).is_picture
    except BadFile:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _new_entries(folder: Path, seen: set[Identity]) -> "list[os.DirEntry[str]]":
    """Return a folder's entries in order, none if it was visited before, and mark it as visited."""
    status = os.stat(folder)
    # Some network shares give all folders the inode number 0.
    identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(folder)
    if identity in seen:
        return []
    seen.add(identity)
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda e: os.fsencode(e.name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself; reading it reports the reason
        return False
