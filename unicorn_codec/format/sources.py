"""Sources of bytes: local files, memory, and URLs opened by fsspec, read by offset."""

import os
import re
from pathlib import Path
from threading import Lock
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from unicorn_codec.errors import ArchiveUnreadable, PackageMissing

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_SEARCHED_AT_ONCE = 1 << 20
_WITHOUT_PASSWORD = re.compile(r"(?<=://)[^/@]*@")


class Source(Protocol):
    """Bytes that can be read at any offset.

    Attributes:
        size: in bytes.
        name: for messages.
    """

    @property
    def size(self) -> int: ...

    @property
    def name(self) -> str: ...

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes at an offset; return fewer only at the end. Raises ``ArchiveUnreadable``."""

    def close(self) -> None:
        """Release resources."""


class Bytes(Protocol):
    """Bytes in memory or in a file, searched and sliced."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> bytes: ...

    def find(self, part: bytes, start: int = ..., end: int = ...) -> int: ...


class MemorySource:
    """Bytes in memory."""

    def __init__(self, data: bytes, name: str = "archive") -> None:
        self._data, self.size, self.name = data, len(data), name

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def close(self) -> None: ...


class FileSource:
    """A local file, with its size at the time of opening. Thread-safe."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115
            self.size = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise ArchiveUnreadable(f"cannot read {self.name}: {error.strerror or error}") from error

    def read(self, offset: int, length: int) -> bytes:
        try:
            if not hasattr(os, "pread"):
                return self._read_at(offset, length)
            parts, left = [], length
            while left and (part := os.pread(self._file.fileno(), left, offset)):
                parts.append(part)
                left -= len(part)
                offset += len(part)
            return b"".join(parts)
        except OSError as error:
            raise ArchiveUnreadable(f"cannot read {self.name}: {error.strerror or error}") from error
        except ValueError as error:
            raise ArchiveUnreadable(f"cannot read {self.name}: {error}") from error

    def _read_at(self, offset: int, length: int) -> bytes:
        with open(self.name, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def close(self) -> None:
        self._file.close()


class StreamSource:
    """An open binary file that can seek, with its size at the time of opening. Thread-safe, but not beside other users.

    ``close`` leaves the file open: it belongs to the caller.
    """

    def __init__(self, file: IO[bytes], name: str = "archive") -> None:
        self._file, self._lock, self.name = file, Lock(), name
        try:
            self.size = file.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:
            raise ArchiveUnreadable(f"cannot read {name}: {error}") from error

    def read(self, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(max(0, min(length, self.size - offset)))
        except (OSError, ValueError) as error:
            raise ArchiveUnreadable(f"cannot read {self.name}: {error}") from error

    def close(self) -> None: ...


class TailedSource:
    """The beginning of another source, followed by other bytes."""

    def __init__(self, source: Source, length: int, tail: bytes) -> None:
        self._source, self._length, self._tail = source, length, tail
        self.size, self.name = length + len(tail), source.name

    def read(self, offset: int, length: int) -> bytes:
        head = self._source.read(offset, min(length, self._length - offset)) if offset < self._length else b""
        begin = max(0, offset - self._length)
        return head + self._tail[begin : max(begin, offset + length - self._length)]

    def close(self) -> None:
        self._source.close()


class FileBytes:
    """The bytes of a file, of which a slice at a time is in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))

    def find(self, part: bytes, start: int = 0, end: int | None = None) -> int:
        """Return the first offset of some bytes between two offsets; -1 without any."""
        end = self._size if end is None else min(end, self._size)
        while start < end:
            window = self[start : min(start + _SEARCHED_AT_ONCE + len(part) - 1, end)]
            place = window.find(part)
            if place >= 0:
                return start + place
            start += _SEARCHED_AT_ONCE
        return -1


class FileSystemSource:
    """A file of a file system of fsspec, read by ranges.

    Args:
        files: the file system.
        name: for messages; it may hold a password, which they then lack.
    """

    def __init__(self, files: Any, path: str, name: str) -> None:
        self.name = _WITHOUT_PASSWORD.sub("", name)
        self._files, self._path = files, path
        try:
            size = files.size(path)
        except Exception as error:  # each protocol has its own errors
            raise ArchiveUnreadable(f"cannot read {self.name}: {self._reason(error)}") from error
        if size is None:
            raise ArchiveUnreadable(f"cannot read {self.name}: the server does not say how long it is")
        self.size = int(size)

    def _reason(self, error: Exception) -> str:
        """Return why a request failed; some protocols say nothing but the URL."""
        reason = str(error.__cause__ or error)
        return "not found, or the server does not answer" if reason in ("", self._path, self.name) else reason

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        try:
            data: bytes = self._files.cat_file(self._path, start=offset, end=offset + length)
        except Exception as error:
            raise ArchiveUnreadable(f"cannot read {self.name}: {self._reason(error)}") from error
        if len(data) > length:  # a server without range requests sends the whole file
            raise ArchiveUnreadable(f"cannot read {self.name}: the server does not read by ranges")
        return data

    def close(self) -> None: ...


def open_url(url: str) -> FileSystemSource:
    """Open a file at a URL. Raises ``ArchiveUnreadable``, or ``PackageMissing`` without fsspec."""
    name = _WITHOUT_PASSWORD.sub("", url)
    try:
        import fsspec
    except ImportError as error:
        raise PackageMissing(f"reading {name} needs fsspec: pip install 'unicorn-codec[remote]'") from error
    try:
        files, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # each protocol has its own errors
        raise ArchiveUnreadable(f"cannot read {name}: {error}") from error
    return FileSystemSource(files, path, name)


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL."""
    return isinstance(path, str) and _URL.match(path) is not None


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a local path or a URL. Raises ``ArchiveUnreadable``, or ``PackageMissing`` without fsspec."""
    return open_url(str(path)) if is_url(path) else FileSource(path)


def stem_of(path: str | os.PathLike[str]) -> str:
    """Return the name of a file or URL without folders and suffix."""
    text = urlsplit(str(path)).path if is_url(path) else os.fspath(path)
    return Path(text).stem
