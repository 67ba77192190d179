"""Files that appear complete or not at all, whatever happens while they are written."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # on systems without it, an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
"""Whether ``lock`` does anything on this system."""

_SUFFIX = ".uni-part"


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file to write. When the block ends without an error, the file is synced to disk and replaces ``path``.

    Until then it lies in the same folder under a temporary name. Temporary files of the same path that a killed process
    left are removed. Those that another process is writing are kept: it holds a lock on them.

    Raises:
        OSError: the file cannot be written. Whatever stood at ``path`` before is untouched.
    """
    prefix = _prefix(path)
    _remove_abandoned(path.parent, prefix)
    partial = path.with_name(f"{prefix}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with open(partial, "xb") as file:
            with suppress(OSError):  # some file systems have no locks
                lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def is_partial_of(path: Path, name: str) -> bool:
    """Return whether a file of the folder of ``path`` has a name of the temporary files of ``path``."""
    return name.startswith(_prefix(path)) and name.endswith(_SUFFIX)


def _prefix(path: Path) -> str:
    # A hash, since a long name with a prefix and a suffix would exceed the file system's limit.
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-"


def _remove_abandoned(folder: Path, prefix: str) -> None:
    for abandoned in folder.glob(f"{prefix}*{_SUFFIX}"):
        with suppress(OSError), open(abandoned, "rb") as file:
            lock(file)
            abandoned.unlink()


def lock(file: IO[bytes]) -> None:
    """Lock an open file. Raise ``OSError`` where another process holds a lock on it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Sync a folder where its file system can: network shares answer EINVAL, ENOTSUP or EIO.

    The file is complete, synced and in its place by then, so nothing that happens here is a failure.
    """
    if os.name != "posix":  # only POSIX systems let a folder be opened
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
