"""A plugin of Pillow: importing this module makes ``Image.open`` read archives.

Pillow imports the plugins of its own package alone, and has no entry point for those of others.

>>> import unicorn_codec.pillow_plugin  # doctest: +SKIP
>>> with Image.open("out.uni") as image:  # doctest: +SKIP
...     image.seek(3)
...     image.save(f"{image.info['index']}.png")

Opening and seeking read the index alone; torch is imported when the pixels of a picture are needed first.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from unicorn_codec.errors import FormatError, PictureTooLarge, UnicornError
from unicorn_codec.format.opening import SIGNATURE
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import EXACT
from unicorn_codec.format.sources import StreamSource
from unicorn_codec.metadata import PictureMetadata, metadata_of

if TYPE_CHECKING:
    from unicorn_codec.archive import Archive

FORMAT = "UNI"


class UniImageFile(ImageFile.ImageFile):
    """An archive as an image of many frames: its pictures, in ascending order of their indices.

    ``info`` of each frame has ``name`` and ``index``, and where the archive knows them ``date``, ``exif``, ``xmp``,
    ``iptc`` and ``texts`` (of PNG files, by keyword). An exact picture has the last four, and its transparency, once it
    is loaded: they lie in its file.
    """

    format = FORMAT
    format_description = "unicorn-codec archive"
    _close_exclusive_fp_after_loading = False

    def _open(self) -> None:
        assert self.fp is not None, "Pillow opens the file"
        name = os.fsdecode(self.filename) if self.filename else "the archive"
        try:
            self._reader = ContainerReader(StreamSource(self.fp, name))
            self.n_frames = self._reader.footer.pictures
            self._indices = np.zeros(0, np.int64)
            self._leaves = self._reader.leaves()
            self._archive: Archive | None = None
            if not self.n_frames:
                raise UnidentifiedImageError(f"{name} holds no pictures")
            self._show(0)
        except UnicornError as error:
            raise UnidentifiedImageError(f"{name}: {error}") from error
        self.is_animated = self.n_frames > 1

    def seek(self, frame: int) -> None:
        """Go to a picture. Raises ``EOFError`` beyond the last one, and ``OSError`` if the index is damaged."""
        if self._seek_check(frame):
            try:
                self._show(frame)
            except UnicornError as error:
                raise OSError(str(error)) from error

    def tell(self) -> int:
        return self._frame

    def load(self) -> Any:
        """Decode the picture. Raises ``OSError`` if it is damaged, or its model is not available."""
        if self._im is None:
            try:
                self._decode()
            except PictureTooLarge as error:
                raise Image.DecompressionBombError(str(error)) from error
            except UnicornError as error:
                raise OSError(str(error)) from error
        return super().load()

    def _show(self, frame: int) -> None:
        """Become a frame of unknown pixels."""
        index = self._index_of(frame)
        row, name = self._reader.row(index), self._reader.name(index) or str(index)
        self.info = {"name": name, "index": index}
        if row.codec != EXACT:
            self._add_metadata(metadata_of(self._reader, row))
        is_opaque = row.codec == EXACT or not self._reader.details(row).alpha_bytes
        self._frame, self._row = frame, row
        self._become(None, "RGB" if is_opaque else "RGBA", (row.width, row.height))

    def _index_of(self, frame: int) -> int:
        """Return the index of a frame's picture; pages of the index are read as far as they are needed."""
        while frame >= self._indices.size:
            leaf = next(self._leaves, None)
            if leaf is None:
                raise FormatError(f"the index lists {self._indices.size} pictures, the footer {self.n_frames}")
            self._indices = np.concatenate([self._indices, leaf.pictures])
        return int(self._indices[frame])

    def _decode(self) -> None:
        from unicorn_codec.archive import Archive

        if self._archive is None:
            self._archive = Archive.open(self._reader.source)
        (image,) = self._archive.decode([self._row.index])
        if self._row.codec == EXACT:
            self._add_metadata(self._archive.metadata(self._row.index))
        self._become(image.im, image.mode, image.size)

    def _become(self, pixels: Any, mode: str, size: tuple[int, int]) -> None:
        self._im, self._mode, self._size, self.tile = pixels, mode, size, []
        self._exif = None  # Pillow keeps the one of the frame before

    def _add_metadata(self, known: PictureMetadata) -> None:
        found = {
            "date": known.date,
            "exif": known.exif,
            "xmp": known.xmp,
            "iptc": known.iptc,
            "texts": dict(known.texts),
        }
        self.info.update({key: value for key, value in found.items() if value})

    _row: Row


def is_archive(prefix: bytes) -> bool:
    """Return whether a file's first bytes are those of an archive."""
    return prefix.startswith(SIGNATURE)


Image.register_open(FORMAT, UniImageFile, is_archive)
Image.register_extension(FORMAT, ".uni")
