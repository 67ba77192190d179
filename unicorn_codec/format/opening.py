"""Opening of an archive: its preamble and its last valid footer, in one or two reads."""

import struct
import warnings
from collections.abc import Iterator

from unicorn_codec.errors import (
    ChecksumMismatch,
    DamagedSectionWarning,
    FormatError,
    InvalidField,
    NotUniFile,
    TruncatedFile,
    UnsupportedVersion,
)
from unicorn_codec.format.chunks import FOOTER, LETTERS, SYNC, digest_of, parse_chunk, parse_chunk_header, salt_of
from unicorn_codec.format.footer import Footer, parse_footer
from unicorn_codec.format.limits import MAX_FOOTER_BYTES
from unicorn_codec.format.sources import Source

SIGNATURE = b"\x89UNI\r\n\x1a\n"
FORMAT_VERSION = 1
PREAMBLE = SIGNATURE + struct.pack("<HH", FORMAT_VERSION, 0)

TAIL_BYTES = 1 << 15
"""Size of the first read, which covers the footer, or a small archive completely."""

SEARCHED_AT_ONCE = 1 << 22
MAX_FOOTER_CANDIDATES = 1024
"""Maximum number of candidate footers examined if the file does not end with one."""


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


class OpenArchive:
    """The chunks of an open archive, by their places.

    Attributes:
        footer: the last valid one.
        end: offset of the archive's end; later bytes are not part of it.
        salt: seed of the archive's checksums.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
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
                    stacklevel=7,
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

    def holds(self, offset: int, length: int) -> bool:
        """Return whether bytes lie between the preamble and the end of the last complete generation."""
        return len(PREAMBLE) <= offset and offset + length <= self.end

    def payload(self, letter: str, offset: int, length: int, digest: bytes | None = None) -> bytes:
        """Read the payload of the chunk at a place. Raises ``FormatError``."""
        where = f"byte {offset}"
        if not self.holds(offset, length):
            raise InvalidField(f"{LETTERS[letter]} at {where}: {length} bytes, the archive has {self.end}")
        payload = parse_chunk(self.read(offset, length), letter, self.salt, where)
        if digest is not None and digest_of(payload) != digest:
            raise ChecksumMismatch(f"{LETTERS[letter]} at {where}: another one than the archive's index names")
        return payload
