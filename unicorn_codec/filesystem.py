"""An archive as a read-only file system of fsspec: a folder of picture files, local or behind a URL.

>>> import fsspec
>>> with fsspec.open("uni://cats/1.png::https://host/out.uni") as file:  # doctest: +SKIP
...     png = file.read()

Files have the names that ``unicorn unpack`` gives them. A picture is encoded when its file is read.
"""

import errno
import io
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any

import fsspec

from unicorn_codec.archive import Archive
from unicorn_codec.config import MAX_PIXELS
from unicorn_codec.errors import FormatError, UnicornError
from unicorn_codec.format.sources import FileSource, FileSystemSource, Source, StreamSource
from unicorn_codec.pictures.output_files import names_of_output, output_names
from unicorn_codec.pictures.picture_writing import encode_with_metadata, write_format
from unicorn_codec.pictures.transparency import Colour

CACHE_BYTES = 1 << 26
"""Of encoded files, kept because their size is asked for before they are read."""

FILE_MODE, FOLDER_MODE = 0o444, 0o555
_NUMBERED = re.compile(r" \(\d+\)\.[^/.]*$")
_LOCAL = ("file", "local")


@dataclass(slots=True)
class Listing:
    """Every file of an archive.

    Args:
        files: index by path.
        children: paths of files and folders in each folder; the root is the empty path.
    """

    files: dict[str, int]
    children: dict[str, set[str]] = field(default_factory=lambda: {"": set()})

    def __post_init__(self) -> None:
        for path in self.files:
            while path:
                folder = parent_of(path)
                is_known = folder in self.children
                self.children.setdefault(folder, set()).add(path)
                path = "" if is_known and folder else folder


def parent_of(path: str) -> str:
    """Return the folder of a path; the empty path for the root."""
    return path.rpartition("/")[0]


class UniFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """The pictures of an archive as PNG files, and its whole files as they are. Read-only.

    The size of a picture's file is known once it is encoded: ``info`` of a single file decodes it, and ``ls`` gives
    None for files that were not read yet.

    Args:
        fo: the archive: a path, a URL or an open binary file.
        target_protocol, target_options: of the file system that ``fo`` is a path of; set by chained URLs.
        format: of pictures: png, jpg, webp, avif, tif or bmp. Exact pictures and other files keep their own.
        device: auto, cpu or cuda.
        background: (R, G, B) onto which transparent pictures are flattened.
        max_pixels: limit of decoded pictures.
        cache_bytes: limit of encoded files that are kept.
    """

    protocol = "uni"
    root_marker = ""
    cachable = False  # an archive may grow

    def __init__(
        self,
        fo: Any = "",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        *,
        format: str = "png",
        device: str = "auto",
        background: Colour | None = None,
        max_pixels: int = MAX_PIXELS,
        cache_bytes: int = CACHE_BYTES,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._suffix = "." + format.removeprefix(".")
        write_format(self._suffix)
        source = source_of(fo, target_protocol, target_options or {})
        self.archive = Archive.open(source, device=device, max_pixels=max_pixels)
        self._background = background
        self._lock = RLock()
        self._encoded: OrderedDict[int, bytes] = OrderedDict()
        self._room = cache_bytes
        self._sizes: dict[int, int] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path)
        return stripped.strip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """List a folder, or a single file. Raises ``FileNotFoundError``."""
        path, listing = self._strip_protocol(path), self._listing
        if path in listing.children:
            paths = sorted(listing.children[path])
        elif path in listing.files:
            paths = [path]
        else:
            raise FileNotFoundError(errno.ENOENT, "no such file in the archive", path)
        return [self._entry(one) for one in paths] if detail else paths

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe a file or folder. Of a file, this decodes the picture. Raises ``FileNotFoundError``, ``OSError``."""
        path = self._strip_protocol(path)
        index = self._find(path)
        if index is None:
            return {"name": path, "type": "directory", "size": 0, "mode": FOLDER_MODE}
        with self._lock, reported():
            size = self._size(index)
            modified = self.archive.reader.details(self.archive.reader.row(index)).modified
        times = {} if modified is None else {"mtime": modified, "created": modified}
        return {"name": path, "type": "file", "size": size, "mode": FILE_MODE, "index": index, **times}

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether a path is a file or folder, without decoding it."""
        try:
            self._find(self._strip_protocol(path))
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: str) -> bool:
        """Return whether a path is a file, without decoding it."""
        path = self._strip_protocol(path)
        return self.exists(path) and self._find(path) is not None

    def isdir(self, path: str) -> bool:
        """Return whether a path is a folder."""
        path = self._strip_protocol(path)
        return self.exists(path) and self._find(path) is None

    def du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **_: Any
    ) -> int | dict[str, int]:
        """Return the bytes of all files below a path, which decodes them."""
        paths = self.find(path, maxdepth=maxdepth, withdirs=withdirs)
        sizes = {one: self.info(one)["size"] for one in paths}
        return sum(sizes.values()) if total else sizes

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return the bytes of a file, or a range of them. Raises ``FileNotFoundError``, ``OSError``."""
        return self._read(path)[start:end]

    def _open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> io.BytesIO:
        if mode != "rb":
            raise OSError(errno.EROFS, "archives are read-only", path)
        return io.BytesIO(self._read(path))

    def _read(self, path: str) -> bytes:
        path = self._strip_protocol(path)
        index = self._find(path)
        if index is None:
            raise IsADirectoryError(errno.EISDIR, "is a folder", path)
        with self._lock, reported():
            return self._bytes(index)

    def _entry(self, path: str) -> dict[str, Any]:
        """Describe a file or folder as far as that is known without decoding."""
        if path in self._listing.children:
            return {"name": path, "type": "directory", "size": 0, "mode": FOLDER_MODE}
        index = self._listing.files[path]
        return {"name": path, "type": "file", "size": self._sizes.get(index), "mode": FILE_MODE, "index": index}

    # Names

    @cached_property
    def _listing(self) -> Listing:
        with self._lock, reported():
            names = self.archive.readable_names
            whole = {place for place, index in enumerate(names) if self.archive.is_whole(index)}
            return Listing(dict(zip(output_names(list(names.values()), self._suffix, whole), names, strict=True)))

    def _find(self, path: str) -> int | None:
        """Return the index of a file; None for a folder. Raises ``FileNotFoundError``.

        A file that is known by its name is found without a listing of all files.
        """
        if path and "_listing" not in self.__dict__ and not _NUMBERED.search(path):
            with self._lock, reported():
                index = next(self._found_by_name(path), None)
            if index is not None:
                return index
        if path in self._listing.children:
            return None
        if path not in self._listing.files:
            raise FileNotFoundError(errno.ENOENT, "no such file in the archive", path)
        return self._listing.files[path]

    def _found_by_name(self, path: str) -> Iterator[int]:
        for name, is_whole in names_of_output(path, self._suffix):
            for index in self.archive.find(name):
                if self.archive.name(index) == name and self.archive.is_whole(index) == is_whole:
                    yield index

    # Bytes

    def _size(self, index: int) -> int:
        if index not in self._sizes:
            is_whole = self.archive.is_whole(index)
            size = self.archive.stored_file(index).file_bytes if is_whole else len(self._bytes(index))
            self._sizes[index] = size
        return self._sizes[index]

    def _bytes(self, index: int) -> bytes:
        if index in self._encoded:
            self._encoded.move_to_end(index)
            return self._encoded[index]
        data = self._encode(index)
        self._sizes[index] = len(data)
        self._encoded[index] = data
        self._room -= len(data)
        while self._room < 0:
            self._room += len(self._encoded.popitem(last=False)[1])
        return data

    def _encode(self, index: int) -> bytes:
        if self.archive.is_whole(index):
            return b"".join(self.archive.file_pieces(index))
        (pixels,) = dict(self.archive.iterate([index], background=self._background)).values()
        return encode_with_metadata(pixels, self._suffix, self.archive.metadata(index))[0]


@contextmanager
def reported() -> Iterator[None]:
    """Raise errors of the library as those that users of a file system expect."""
    try:
        yield
    except UnicornError as error:
        raise OSError(errno.EIO if isinstance(error, FormatError) else errno.EINVAL, str(error)) from error


def source_of(fo: Any, protocol: str | None, options: dict[str, Any]) -> Source:
    """Open the archive of a file system. Raises ``ArchiveUnreadable``."""
    if hasattr(fo, "read"):
        return StreamSource(fo)
    path = str(fo)
    if protocol in _LOCAL or (protocol is None and "://" not in path and "::" not in path):
        return FileSource(fsspec.filesystem("file")._strip_protocol(path))
    if protocol is None:
        files, path = fsspec.core.url_to_fs(path, **options)
    else:
        files = fsspec.filesystem(protocol, **options)
        path = files._strip_protocol(path)
    return FileSystemSource(files, path, str(fo))
