"""Writing of an archive: records as they are made, then the index, and last the footer.

Written bytes are never changed. A further generation is appended after the last footer, which stays valid until the
new one is complete. Memory grows only with the index: some numbers and a name for each new picture.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO, UnsupportedOperation
from typing import IO

from unicorn_codec.errors import InvalidSetting
from unicorn_codec.format.blob_writing import Blobs, BlobWriter
from unicorn_codec.format.canary import Canary
from unicorn_codec.format.chunks import (
    DECODER,
    HEAD,
    PIECE,
    TOMBSTONES,
    WEIGHTS,
    chunk,
    digest_of,
    salt_of,
)
from unicorn_codec.format.columns import Integers
from unicorn_codec.format.decoder_table import Decoder, serialize_decoder
from unicorn_codec.format.fields import check, varint
from unicorn_codec.format.footer import (
    KNOWN_TO_READ,
    KNOWN_TO_WRITE,
    Attachment,
    Footer,
    serialize_footer,
)
from unicorn_codec.format.index_writing import IndexWriter, totals_after
from unicorn_codec.format.limits import MAX_PICTURES
from unicorn_codec.format.name_lookup import Run
from unicorn_codec.format.name_pages import NOT_DRAWN, Drawing
from unicorn_codec.format.names import check_name
from unicorn_codec.format.new_rows import NewRows
from unicorn_codec.format.opening import PREAMBLE
from unicorn_codec.format.pages import (
    UNKNOWN_PSNR,
    Place,
    Row,
)
from unicorn_codec.format.read_settings import ReadSettings
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.record_coding import pictures_chunk
from unicorn_codec.format.records import NETWORK, Record, check_size
from unicorn_codec.format.removed_pictures import removed_in, serialize_removed
from unicorn_codec.format.stored_files import pieces_of_record

CHUNK_BYTES = 1 << 20
CHUNK_RECORDS = 1024
"""A chunk of pictures is written when it reaches this number of bytes or records."""

MERGED_TOMBSTONES = 8
"""Number of lists of removed pictures at which they are merged with the next."""


def head_chunk(archive_id: bytes) -> bytes:
    """Write the head: the archive's id and its feature bits."""
    return chunk(HEAD, archive_id + varint(KNOWN_TO_READ) + varint(0), 0)


class ContainerWriter:
    """Writes one generation of an archive.

    Args:
        file: opened for writing, positioned at the start of a new archive or the end of an existing one.
        archive_id: 8 bytes, for a new archive.
        reader: of the archive to extend, instead of an id.
        generation, next_index, drawing: for a new archive that replaces another one.
    """

    def __init__(
        self,
        file: IO[bytes],
        archive_id: bytes = b"",
        reader: ContainerReader | None = None,
        *,
        generation: int = 1,
        next_index: int = 0,
        drawing: Drawing = NOT_DRAWN,
    ) -> None:
        self._file, self._reader = file, reader
        old = reader.footer if reader else None
        if old is not None and old.must_write & ~KNOWN_TO_WRITE:
            raise InvalidSetting("the archive has features that this software cannot write: use a newer version")
        self.archive_id = old.archive_id if old else archive_id
        self._salt = salt_of(self.archive_id)
        self._offset = file.tell()
        self._decoders = list(old.decoders) if old else []
        self.next_index = old.next_index if old else next_index
        self._generation = old.generation + 1 if old else generation
        self._drawing = reader.drawing() if reader else drawing
        self._rows = NewRows()
        self._piece_bytes = Counter[int]()
        self._removed: dict[int, Row] = {}
        self._hidden: set[int] = set()
        self._waiting: list[tuple[Record, str | None, Blobs, int]] = []
        self._waiting_bytes = 0
        self._blobs = BlobWriter(self._chunk)
        self._attachments: list[Attachment] = list(old.attachments) if old else []
        self._canaries: tuple[Canary, ...] = old.canaries if old else ()
        self._read = old.read if old else ReadSettings()
        if old is None:
            self._write(PREAMBLE + head_chunk(archive_id))

    def _write(self, data: bytes) -> int:
        """Write bytes, and return their offset."""
        self._file.write(data)
        self._offset += len(data)
        return self._offset - len(data)

    def _chunk(self, letter: str, payload: bytes) -> Place:
        data = chunk(letter, payload, self._salt)
        return Place(self._write(data), len(data), digest_of(payload))

    # Content

    def add_weights(self, payload: bytes) -> Place:
        """Write a network, or an update of a model's decoder."""
        return self._chunk(WEIGHTS, payload)

    def add_piece(self, packed: bytes) -> Place:
        """Write a piece of a file, whose record is added afterwards."""
        return self._chunk(PIECE, packed)

    def add_decoder(self, decoder: Decoder) -> int:
        """Return the number of a decoder, which is written unless the archive has an equal one."""
        if decoder in self._decoders:
            return self._decoders.index(decoder)
        self._decoders.append(decoder)
        number = len(self._decoders) - 1
        self._chunk(DECODER, varint(number) + serialize_decoder(decoder))
        return number

    def add(self, record: Record, name: str | None = None, *, blobs: Blobs = (), psnr: int = UNKNOWN_PSNR) -> None:
        """Add the record of a new picture. It is written at the latest by ``commit``.

        Args:
            record: without places of metadata. Its time of modification goes into the index.
            blobs: metadata, pairs of kind and bytes; equal ones are written once.
            psnr: in stored form, if already known.
        """
        check(record.decoder < len(self._decoders), f"decoder {record.decoder} was not added")
        self._check_new(record.index, name)
        self._waiting.append((record, name, blobs, psnr))
        self._waiting_bytes += sum(len(part.data) for part in record.parts) + sum(len(blob) for _, blob in blobs)
        self._piece_bytes[record.codec] += sum(place.length for place in pieces_of_record(record))
        if self._waiting_bytes >= CHUNK_BYTES or len(self._waiting) >= CHUNK_RECORDS:
            self.flush()

    def add_of_network(
        self, index: int, width: int, height: int, decoder: int, name: str | None = None, *, psnr: int = UNKNOWN_PSNR
    ) -> None:
        """Add a new picture that a network of the archive holds."""
        check_size(width, height)
        self._check_new(index, name)
        self._rows.append(Row(index, NETWORK, width, height, decoder, 0, 0, None, psnr), name)

    def _check_new(self, index: int, name: str | None) -> None:
        check(0 <= index < MAX_PICTURES, f"an index is 0 to {MAX_PICTURES - 1}, not {index}")
        self.next_index = max(self.next_index, index + 1)
        if name is not None:
            check_name(name)

    def flush(self) -> None:
        """Write pending records."""
        if not self._waiting:
            return
        self._blobs.write(blob for _, _, blobs, _ in self._waiting for _, blob in blobs)
        waiting = sorted(self._waiting, key=lambda one: one[0].index)
        records = [  # without the times, which the index has
            replace(record, metadata=tuple(self._blobs.places(blobs)), modified=None) for record, _, blobs, _ in waiting
        ]
        data, places = pictures_chunk(records, self._salt)
        start = self._write(data)
        for (record, name, _, psnr), (offset, length) in zip(waiting, places, strict=True):
            kind, size, place = record.codec, (record.width, record.height), (start + offset, length)
            row = Row(record.index, kind, *size, record.decoder, *place, record.parent, psnr, record.modified)
            self._rows.append(row, name)
        self._waiting, self._waiting_bytes = [], 0
        self._blobs.forget_oldest()

    def attach(self, letter: str, payload: bytes) -> None:
        """Write a model or the text of the specification."""
        place = self._chunk(letter, payload)
        self._attachments.append(Attachment(letter, place.offset, place.length))

    def remove(self, rows: Iterable[Row]) -> None:
        """Mark pictures as removed. Their records stay until the archive is compacted."""
        for row in rows:
            self._removed[row.index] = row
            self._piece_bytes[row.codec] -= self._reader.piece_bytes(row) if self._reader else 0

    def hide(self, indices: Iterable[int]) -> None:
        """Mark new pictures as removed, but kept for others that depend on them."""
        self._hidden |= set(indices)

    # Index and footer

    def preview(self, *, seed: int = 0) -> bytes:
        """Return what ``commit`` would write now, to read the archive before it is complete."""
        self.flush()
        self._file.flush()
        return b"".join(self._tail(seed))

    def commit(
        self,
        *,
        seed: int = 0,
        psnrs: tuple[Integers, Integers] | None = None,
        canaries: Iterable[Canary] | None = None,
        read: ReadSettings | None = None,
    ) -> None:
        """Write index, names and footer, and flush them to the disk. Call it once.

        Args:
            seed: of the new pictures' indices.
            psnrs: (N,) indices of new pictures, ascending, and (N,) their PSNRs in stored form.
            canaries: of the archive; None keeps the present ones.
            read: settings for reading the new pictures' files; None keeps the present ones.
        """
        self.flush()
        if canaries is not None:
            self._canaries = tuple(canaries)
        if read is not None:
            self._read = read
        if psnrs is not None:
            self._rows.set_psnrs(*psnrs)
        pages, footer = self._tail(seed)
        self._write(pages)
        _sync(self._file)  # the footer must not reach the disk before the parts that it refers to
        self._write(footer)
        self._file.truncate(self._offset)
        _sync(self._file)

    def _tail(self, seed: int) -> tuple[bytes, bytes]:
        """Write the parts that make the generation visible, and last the footer."""
        if self._reader is None and self._drawing == NOT_DRAWN:
            self._drawing = Drawing(self.next_index, seed)
        file, offset, pages = self._file, self._offset, BytesIO()
        self._file = pages
        try:
            attachments = self._tombstones()
            index = IndexWriter(self._reader, self._chunk, self._drawing)
            runs = index.write_runs(self._rows, self._removed, self.next_index)
            leaves = self._rows.leaves(self._reader, self._hidden, self._removed)
            level, root = index.write_tree(leaves, self.next_index)  # last, so that a reader's first read covers it
            return pages.getvalue(), serialize_footer(self._footer(seed, level, root, runs, attachments))
        finally:
            self._file, self._offset = file, offset

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Decoders of the archive, by number."""
        return tuple(self._decoders)

    @property
    def offset(self) -> int:
        """Offset of the next byte."""
        return self._offset

    def _footer(
        self, seed: int, level: int, root: Place | None, runs: Sequence[Run], attachments: Sequence[Attachment]
    ) -> Footer:
        old = self._reader.footer if self._reader else None
        removed = list(self._removed.values())
        totals, pixels = totals_after(old, self._rows.columns, self._hidden, removed, self._piece_bytes)
        return Footer(
            archive_id=self.archive_id,
            generation=self._generation,
            offset=self._offset,
            previous=old.offset if old else 0,
            seed=seed,
            next_index=self.next_index,
            pixels=pixels,
            totals=totals,
            level=level,
            root=root,
            runs=tuple(runs),
            decoders=tuple(self._decoders),
            canaries=tuple(canary for canary in self._canaries if canary.index not in self._removed),
            attachments=tuple(attachments),
            read=self._read,
            must_write=old.must_write if old else 0,
        )

    def _tombstones(self) -> list[Attachment]:
        """Return all attachments, including a list of newly removed pictures; many such lists are merged."""
        indices = {*self._removed, *self._hidden}
        if not indices:
            return self._attachments
        older = [attachment for attachment in self._attachments if attachment.letter == TOMBSTONES]
        if len(older) < MERGED_TOMBSTONES:
            older = []
        for attachment in older:
            assert self._reader is not None
            indices |= set(removed_in(self._reader.payload(TOMBSTONES, attachment.offset, attachment.length)))
        place = self._chunk(TOMBSTONES, serialize_removed(indices))
        kept = [attachment for attachment in self._attachments if attachment not in older]
        return [*kept, Attachment(TOMBSTONES, place.offset, place.length)]


def _sync(file: IO[bytes]) -> None:
    file.flush()
    try:
        descriptor = file.fileno()
    except UnsupportedOperation:  # in memory
        return
    os.fsync(descriptor)
