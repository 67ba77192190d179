"""Archive: random access to the pictures of a ``.uni`` file.

ContainerReader > decoder of the row > record > CodeDecoder, or NetworkDecoder > picture

What only some pictures need is imported where it is used, so that one picture is unpacked soon after the start.
"""

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np

from unicorn_codec.concurrency import prefetch
from unicorn_codec.config import MAX_PIXELS, ReadOptions
from unicorn_codec.decoders.batch_reading import BatchReader, OnError
from unicorn_codec.decoders.loading import load_decoder, stored_autoencoder
from unicorn_codec.decoders.picture_decoder import PictureDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import (
    AutoencoderMismatch,
    AutoencoderUnavailable,
    CanaryWarning,
    DamagedSectionWarning,
    DecoderMismatch,
    FormatError,
    IndexOutOfRange,
    NotAPicture,
    PictureTooLarge,
)
from unicorn_codec.format.canary import Canary
from unicorn_codec.format.carried_codes import CarriedCode
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.network_table import parse_update
from unicorn_codec.format.pages import Row
from unicorn_codec.format.picture_tiles import is_tiled
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import EXACT, NETWORK, OTHER_FILE
from unicorn_codec.format.sources import Source, open_source
from unicorn_codec.format.stored_files import NANOSECONDS, StoredFile
from unicorn_codec.metadata import PictureMetadata, metadata_of
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.pictures.batches import PICTURES_PER_BATCH
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.pixels import PillowImage, to_image
from unicorn_codec.pictures.transparency import Colour, flatten
from unicorn_codec.transform.autoencoder import Autoencoder, load_autoencoder

WHOLE = (EXACT, OTHER_FILE)
"""Codecs of members whose files come back byte for byte."""

NAMES_PER_LOOKUP = 64
"""Number of names that can be read in the time of one lookup."""


def _raise(index: int, error: FormatError) -> None:
    raise error


class Archive:
    """An open ``.uni`` file: a read-only sequence of pictures, which reads only the required pages and records.

    >>> with Archive.open("out.uni") as archive:  # doctest: +SKIP
    ...     archive[42].save("42.png")
    """

    def __init__(
        self,
        reader: ContainerReader,
        load: Callable[[Decoder], Autoencoder],
        *,
        max_pixels: int = MAX_PIXELS,
        device: str = "auto",
        fast: bool = False,
    ) -> None:
        self.reader = reader
        self.max_pixels = max_pixels
        self._load, self._device, self._fast = load, device, fast
        self._decoders: dict[int, PictureDecoder] = {}
        self._updates: dict[int, bytes] = {}
        self._batches = BatchReader(reader, self.decoder, replace(self.read_options, max_pixels=max_pixels))

    @classmethod
    def open(
        cls,
        path: Path | str | Source,
        *,
        device: str = "auto",
        autoencoder: str | None = None,
        max_pixels: int = MAX_PIXELS,
        fast: bool = False,
    ) -> "Archive":
        """Open a file, or a URL that fsspec reads, for decoding.

        Args:
            path: or a source of bytes, which is then closed with the archive.
            autoencoder: hub name or folder, instead of the name in the file.
            max_pixels: limit of decoded pictures, because a small file can claim any size.
            fast: compute pixels in bfloat16 where the device is faster at it. They differ from exact ones by more than
                the format allows for pictures of noise, and hardly visibly for others.

        Raises:
            FormatError: the file is not a valid archive.
            PackageMissing: a URL is given, and fsspec is not installed.

        Decoding raises ``AutoencoderMismatch`` or ``AutoencoderUnavailable`` if a picture's model is not available.
        """

        def load(decoder: Decoder) -> Autoencoder:
            wanted = decoder.model
            if autoencoder is None and wanted.name not in names(AUTOENCODER):
                # The name is untrusted, and must not cause a download.
                raise AutoencoderUnavailable(
                    f"this archive needs the autoencoder {printable(wanted.name)!r}, which the package lacks: "
                    "use --autoencoder HUB-ID or FOLDER"
                )
            return load_autoencoder(autoencoder or wanted.name, choose_device(device), wanted.latent_channels)

        source = open_source(path) if isinstance(path, str | PathLike) else path
        try:
            return cls(ContainerReader(source), load, max_pixels=max_pixels, device=device, fast=fast)
        except BaseException:
            source.close()
            raise

    @classmethod
    def of(cls, reader: ContainerReader, autoencoder: Autoencoder, *, max_pixels: int = MAX_PIXELS) -> "Archive":
        """Return an archive for a reader and the autoencoder that all its pictures need."""
        return cls(reader, lambda _: autoencoder, max_pixels=max_pixels)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.reader.source.close()

    def __len__(self) -> int:
        return self.reader.footer.pictures

    def __getitem__(self, index: int) -> PillowImage:
        """Return the picture with an index; negative ones count from the highest index ever assigned."""
        return self.decode([index + self.reader.footer.next_index if index < 0 else index])[0]

    @cached_property
    def indices(self) -> list[int]:
        """Indices of all pictures, ascending. Raises ``FormatError`` if a page of the index is damaged."""
        return self.reader.pictures().tolist()

    @cached_property
    def members(self) -> list[int]:
        """Indices of all pictures, and of files that are none, ascending. Raises as ``indices``."""
        return list(self.iterate_indices(lambda _, error: _raise(0, error)))

    def iterate_indices(self, on_lost_page: Callable[[range, FormatError], None]) -> Iterator[int]:
        """Yield indices of all members, ascending. Damaged pages of the index are reported and skipped."""
        for first in self.reader.leaf_firsts():
            try:
                leaf = self.reader.leaf(first)
            except FormatError as error:
                on_lost_page(self.reader.indices_near(first), error)
                continue
            if leaf is not None:
                yield from leaf.living.tolist()

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each picture by index; its index as text if it has none, or the names are damaged."""
        return self.names_of(self.indices)

    @cached_property
    def member_names(self) -> dict[int, str]:
        """Like ``names``, with files that are no pictures."""
        return self.names_of(self.members)

    @cached_property
    def readable_names(self) -> dict[int, str]:
        """Like ``member_names``, without those in damaged pages of the index."""
        return self.names_of(self.iterate_indices(lambda *_: None))

    def names_of(self, indices: Iterable[int]) -> dict[int, str]:
        """Return the names of some pictures by index; the index as text if one has none, or the names are damaged.

        Warns with a ``DamagedSectionWarning`` in the latter case.
        """
        names, faults = dict[int, str](), dict[str, None]()
        for index in indices:
            try:
                names[index] = self.name(index)
            except FormatError as error:
                names[index] = str(index)
                faults[str(error)] = None
        for fault in faults:
            warnings.warn(f"pictures are called by their index: {fault}", DamagedSectionWarning, stacklevel=3)
        return names

    def name(self, index: int) -> str:
        """Return the name of a picture; its index as text if it has none. Raises as ``ContainerReader.name``."""
        return self.reader.name(index) or str(index)

    @property
    def index_limit(self) -> int:
        """One more than the highest index ever assigned."""
        return self.reader.footer.next_index

    def __contains__(self, index: object) -> bool:
        """Return whether a picture has the index, and was not removed."""
        return isinstance(index, int) and self.reader.is_living(index)

    def find(self, name: str) -> list[int]:
        """Return the indices of pictures with exactly this name, else of those equal up to Unicode's normal form."""
        return self.reader.find(name)

    def indices_of(self, names: Collection[str]) -> dict[int, str]:
        """Return index and name of every picture that has one of these names exactly."""
        if len(names) * NAMES_PER_LOOKUP > len(self):
            return {index: name for index, name in self.names.items() if name in names}
        found = ((index, name) for name in names for index in self.reader.find(name))
        return {index: name for index, name in found if self.is_picture(index) and self.name(index) == name}

    def is_picture(self, index: int) -> bool:
        """Return whether the member with an index is a picture, and not another file. Raises as ``size``."""
        return self.reader.row(index).codec != OTHER_FILE

    def is_whole(self, index: int) -> bool:
        """Return whether the archive holds the file of a member byte for byte. Raises as ``size``."""
        return self.reader.row(index).codec in WHOLE

    def stored_file(self, index: int) -> StoredFile:
        """Return how the archive holds the file of a member that ``is_whole``: its bytes, SHA-256 and time.

        Raises ``FormatError``, and ``IndexOutOfRange`` without such a member.
        """
        return self.reader.stored_file(self._whole_row(index))

    def file_pieces(self, index: int) -> Iterator[bytes]:
        """Yield the bytes of a member that ``is_whole``, a piece at a time; they are right once the last one came.

        Raises:
            IndexOutOfRange: no member with its whole file has this index.
            FormatError: it is damaged.
            PictureTooLarge: it was transcoded, and claims more than ``max_pixels``.
            PackageMissing: it takes a package that is not installed.
        """
        from unicorn_codec.decoders.exact_pictures import pieces_of_file

        return pieces_of_file(self.reader, self._whole_row(index), self.max_pixels)

    def modified_ns(self, index: int) -> int | None:
        """Return when the file of a member that ``is_whole`` was modified, in nanoseconds since 1970 UTC, if known."""
        seconds = self.reader.details(self._whole_row(index)).modified
        return None if seconds is None else seconds * NANOSECONDS + self.stored_file(index).nanoseconds

    def _whole_row(self, index: int) -> Row:
        row = self.reader.row(index)
        if row.codec not in WHOLE:
            raise IndexOutOfRange(f"picture {index} is no exact one: the archive does not hold its file")
        return row

    @property
    def read_options(self) -> ReadOptions:
        """Options with which the archive's picture files were read."""
        read = self.reader.footer.read
        return ReadOptions(max_side=read.max_side, background=read.background)

    def size(self, index: int) -> tuple[int, int]:
        """Return width and height of the picture with an index."""
        row = self.reader.row(index)
        return row.width, row.height

    def metadata(self, index: int) -> PictureMetadata:
        """Return what the archive knows of a picture's original: EXIF, XMP, IPTC, texts and its file.

        Of an exact picture, its file is read for it.

        Warns with a ``DamagedSectionWarning`` where a part of it is damaged, and leaves that out.

        Raises:
            IndexOutOfRange: no picture has this index.
            FormatError: the index is damaged.
        """

        def warn(error: FormatError) -> None:
            warnings.warn(f"metadata of picture {index}: {error}", DamagedSectionWarning, stacklevel=4)

        row = self.reader.row(index)
        if row.codec == EXACT:
            from unicorn_codec.decoders.exact_pictures import metadata_of_file

            return metadata_of_file(self.reader, row, self.max_pixels)
        return metadata_of(self.reader, row, warn)

    def carried_code(self, index: int, *, with_update: bool) -> CarriedCode | None:
        """Return the code of a picture for the file that it is unpacked to; None where it has none of its own.

        Exact pictures, those of a network and those that are coded in tiles have none.

        Args:
            with_update: with the update of the code's decoder, should that have one.

        Raises:
            IndexOutOfRange: no picture has this index.
            FormatError: its record, or the update, is damaged.
        """
        row = self.reader.row(index)
        if row.codec in (*WHOLE, NETWORK) or is_tiled(row.width, row.height):
            return None
        decoder, record = self.reader.decoder(row.decoder), self.reader.record(row)
        update = self._update_of(row.decoder)
        return CarriedCode(
            archive_id=self.reader.footer.archive_id,
            index=index,
            decoder=replace(decoder, weights=None),
            update_sha256=hashlib.sha256(update).digest() if update else b"",
            update=update if with_update else b"",
            alpha=record.alpha or b"",
            code=record.code,
        )

    def _update_of(self, number: int) -> bytes:
        """Return the payload of a decoder's update; empty without one."""
        if number not in self._updates:
            place = self.reader.decoder(number).weights
            self._updates[number] = b"" if place is None else parse_update(self.reader.weights(place))
        return self._updates[number]

    def decode(
        self,
        indices: Iterable[int],
        *,
        batch_size: int = PICTURES_PER_BATCH,
        steps: int | None = None,
        background: Colour | None = None,
    ) -> list[PillowImage]:
        """Return the pictures with the given indices, in that order: of mode RGB, or RGBA with transparency.

        Args:
            background: (R, G, B) onto which transparent pictures are flattened, so that all are RGB.

        Raises:
            IndexOutOfRange: no picture has this index.
            NotAPicture: a file that is no picture has it.
            PictureTooLarge: one of them has more than ``max_pixels``.
            FormatError: one of them is damaged.
            PackageMissing: one of them is exact, and takes a package that is not installed.
            AutoencoderMismatch, AutoencoderUnavailable: the model of one of them is not available.
        """
        wanted = list(indices)
        pictures = dict(self.iterate(dict.fromkeys(wanted), batch_size=batch_size, steps=steps, background=background))
        return [to_image(pictures[index]) for index in wanted]

    def iterate(
        self,
        indices: Iterable[int],
        *,
        batch_size: int = PICTURES_PER_BATCH,
        steps: int | None = None,
        background: Colour | None = None,
        on_error: OnError = _raise,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield pairs of index and pixels in order of decoding, which groups pictures by size.

        Pixels are uint8 (H, W, 3), or (H, W, 4) of a picture with transparency.

        Warns with a ``CanaryWarning`` if a canary decodes to other pixels than when the archive was packed.

        Args:
            background: (R, G, B) onto which transparent pictures are flattened, so that all are (H, W, 3).
            on_error: called for each damaged picture; the others are still decoded.

        Raises:
            IndexOutOfRange: no picture has this index.
            PictureTooLarge: one of them has more than ``max_pixels``.
        """
        rows = self._rows(indices, on_error)
        for numbers, pictures in prefetch(self._batches.read(rows, batch_size, steps, on_error)):
            for index, pixels in zip(numbers, pictures(), strict=True):
                if steps is None and (fault := self._canary_fault(index, pixels)):
                    warnings.warn(fault, CanaryWarning, stacklevel=2)
                yield index, pixels if background is None else flatten(pixels, background)

    def _rows(self, indices: Iterable[int], on_error: OnError) -> list[Row]:
        rows = []
        for index in indices:
            try:
                row = self.reader.row(index)
            except FormatError as error:
                on_error(index, error)
                continue
            if row.codec == OTHER_FILE:
                raise NotAPicture(f"member {index} is a file that is no picture: unpack gives its bytes")
            self._check_allowed(row)
            rows.append(row)
        return rows

    def decoder(self, number: int) -> PictureDecoder:
        """Return the decoder with a number, loaded at first use: from the package, else from the archive.

        Raises:
            FormatError: its weights are damaged, or do not fit.
            AutoencoderMismatch, AutoencoderUnavailable: its model is not available.
        """
        if number not in self._decoders:
            described = self.reader.decoder(number)
            try:
                self._decoders[number] = load_decoder(self.reader, described, self._load(described), fast=self._fast)
            except (AutoencoderMismatch, AutoencoderUnavailable):
                stored = stored_autoencoder(self.reader, described, choose_device(self._device))
                if stored is None:
                    raise
                self._decoders[number] = load_decoder(self.reader, described, stored, fast=self._fast)
        return self._decoders[number]

    @property
    def canaries(self) -> tuple[Canary, ...]:
        """Block sums of some pictures as decoded when the archive was packed."""
        return self.reader.footer.canaries

    def check_canaries(self) -> None:
        """Decode all canaries.

        Raises:
            DecoderMismatch: one decodes to other pixels than when the archive was packed.
            PictureTooLarge: one has more than ``max_pixels``.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CanaryWarning)
            for index, pixels in self.iterate([canary.index for canary in self.canaries]):
                if fault := self._canary_fault(index, pixels):
                    raise DecoderMismatch(fault)

    def _check_allowed(self, row: Row) -> None:
        if row.width * row.height > self.max_pixels:
            raise PictureTooLarge(
                f"picture {row.index} has {row.width}x{row.height} pixels, the limit is {self.max_pixels}; "
                "if you trust this file, raise it by --max-pixels (max_pixels of Archive.open)"
            )

    def _canary_fault(self, index: int, pixels: np.ndarray) -> str | None:
        for canary in self.canaries:
            if index == canary.index and not canary.agrees(pixels):
                return (
                    f"picture {index} decodes to other pixels than when the archive was packed: blocks of it differ by "
                    f"up to {canary.difference(pixels):.1f} levels in the mean. The installed libraries compute other "
                    "results"
                )
        return None
