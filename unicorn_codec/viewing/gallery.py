"""What the gallery shows of one archive: its facts, thumbnails, and pictures at full size.

Facts and quick thumbnails need no torch, which takes seconds to load: that begins once a wall of quick ones is shown.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import PurePosixPath
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from unicorn_codec.config import MAX_PIXELS
from unicorn_codec.errors import FormatError, UnicornError
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import EXACT
from unicorn_codec.format.sources import is_url, open_source, stem_of
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.pictures.output_files import output_names
from unicorn_codec.pictures.picture_writing import WRITE_FORMATS, encode_picture, encode_with_metadata
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.viewing.catalogue import dates, facts, listing
from unicorn_codec.viewing.small_pictures import Kept, QuickDecoder, Thumbnail, encode_small

if TYPE_CHECKING:  # at run time it would load torch
    from unicorn_codec.archive import Archive

SHARP_TOGETHER = 4
"""Pictures that are decoded together for thumbnails: few, so that a picture at full size need not wait long."""

KEPT_PICTURE_BYTES = 64 << 20
KEPT_QUICK_BYTES = 8 << 20

MOST_PREPARED = 64
"""Thumbnails that are made before the page asks for any: about a wall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A picture's file: its bytes and its name without folders."""

    name: str
    data: bytes


class Gallery:
    """An open archive for showing. Thread-safe: one picture or batch is decoded at a time.

    Args:
        path: of the archive, or a URL.
        device, autoencoder, max_pixels: as for ``Archive.open``.

    Raises:
        ArchiveUnreadable, FormatError: the file is missing, or no archive.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        device: str = "auto",
        autoencoder: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.path, self.max_pixels = path, max_pixels
        self._settings = {"device": device, "autoencoder": autoencoder, "max_pixels": max_pixels}
        source = open_source(path)
        try:
            self.reader = ContainerReader(source)
        except BaseException:
            source.close()
            raise
        self._archive: Archive | None = None
        self._decoding, self._opening = Lock(), Lock()
        self._quick = QuickDecoder(self.reader, max_pixels)
        self._thumbnails, self._pictures = Kept(), Kept(KEPT_PICTURE_BYTES)
        self._quick_kept, self._asked = Kept(KEPT_QUICK_BYTES), Event()
        self._preparing: Thread | None = None

    def close(self) -> None:
        """Close the archive."""
        self._asked.set()
        if self._preparing is not None:
            self._preparing.join()
        with self._opening:
            if self._archive is not None:
                self._archive.close()
        self.reader.source.close()

    def prepare(self) -> None:
        """Make quick thumbnails of the first wall ahead, in a thread, until the page asks for thumbnails.

        Of an archive behind a URL only one, so that no request is made for what nobody looks at.
        """

        def work() -> None:
            with suppress(UnicornError):  # shown where somebody asks for it
                columns = self.listing["columns"]
                most = 1 if is_url(self.path) else MOST_PREPARED
                by_name = sorted(zip(columns["name"], columns["index"], strict=True))
                for thumbnail in self._quick.thumbnails(index for _, index in by_name[:most]):
                    self._keep_quick(thumbnail)
                    if self._asked.is_set():
                        return

        self._preparing = Thread(target=work, daemon=True)
        self._preparing.start()

    @property
    def title(self) -> str:
        """Name of the archive."""
        return stem_of(self.path)

    @cached_property
    def listing(self) -> dict[str, Any]:
        """Totals and columns, see ``catalogue.listing``; with ``has_dates`` where dates take no request each."""
        return {**listing(self.reader, self.title), "has_dates": not is_url(self.path)}

    @cached_property
    def indices(self) -> frozenset[int]:
        """Indices of the listed pictures."""
        return frozenset(self.listing["columns"]["index"])

    @cached_property
    def dates(self) -> list[str | None]:
        """Date of each listed picture."""
        return dates(self.reader, self.listing["columns"]["index"])

    def facts(self, index: int) -> dict[str, Any]:
        """Return all facts of a picture. Raises as ``catalogue.facts``."""
        return {**facts(self.reader, index), "download": self._download_name(index)}

    def thumbnails(self, indices: Sequence[int]) -> Iterator[Thumbnail]:
        """Yield thumbnails of pictures: quick ones at once, then a sharp one for each that was not final.

        Args:
            indices: of listed pictures; others are skipped.
        """
        waiting = []
        for index in filter(self.indices.__contains__, indices):
            kept = self._thumbnails.get(index)
            if kept is None:
                waiting.append(index)
            else:
                yield Thumbnail(index, kept, True)
        done = set[int]()
        for thumbnail in self._quick_ones(waiting):
            if thumbnail.is_final:
                done.add(thumbnail.index)
            yield thumbnail
        unsharp = [index for index in waiting if index not in done]
        for start in range(0, len(unsharp), SHARP_TOGETHER):
            yield from self._sharp(unsharp[start : start + SHARP_TOGETHER])

    def _quick_ones(self, indices: Sequence[int]) -> Iterator[Thumbnail]:
        """Yield quick thumbnails: those that are kept, then all others."""
        self._asked.set()
        ahead = {index: data for index in indices if (data := self._quick_kept.get(index)) is not None}
        yield from (Thumbnail(index, data, False) for index, data in ahead.items())
        for thumbnail in self._quick.thumbnails(index for index in indices if index not in ahead):
            self._keep_quick(thumbnail)
            yield thumbnail

    def _keep_quick(self, thumbnail: Thumbnail) -> None:
        if thumbnail.data:
            (self._thumbnails if thumbnail.is_final else self._quick_kept).put(thumbnail.index, thumbnail.data)

    def _sharp(self, indices: Sequence[int]) -> Iterator[Thumbnail]:
        found = dict[int, bytes]()
        try:
            archive = self._opened()
            with self._decoding:
                for index, pixels in archive.iterate(indices, on_error=lambda *_: None):
                    found[index] = self._thumbnails.put(index, encode_small(pixels))
        except UnicornError:  # the page shows why when the picture is opened
            pass
        for index in indices:
            yield Thumbnail(index, found.get(index, b""), True)

    def picture(self, index: int) -> bytes:
        """Return a PNG file of a picture at full size, without metadata.

        Raises as ``Archive.decode``.
        """
        kept = self._pictures.get(index)
        return kept if kept is not None else self._pictures.put(index, encode_picture(self.pixels(index)))

    def pixels(self, index: int) -> Pixels:
        """Return the pixels of a picture. Raises as ``Archive.decode``."""
        archive = self._opened()
        with self._decoding:
            ((_, pixels),) = archive.iterate([index])
        return pixels

    def iterate(
        self, indices: Sequence[int], on_error: Callable[[int, FormatError], None]
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield pictures as ``Archive.iterate`` does."""
        archive = self._opened()
        with self._decoding:
            yield from archive.iterate(indices, on_error=on_error)

    def select(self, choose: Callable[["Archive"], list[int]]) -> list[int]:
        """Return what is chosen of the open archive, as far as it is pictures."""
        archive = self._opened()
        return [index for index in choose(archive) if archive.is_picture(index)]

    def download(self, index: int) -> Download:
        """Return a picture in the format of its original, with its metadata; an exact one as its own file.

        Pictures in formats that are not written, such as camera raw, come as PNG. Raises as ``Archive.decode``.
        """
        name, archive = self._download_name(index), self._opened()
        if self.reader.row(index).codec == EXACT:
            return Download(name=name, data=b"".join(archive.file_pieces(index)))
        try:
            metadata = archive.metadata(index)
        except FormatError:
            metadata = PictureMetadata()
        data, _ = encode_with_metadata(self.pixels(index), PurePosixPath(name).suffix, metadata)
        return Download(name=name, data=data)

    def _download_name(self, index: int) -> str:
        try:
            name = self.reader.name(index) or str(index)
        except FormatError:
            name = str(index)
        suffix = PurePosixPath(name).suffix.lower()
        is_exact = self.reader.row(index).codec == EXACT
        (path,) = output_names([name], suffix if suffix in WRITE_FORMATS else ".png", [0] if is_exact else [])
        return path.rsplit("/", 1)[-1]

    def _opened(self) -> "Archive":
        """Return the archive, opened and with torch loaded."""
        from unicorn_codec.archive import Archive

        with self._opening:
            if self._archive is None:
                self._archive = Archive.open(self.path, **self._settings)  # type: ignore[arg-type]
            return self._archive
