"""Files of a folder that an archive stores whole: exact pictures, and files that are no pictures."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from unicorn_codec.errors import ImageFolderError
from unicorn_codec.format.columns import Integers
from unicorn_codec.format.limits import MAX_TIME
from unicorn_codec.format.pages import IDENTICAL_PSNR, UNKNOWN_PSNR
from unicorn_codec.format.stored_files import NANOSECONDS, StoredFile, record_of_file
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.pictures.original_files import Add, store_file
from unicorn_codec.pictures.picture_files import native_name, printable, reason_of
from unicorn_codec.pictures.picture_folder import Folder

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class WholeFiles:
    """The exact pictures and other files of a folder, one of which is in memory at a time, or a piece of it."""

    folder: Folder

    def __len__(self) -> int:
        return len(self.folder.exact) + len(self.folder.others)

    def names(self) -> Iterator[str]:
        """Yield the names of all files, exact pictures first."""
        yield from self.folder.exact.names
        yield from (file.name for file in self.folder.others)

    def write(
        self, writer: ContainerWriter, indices: Integers, decoder: int, progress: Progress = lambda *_: None
    ) -> None:
        """Write the records of all files, and the pieces of large ones.

        Args:
            indices: of the files, in the order of their names.
            decoder: any of the archive's.

        Raises:
            ImageFolderError: a file vanished, or a picture's changed since the folder was listed.
        """
        exact = self.folder.exact
        for place, (name, index) in enumerate(zip(self.names(), indices, strict=True)):
            picture = exact[place] if place < len(exact) else None
            stored, modified = stored_with_time(self.folder.root, name, writer.add_piece)
            if picture is not None and stored.sha256.hex() != picture.sha256:
                raise ImageFolderError(f"{self.folder.root / printable(name)}: it changed since the folder was listed")
            size = None if picture is None else (picture.width, picture.height)
            record = record_of_file(int(index), stored, size=size, decoder=decoder, modified=modified)
            writer.add(record, name, psnr=UNKNOWN_PSNR if picture is None else IDENTICAL_PSNR)
            progress(place + 1, len(self))


def stored_with_time(root: Path, name: str, add_piece: Add) -> tuple[StoredFile, int | None]:
    """Store a file of a folder, and return it with its time of modification in seconds since 1970, if that has a place.

    Raises ``ImageFolderError`` if it cannot be read.
    """
    try:
        with open(root / native_name(name), "rb") as file:
            status = os.fstat(file.fileno())
            stored = store_file(file, status.st_size, add_piece)
    except OSError as error:
        raise ImageFolderError(f"{root / printable(name)}: {reason_of(error)}") from error
    seconds, beyond = divmod(status.st_mtime_ns, NANOSECONDS)
    return (replace(stored, nanoseconds=beyond), seconds) if abs(seconds) < MAX_TIME else (stored, None)
