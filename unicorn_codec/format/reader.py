"""Reading of an archive: footer, index page and record, each by its offset.

Opening takes one or two reads; a picture takes one per level of the index and one for its record. Some pages are
cached.
"""

import struct
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import (
    ChecksumMismatch,
    DamagedSectionWarning,
    FormatError,
    IndexOutOfRange,
    InvalidField,
    NotUniFile,
    TruncatedFile,
    UnsupportedVersion,
)
from unicorn_codec.format.blobs import parse_blobs
from unicorn_codec.format.chunks import (
    FOOTER,
    INDEX,
    LETTERS,
    LOOKUP,
    METADATA,
    NAMES,
    PIECE,
    SYNC,
    WEIGHTS,
    digest_of,
    parse_chunk,
    parse_chunk_header,
    salt_of,
)
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.fields import refusing
from unicorn_codec.format.footer import Footer, parse_footer
from unicorn_codec.format.limits import MAX_FOOTER_BYTES, MAX_PAGE_BYTES, MAX_ROWS, MAX_SEQUENCE
from unicorn_codec.format.name_lookup import Directory, Run, candidates, indices_of, parse_run
from unicorn_codec.format.name_pages import NOT_DRAWN, Drawing, parse_drawing, parse_names
from unicorn_codec.format.names import name_hash, same_name
from unicorn_codec.format.pages import Inner, Leaf, Place, Row, parse_inner, parse_leaf, span_of
from unicorn_codec.format.record_coding import header_bytes, parse_details, parse_record
from unicorn_codec.format.records import EXACT, OTHER_FILE, REMOVED, SEQUENCE, BlobPlace, Details, Record
from unicorn_codec.format.sources import Source
from unicorn_codec.format.stored_files import StoredFile, parse_stored_file, piece_places

SIGNATURE = b"\x89UNI\r\n\x1a\n"
FORMAT_VERSION = 1
PREAMBLE = SIGNATURE + struct.pack("<HH", FORMAT_VERSION, 0)

TAIL_BYTES = 1 << 15
"""Size of the first read, which covers the footer, or a small archive completely."""

SEARCHED_AT_ONCE = 1 << 22
MAX_FOOTER_CANDIDATES = 1024
"""Maximum number of candidate footers examined if the file does not end with one."""

KEPT_PAGES = 64
KEPT_DETAILS = 1024
KEPT_BLOB_CHUNKS = 64
LARGE_BLOBS = 1 << 20
"""Chunks of more metadata are not kept; a usual one has a sixteenth of it."""

HEADER_AT_ONCE = 256
"""What is read of a record to know where its metadata lies."""


def check_preamble(data: bytes) -> None:
    """Check the preamble. Raise ``NotUniFile``, ``TruncatedFile``, ``UnsupportedVersion`` or ``InvalidField``."""
    if not data.startswith(SIGNATURE):
        raise NotUniFile("the file does not start with the signature of a .uni file")
    if len(data) < len(PREAMBLE):
        raise TruncatedFile(f"the file ends after {len(data)} bytes, within its preamble")
    version, reserved = struct.unpack_from("<HH", data, len(SIGNATURE))
    if version != FORMAT_VERSION:
        raise UnsupportedVersion(f"format version {version}; this software reads {FORMAT_VERSION}")
    if reserved:
        raise InvalidField(f"preamble: reserved bytes hold {reserved}, they must be zero")


class ContainerReader:
    """An open archive.

    Attributes:
        footer: the last valid one.
        end: offset of the archive's end; later bytes are not part of it.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = RLock()  # pages are kept for all threads that read
        self._pages: OrderedDict[tuple[int, int], Leaf | Inner] = OrderedDict()
        self._names: OrderedDict[int, list[str]] = OrderedDict()
        self._blobs: OrderedDict[int, list[bytes]] = OrderedDict()
        self._details: OrderedDict[int, Details] = OrderedDict()
        self._runs: dict[int, Directory | bytes] = {}
        start = max(0, source.size - TAIL_BYTES)
        self._tail_start, self._tail = start, source.read(start, TAIL_BYTES)
        check_preamble(self.read(0, len(PREAMBLE)))
        self.footer, self.end = self._last_footer()
        self.salt = salt_of(self.footer.archive_id)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file; those of its end are cached."""
        begin = offset - self._tail_start
        if begin >= 0:
            return self._tail[begin : begin + length]
        return self.source.read(offset, length)

    def _last_footer(self) -> tuple[Footer, int]:
        """Find the footer at the end of the file, or the last one before an unfinished generation.

        Raises ``TruncatedFile`` if there is none.
        """
        size, faults = self.source.size, list[FormatError]()
        for offset in self._footer_places():
            try:
                footer, end = self.footer_at(offset)
            except UnsupportedVersion:
                raise
            except FormatError as error:
                faults.append(error)
                continue
            if end != size:
                warnings.warn(
                    f"{self.source.name}: {size - end} bytes follow the last complete generation, number "
                    f"{footer.generation}: a writer was interrupted, or the file is cut or damaged; 'unicorn repair' "
                    "recovers what they hold",
                    DamagedSectionWarning,
                    stacklevel=4,
                )
            return footer, end
        if len(faults) == 1 and not isinstance(faults[0], TruncatedFile):
            raise faults[0]
        raise TruncatedFile("no valid footer: the file is cut or damaged; 'unicorn repair' recovers the pictures in it")

    def _footer_places(self) -> Iterator[int]:
        """Yield offsets of footers' tags, the last one first."""
        tag, tried = SYNC + FOOTER.encode(), 0
        start, end = self._tail_start, self.source.size
        while True:
            block = self.read(start, min(end + len(tag) - 1, self.source.size) - start)
            place = block.rfind(tag)
            while place >= 0:
                tried += 1
                if tried > MAX_FOOTER_CANDIDATES:
                    return
                yield start + place
                place = block.rfind(tag, 0, place)
            if not start:
                return
            start, end = max(0, start - SEARCHED_AT_ONCE), start

    def footer_at(self, offset: int) -> tuple[Footer, int]:
        """Read the footer at an offset; return it and its end. Raises ``FormatError``."""
        header = parse_chunk_header(self.read(offset, 64), 0, 0)
        if header.letter != FOOTER or header.length > MAX_FOOTER_BYTES:
            raise InvalidField(f"no footer lies at byte {offset}")
        data = self.read(offset, header.total_bytes)
        if len(data) < header.total_bytes:
            raise TruncatedFile("the file ends within its footer")
        return parse_footer(parse_chunk(data, FOOTER, 0, f"byte {offset}"), offset), offset + len(data)

    def _holds(self, offset: int, length: int) -> bool:
        """Return whether bytes lie between the preamble and the end of the last complete generation."""
        return len(PREAMBLE) <= offset and offset + length <= self.end

    def payload(self, letter: str, offset: int, length: int, digest: bytes | None = None) -> bytes:
        """Read the payload of the chunk at a place. Raises ``FormatError``."""
        where = f"byte {offset}"
        if not self._holds(offset, length):
            raise InvalidField(f"{LETTERS[letter]} at {where}: {length} bytes, the archive has {self.end}")
        payload = parse_chunk(self.read(offset, length), letter, self.salt, where)
        if digest is not None and digest_of(payload) != digest:
            raise ChecksumMismatch(f"{LETTERS[letter]} at {where}: another one than the archive's index names")
        return payload

    # Pages

    def leaf(self, index: int) -> Leaf | None:
        """Return the leaf that covers an index; None if there is none. Raises ``FormatError``."""
        page = self._descend(0, index) if 0 <= index < span_of(self.footer.level) else None
        return page if isinstance(page, Leaf) else None

    def page(self, level: int, first: int) -> Inner | None:
        """Return the inner page of a level with a first index, or None. Raises ``FormatError``."""
        page = self._descend(level, first) if level <= self.footer.level else None
        return page if isinstance(page, Inner) else None

    def _descend(self, level: int, index: int) -> Leaf | Inner | None:
        """Return the page of a level that covers an index, from the root down; None if there is none."""
        if self.footer.root is None:
            return None
        page = self._page(self.footer.root, self.footer.level, 0)
        while isinstance(page, Inner) and page.level > level:
            below = span_of(page.level - 1)
            number = (index - page.first) // below
            place = page.children[number] if number < len(page.children) else None
            if place is None:
                return None
            page = self._page(place, page.level - 1, page.first + number * below)
        return page

    def _page(self, place: Place, level: int, first: int) -> Leaf | Inner:
        with self._lock:
            return self._kept_page(place, level, first)

    def _kept_page(self, place: Place, level: int, first: int) -> Leaf | Inner:
        found = self._pages.get((level, first))
        if found is None:
            if place.length > MAX_PAGE_BYTES:
                raise InvalidField(f"index page of {place.length} bytes, at most {MAX_PAGE_BYTES} are allowed")
            payload = self.payload(INDEX, place.offset, place.length, place.digest)
            found = parse_inner(payload, level, first) if level else self._parsed_leaf(payload, first)
            self._pages[level, first] = found
            if len(self._pages) > KEPT_PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end((level, first))
        return found

    def _parsed_leaf(self, payload: bytes, first: int) -> Leaf:
        leaf = parse_leaf(payload, first)
        if first + len(leaf) > self.footer.next_index:
            raise InvalidField(
                f"index page of {first}: {len(leaf)} rows, the archive has indices below {self.footer.next_index}"
            )
        return leaf

    def leaves(self) -> Iterator[Leaf]:
        """Yield all leaves in order, without caching. Raises ``FormatError`` at a damaged one."""
        for first in self.leaf_firsts():
            leaf = self.leaf(first)
            if leaf is not None:
                yield leaf

    def pictures(self) -> NDArray[np.int64]:
        """Return the indices of all pictures, ascending. Raises ``FormatError`` if a page of the index is damaged."""
        return np.concatenate([np.zeros(0, np.int64), *(leaf.pictures for leaf in self.leaves())])

    def leaf_firsts(self) -> Iterator[int]:
        """Yield the first indices of leaves that may exist."""
        yield from range(0, self.footer.next_index, MAX_ROWS)

    def indices_near(self, first: int) -> range:
        """Return the indices that the leaf with a first index may cover."""
        return range(first, min(first + MAX_ROWS, self.footer.next_index))

    def row(self, index: int) -> Row:
        """Return the row of an existing picture. Raise ``IndexOutOfRange`` without one, or ``FormatError``."""
        row = self.any_row(index)
        if row is None or not row.lives:
            raise IndexOutOfRange(self.absence_of(index))
        return row

    def is_living(self, index: int) -> bool:
        """Return whether a picture has the index. Raises ``FormatError``."""
        row = self.any_row(index)
        return row is not None and row.lives

    def absence_of(self, index: int) -> str:
        """Return the error message for an index without a picture."""
        if 0 <= index < self.footer.next_index:
            return f"picture {index} was removed from the archive"
        if not self.footer.next_index:
            return f"index {index} is out of range: the archive is empty"
        return f"index {index} is out of range: the archive has 0 to {self.footer.next_index - 1}"

    def any_row(self, index: int) -> Row | None:
        """Return the row of a picture, removed or not; None without one. Raises ``FormatError``."""
        leaf = self.leaf(index) if 0 <= index < self.footer.next_index else None
        return None if leaf is None else leaf.row(index)

    # Records

    def record(self, row: Row) -> Record:
        """Read the record of a row. Raises ``FormatError``, which concerns only this picture."""
        if not row.length:
            raise InvalidField(f"picture {row.index} has no record: a network holds it")
        if not self._holds(row.offset, row.length):
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
        if not row.length or not self._holds(row.offset, row.length):
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

    # Names

    def names_of(self, leaf: Leaf) -> list[str] | None:
        """Read the names of a leaf's rows, empty without a picture; None without names. Raises ``FormatError``."""
        if leaf.names is None:
            return None
        with self._lock:
            found = self._names.get(leaf.first)
            if found is None:
                payload = self._payload_of_names(leaf.names)
                found = self._names[leaf.first] = parse_names(payload, leaf.first, len(leaf))
                if len(self._names) > KEPT_PAGES:
                    self._names.popitem(last=False)
            return found

    def _payload_of_names(self, place: Place) -> bytes:
        return self.payload(NAMES, place.offset, place.length, place.digest)

    def drawing(self) -> Drawing:
        """Return how the archive's first indices were drawn, as far as the order of its names says it."""
        try:
            leaf = self.leaf(0)
            if leaf is not None and leaf.names is not None:
                return parse_drawing(self._payload_of_names(leaf.names))
        except FormatError:  # any order will do
            pass
        return NOT_DRAWN

    def name(self, index: int) -> str | None:
        """Return the name of a picture; None without one. Raises ``IndexOutOfRange`` and ``FormatError``."""
        self.row(index)
        leaf = self.leaf(index)
        names = None if leaf is None else self.names_of(leaf)
        return (names[index - leaf.first] or None) if names and leaf else None

    def find(self, name: str) -> list[int]:
        """Return the indices of pictures with exactly this name, else of those equal up to the normal form."""
        hashed = name_hash(name)
        if self.footer.runs:
            listed = [index for run in self.footer.runs for index in self._candidates(run, hashed)]
        else:
            listed = [int(index) for leaf in self.leaves() for index in leaf.living]
        found: dict[int, str] = {}
        for index in listed:
            row = self.any_row(index)
            known = self.name(index) if row is not None and row.lives else None
            if known is not None and same_name(known, name):
                found[index] = known
        exact = [index for index, known in found.items() if known == name]
        return sorted(exact or found)

    def indices_of(self, run: Run) -> list[int]:
        """Yield all indices in a lookup run. Raises ``FormatError``."""
        payload = self.payload(LOOKUP, run.offset, run.length)
        directory = parse_run(payload, run)
        if directory is None:
            return indices_of(payload)
        buckets = (self.payload(LOOKUP, *place) for place in directory.buckets if place)
        return [index for bucket in buckets for index in indices_of(bucket)]

    def _candidates(self, run: Run, hashed: int) -> list[int]:
        with self._lock:
            if run.offset not in self._runs:
                payload = self.payload(LOOKUP, run.offset, run.length)
                self._runs[run.offset] = parse_run(payload, run) or payload
            found = self._runs[run.offset]
        if isinstance(found, bytes):
            return candidates(found, 0, hashed)
        place = found.buckets[hashed >> 64 - found.bits]
        return candidates(self.payload(LOOKUP, *place), found.bits, hashed) if place else []
