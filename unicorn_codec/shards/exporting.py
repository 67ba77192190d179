"""Members of an archive as files in memory, in the order of their paths."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.concurrency import map_in_threads
from unicorn_codec.decoders.batch_reading import OnError
from unicorn_codec.errors import FormatError
from unicorn_codec.format.stored_files import NANOSECONDS
from unicorn_codec.pictures.picture_writing import encode_with_metadata
from unicorn_codec.pictures.transparency import Colour

PICTURES_AT_ONCE = 64
"""Pictures that are decoded together, and are in memory with their files."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A member of an archive as a file.

    Args:
        path: relative, with ``/``.
        modified_ns: time of modification in nanoseconds since 1970 UTC, if known.
    """

    index: int
    path: str
    data: bytes
    modified_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Which members of an archive are written, and how.

    Args:
        paths: of each member by index.
        whole: indices of members that are written byte for byte.
        suffix: format of the other ones.
        on_error: called for each damaged member, which is left out.
        on_lost: called with the kinds of metadata that the format cannot hold, for each picture.
        on_file: called after each file.
    """

    archive: Archive
    paths: Mapping[int, str]
    whole: Container[int] = ()
    suffix: str = ".png"
    steps: int | None = None
    background: Colour | None = None
    on_error: OnError
    on_lost: Callable[[list[str]], None] = lambda _: None
    on_file: Callable[[], object] = lambda: None

    def files(self) -> Iterator[ExportedFile]:
        """Yield the files in ascending order of their paths, so that those of one sample are neighbours.

        Raises as ``Archive.iterate`` and ``Archive.file_pieces``, but for damaged members.
        """
        ordered = sorted(self.paths, key=lambda index: self.paths[index])
        for at in range(0, len(ordered), PICTURES_AT_ONCE):
            some = ordered[at : at + PICTURES_AT_ONCE]
            decoded = [index for index in some if index not in self.whole]
            pictures = self.archive.iterate(
                decoded, steps=self.steps, background=self.background, on_error=self.on_error
            )
            encoded = dict(map_in_threads(self._encode, pictures))
            for index in some:
                file = encoded.pop(index, None) if index not in self.whole else self._whole_file(index)
                if file is not None:
                    yield file
                self.on_file()

    def _encode(self, picture: tuple[int, np.ndarray]) -> tuple[int, ExportedFile]:
        index, pixels = picture
        metadata = self.archive.metadata(index)
        data, lost = encode_with_metadata(pixels, self.suffix, metadata)
        self.on_lost(lost)
        modified_ns = None if metadata.modified is None else metadata.modified * NANOSECONDS
        return index, ExportedFile(index, self.paths[index], data, modified_ns)

    def _whole_file(self, index: int) -> ExportedFile | None:
        try:
            data = b"".join(self.archive.file_pieces(index))
            return ExportedFile(index, self.paths[index], data, self.archive.modified_ns(index))
        except FormatError as error:
            self.on_error(index, error)
            return None
