"""Tar files, such as shards of WebDataset: read as a stream, compressed or not, and written."""

import io
import lzma
import math
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from unicorn_codec.errors import ImageFolderError
from unicorn_codec.format.limits import MAX_TIME
from unicorn_codec.format.stored_files import NANOSECONDS
from unicorn_codec.pictures.picture_files import reason_of, stored_name
from unicorn_codec.shards.exporting import Export
from unicorn_codec.shards.members import Member

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_KINDS = {
    tarfile.SYMTYPE: "a link",
    tarfile.LNKTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}


class _Header(tarfile.TarInfo):
    """Header of a member, or a block of the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a block. Raise ``ReadError`` instead of a header's error where there is none, which would be an end."""
        if not buf:
            raise tarfile.ReadError(
                "it has no end; it was cut after a member, or never finished. Unpack it, and use the folder, if what "
                "it holds is all there should be"
            )
        return super().frombuf(buf, encoding, errors)


def read_tar(path: Path) -> Iterator[Member]:
    """Yield the members of a tar file in their order, without folders.

    Raises:
        ImageFolderError: it is missing, no tar file, damaged, or without its end.
    """
    with _refusing(path), tarfile.open(path, "r|*", tarinfo=_Header) as tar:
        for info in tar:
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps them all
            if not info.isdir():
                yield _member(tar, info, path)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Raise what reading a tar file raises as ``ImageFolderError``."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ImageFolderError(f"{path}: no tar file, or a damaged one: {error}") from error
    except OSError as error:
        raise ImageFolderError(f"{path}: {reason_of(error)}") from error


class _Content(io.RawIOBase):
    """Content of a member, whose errors are those of ``read_tar``."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _refusing(self._path):
            found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> Member:
    name = stored_name(info.name)
    if not info.isreg() or info.issparse():
        kind = "a sparse file" if info.isreg() else _KINDS.get(info.type, "no regular file")
        return Member(name, info.size, None, fault=f"{kind}, in a tar file")
    modified = float(info.mtime)
    is_time = math.isfinite(modified) and abs(modified) < MAX_TIME
    content = tar.extractfile(info)
    assert content is not None, "a regular member has content"
    return Member(name, info.size, _Content(content, path), int(modified * NANOSECONDS) if is_time else None)


def write_tar(export: Export, file: IO[bytes]) -> list[int]:
    """Write members of an archive as a tar file, and return the indices of those that were written."""
    written = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in export.files():
            info = tarfile.TarInfo(one.path)
            info.size, info.mode = len(one.data), 0o644
            if one.modified_ns is not None:
                seconds, rest = divmod(one.modified_ns, NANOSECONDS)
                info.mtime = one.modified_ns / NANOSECONDS if rest else seconds
            tar.addfile(info, io.BytesIO(one.data))
            tar.members.clear()  # type: ignore[attr-defined]
            written.append(one.index)
    return written
