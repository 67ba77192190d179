"""A private folder for members of shards that vanishes, at the latest with the next run beside it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unicorn_codec.atomic_files import HAS_LOCKS, lock

PREFIX = ".unicorn-shards-"
_LOCK, _CONTENT = "lock", "members"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder below ``parent``, which is removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent) as name, open(Path(name, _LOCK), "xb") as file:
        with suppress(OSError):  # some file systems have no locks
            lock(file)
        content = Path(name, _CONTENT)
        content.mkdir()
        yield content


def remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders in ``parent`` that killed processes left. Those in use are locked, and stay."""
    if not HAS_LOCKS:  # nothing says which are in use
        return
    with suppress(OSError):
        for abandoned in parent.glob(f"{PREFIX}*"):
            with suppress(OSError), open(abandoned / _LOCK, "rb") as file:
                lock(file)
                shutil.rmtree(abandoned, ignore_errors=True)
