"""Reading of an archive: footer, index page and record, each by its offset.

OpenArchive > IndexReader > NameReader > ContainerReader
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from unicorn_codec.errors import FormatError, InvalidField
from unicorn_codec.format.blobs import parse_blobs
from unicorn_codec.format.chunks import METADATA, PIECE, WEIGHTS
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.fields import refusing
from unicorn_codec.format.limits import MAX_SEQUENCE
from unicorn_codec.format.name_reading import NameReader
from unicorn_codec.format.pages import Place, Row
from unicorn_codec.format.record_coding import header_bytes, parse_details, parse_record
from unicorn_codec.format.records import EXACT, OTHER_FILE, REMOVED, SEQUENCE, BlobPlace, Details, Record
from unicorn_codec.format.sources import Source
from unicorn_codec.format.stored_files import StoredFile, parse_stored_file, piece_places

KEPT_DETAILS = 1024
KEPT_BLOB_CHUNKS = 64
LARGE_BLOBS = 1 << 20
"""Chunks of more metadata are not kept; a usual one has a sixteenth of it."""

HEADER_AT_ONCE = 256
"""What is read of a record to know where its metadata lies."""


class ContainerReader(NameReader):
    """An open archive, of which a picture takes a read per level of the index and one for its record."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._blobs: OrderedDict[int, list[bytes]] = OrderedDict()
        self._details: OrderedDict[int, Details] = OrderedDict()

    def record(self, row: Row) -> Record:
        """Read the record of a row. Raises ``FormatError``, which concerns only this picture."""
        if not row.length:
            raise InvalidField(f"picture {row.index} has no record: a network holds it")
        if not self.holds(row.offset, row.length):
            raise InvalidField(f"picture {row.index}: its record lies beyond the archive")
        data = self.read(row.offset, row.length)
        record = parse_record(data, row.index, row.width, row.height, row.decoder, self.salt)
        if row.lives and (record.codec, record.parent) != (row.codec, row.parent):
            raise InvalidField(f"picture {row.index}: its record is of another kind than the index says")
        with self._lock:  # who reads a code is likely to ask for the rest
            self._details[row.offset] = record.details
            if len(self._details) > KEPT_DETAILS:
                self._details.popitem(last=False)
        return record

    def stored_file(self, row: Row) -> StoredFile:
        """Read the record of an exact picture, or of a file that is no picture. Raises ``FormatError``."""
        return parse_stored_file(self.record(row))

    def piece(self, place: Place) -> bytes:
        """Read the payload of a piece of a file. Raises ``FormatError``."""
        return self.payload(PIECE, place.offset, place.length, place.digest)

    def piece_bytes(self, row: Row) -> int:
        """Return the bytes of a picture's pieces; 0 without any, or if its record is damaged."""
        if row.codec not in (EXACT, OTHER_FILE):
            return 0
        try:
            return sum(place.length for place in piece_places(self.stored_file(row)))
        except FormatError:
            return 0

    def chain(self, row: Row) -> list[Row]:
        """Return the rows of the pictures that a picture depends on, in decoding order, its own last.

        Raises ``InvalidField`` if they are not a sequence of one size, or more than ``MAX_SEQUENCE``.
        """
        chain = [row]
        while (parent := chain[-1].parent) is not None:
            before = self.any_row(parent)
            if before is None or before.codec not in (SEQUENCE, REMOVED):
                raise InvalidField(f"picture {row.index} depends on picture {parent}, which is not part of a sequence")
            if (before.width, before.height) != (row.width, row.height):
                raise InvalidField(f"picture {row.index} depends on picture {parent}, which has another size")
            if len(chain) == MAX_SEQUENCE:
                raise InvalidField(f"picture {row.index} depends on more than {MAX_SEQUENCE} others")
            chain.append(before)
        return chain[::-1]

    def decoder(self, number: int) -> Decoder:
        """Return a decoder by its number. Raises ``InvalidField``."""
        if number >= len(self.footer.decoders):
            raise InvalidField(f"decoder {number}, the archive has {len(self.footer.decoders)}")
        return self.footer.decoders[number]

    def weights(self, place: Place) -> bytes:
        """Read the payload of a decoder's weights. Raises ``FormatError``."""
        return self.payload(WEIGHTS, place.offset, place.length, place.digest)

    def attachments(self, letter: str) -> Iterator[bytes]:
        """Yield the payloads of all attachments of a letter. Raises ``FormatError``."""
        for attachment in self.footer.attachments:
            if attachment.letter == letter:
                yield self.payload(letter, attachment.offset, attachment.length)

    def details(self, row: Row) -> Details:
        """What row and record say of an original file; of the record its header alone is read. Raises ``FormatError``.

        The record's checksum is not verified, so that its code need not be read.
        """
        details = self._details_of_record(row)
        return details if row.modified is None else replace(details, modified=row.modified)

    def _details_of_record(self, row: Row) -> Details:
        if not row.length or not self.holds(row.offset, row.length):
            return Details()
        with self._lock:
            if (known := self._details.get(row.offset)) is not None:
                return known
        data = self.read(row.offset, min(row.length, HEADER_AT_ONCE))
        with refusing(f"picture {row.index}"):
            needed = header_bytes(data)
            return parse_details(data if needed <= len(data) else self.read(row.offset, min(row.length, needed)))

    def blob(self, place: BlobPlace) -> bytes:
        """A blob of metadata. Raises ``FormatError``."""
        with self._lock:
            blobs = self._blobs.pop(place.offset, None)
            if blobs is None:
                blobs = parse_blobs(self.payload(METADATA, place.offset, place.length))
            if sum(map(len, blobs)) <= LARGE_BLOBS:
                self._blobs[place.offset] = blobs
            if len(self._blobs) > KEPT_BLOB_CHUNKS:
                self._blobs.popitem(last=False)
        if place.ordinal >= len(blobs):
            raise InvalidField(f"metadata at byte {place.offset}: blob {place.ordinal} of {len(blobs)}")
        return blobs[place.ordinal]
