"""Files below a URL, read through fsspec as members of a shard."""

import io
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from unicorn_codec.errors import ImageFolderError, PackageMissing
from unicorn_codec.format.stored_files import NANOSECONDS
from unicorn_codec.pictures.picture_files import MAX_FILE_BYTES
from unicorn_codec.shards.members import Member

_USER = re.compile(r"//[^/@]*@")
_TIMES = ("mtime", "LastModified", "last_modified", "updated")
"""Names under which file systems know when a file was modified."""


def read_remote(url: str, progress: Callable[[int, int], None] = lambda *_: None) -> Iterator[Member]:
    """Yield all files below a URL, in the order of their names.

    Args:
        progress: called with the number of files that were read, and of all.

    Raises:
        ImageFolderError: the URL is unknown, or cannot be read.
        PackageMissing: fsspec, or what it needs for this kind of URL, is not installed.
    """
    shown = without_password(url)
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise PackageMissing("reading from a URL needs fsspec: pip install 'unicorn-codec[remote]'") from error
    try:
        files, root = url_to_fs(url)
        found: dict[str, dict[str, Any]] = files.find(root, detail=True)
        prefix = root.rstrip("/") + "/"
        for done, (path, info) in enumerate(sorted(found.items()), start=1):
            size = int(info["size"] or 0)
            content = io.BytesIO(files.cat_file(path)) if size <= MAX_FILE_BYTES else None
            yield Member(path.removeprefix(prefix), size, content, _modified_ns(info))
            progress(done, len(found))
    except ImportError as error:
        raise PackageMissing(f"{shown}: {error}") from error
    except Exception as error:  # each protocol has its own errors
        raise ImageFolderError(f"{shown}: {error}") from error
    if not found:
        raise ImageFolderError(f"{shown} holds no files")


def without_password(url: str) -> str:
    """Return a URL without the name and password of a user."""
    return _USER.sub("//", url)


def _modified_ns(info: dict[str, Any]) -> int | None:
    """Return when a file was modified, in nanoseconds since 1970 UTC; None if the file system does not know."""
    known = next((info[name] for name in _TIMES if name in info), None)
    if isinstance(known, datetime):
        known = known.timestamp()
    if not isinstance(known, int | float) or not math.isfinite(known):
        return None
    return int(known * NANOSECONDS)
