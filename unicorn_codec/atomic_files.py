"""Files that appear whole or not at all, whatever happens while they are written."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # elsewhere an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".uni-part"


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write; when the block ends well it is on the disk and has taken the path's place.

    It lies beside the path until then. What an earlier process left of the same path when it was killed is removed;
    what another process writes at this moment is not: that one holds a lock.

    Raises:
        OSError: it cannot be written; what stood at the path before is then untouched.
    """
    # Not the name itself: with something before and after it, a long one would be too long.
    prefix = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-"
    _remove_abandoned(path.parent, prefix)
    partial = path.with_name(f"{prefix}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with open(partial, "xb") as file:
            with suppress(OSError):  # some file systems have no locks
                _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(folder: Path, prefix: str) -> None:
    for abandoned in folder.glob(f"{prefix}*{_SUFFIX}"):
        with suppress(OSError), open(abandoned, "rb") as file:
            _lock(file)
            abandoned.unlink()


def _lock(file: IO[bytes]) -> None:
    """Lock an open file, or raise ``OSError`` where another process has."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
