"""Typed, checked sections <-> the bytes of a ``.uni`` file, whatever the sections hold.

A file is a preamble, then sections without holes, closed by ``DONE`` with a SHA-256 over everything critical.
"""

import hashlib
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from unicorn_codec.errors import (
    ChecksumMismatch,
    DamagedSectionWarning,
    InvalidField,
    InvalidSetting,
    NotUniFile,
    TruncatedFile,
    UnsupportedVersion,
)
from unicorn_codec.format.header import check

SIGNATURE = b"\x89UNI\r\n\x1a\n"
FORMAT_VERSION = 1
MAX_SECTIONS = 256

PREAMBLE = SIGNATURE + struct.pack("<HH", FORMAT_VERSION, 0)
_FRAME_HEAD = struct.Struct("<4sQ")
_CRC = struct.Struct("<I")
FRAME_BYTES = _FRAME_HEAD.size + _CRC.size
"""What a section takes beside its payload."""

FIRST, LAST = b"HEAD", b"DONE"

# Control characters, the backslash (a path separator to some readers) and lone surrogates (not UTF-8).
# The line feed stands apart: it separates names.
FORBIDDEN_CHARACTERS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\\\ud800-\udfff"
_FORBIDDEN_IN_TEXT = re.compile(rf"[\n{FORBIDDEN_CHARACTERS}]")


@dataclass(frozen=True, slots=True)
class Section:
    """One section: four letters, the first upper case if no decoder can do without it, and its payload."""

    type: bytes
    payload: bytes
    offset: int = 0

    @property
    def is_critical(self) -> bool:
        return self.type[:1].isupper()

    @property
    def bytes(self) -> int:
        return FRAME_BYTES + len(self.payload)


def serialize_sections(sections: Sequence[Section]) -> bytes:
    """Write the preamble, these sections in this order, and the end section."""
    digest = hashlib.sha256(PREAMBLE)
    parts = [PREAMBLE]
    for section in sections:
        frame = _frame(section)
        parts.append(frame)
        if section.is_critical:
            digest.update(frame)
    parts.append(_frame(Section(LAST, digest.digest())))
    return b"".join(parts)


def _frame(section: Section) -> bytes:
    body = _FRAME_HEAD.pack(section.type, len(section.payload)) + section.payload
    return body + _CRC.pack(zlib.crc32(body))


def parse_sections(data: bytes, known: Sequence[bytes], *, strict: bool) -> list[Section]:
    """Read all sections up to and including ``DONE`` and check everything but the payloads' meaning.

    Args:
        data: the whole file.
        known: critical types that the caller understands, beside ``DONE``.
        strict: a damaged ancillary section is an error; otherwise it is left out with a ``DamagedSectionWarning``.

    Raises:
        FormatError: its subclass names the reason, the message the place.
    """
    _check_preamble(data)
    digest = hashlib.sha256(PREAMBLE)
    sections: list[Section] = []
    types: set[bytes] = set()
    for section, intact in _walk(data):
        where = _name(section)
        if not intact and (strict or section.is_critical):
            raise ChecksumMismatch(f"{where}: its CRC-32 does not hold")
        if not section.type.isalpha() or not section.type.isascii():
            raise InvalidField(f"{where}: a type is four ASCII letters")
        if section.type in types:
            raise InvalidField(f"{where}: each type may stand once")
        if not types and section.type != FIRST:
            raise InvalidField(f"{where}: the first section must be HEAD")
        if section.is_critical and section.type not in (*known, LAST):
            raise UnsupportedVersion(f"{where}: this software does not know it and cannot decode without it")
        types.add(section.type)
        if section.type == LAST:
            _check_end(data, section, digest.digest())
        elif section.is_critical:
            digest.update(data[section.offset : section.offset + section.bytes])
        if intact:
            sections.append(section)
        else:
            warnings.warn(f"{where}: damaged and left out", DamagedSectionWarning, stacklevel=2)
    return sections


def _check_preamble(data: bytes) -> None:
    if not data.startswith(SIGNATURE):
        raise NotUniFile("the file does not start with the signature of a .uni file")
    if len(data) < len(PREAMBLE):
        raise TruncatedFile(f"the file ends after {len(data)} bytes, within its preamble")
    version, reserved = struct.unpack_from("<HH", data, len(SIGNATURE))
    if version != FORMAT_VERSION:
        raise UnsupportedVersion(f"format version {version}; this software reads {FORMAT_VERSION}")
    if reserved:
        raise InvalidField(f"preamble: reserved bytes hold {reserved}, they must be zero")


def _walk(data: bytes) -> Iterator[tuple[Section, bool]]:
    """Sections up to ``DONE`` and whether their CRC holds."""
    offset = len(PREAMBLE)
    for _ in range(MAX_SECTIONS):
        left = len(data) - offset
        if left < FRAME_BYTES:
            raise TruncatedFile(f"the file ends at byte {len(data)} without its end section")
        kind, length = _FRAME_HEAD.unpack_from(data, offset)
        if length > left - FRAME_BYTES:
            raise TruncatedFile(
                f"the section at byte {offset} claims {length} bytes, but {left - FRAME_BYTES} are left for them"
            )
        start = offset + _FRAME_HEAD.size
        end = start + length
        section = Section(kind, data[start:end], offset)
        yield section, zlib.crc32(memoryview(data)[offset:end]) == _CRC.unpack_from(data, end)[0]
        if kind == LAST:
            return
        offset = end + _CRC.size
    raise InvalidField(f"more than {MAX_SECTIONS} sections")


def _check_end(data: bytes, end: Section, digest: bytes) -> None:
    if len(end.payload) != len(digest):
        raise InvalidField(f"{_name(end)}: {len(end.payload)} bytes, a SHA-256 has {len(digest)}")
    if end.payload != digest:
        raise ChecksumMismatch(f"{_name(end)}: the SHA-256 over the critical sections does not hold")
    if end.offset + end.bytes != len(data):
        raise InvalidField(f"{len(data) - end.offset - end.bytes} bytes follow the end section")


def _name(section: Section) -> str:
    return f"section {section.type.decode('ascii', 'backslashreplace')!r} at byte {section.offset}"


class Fields:
    """The fields of a payload, taken in order and never past its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._offset = data, 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Raises ``InvalidField`` if there are fewer."""
        left = len(self._data) - self._offset
        if count > left:
            raise InvalidField(f"{count} bytes are needed at byte {self._offset} of the payload, {left} are left")
        self._offset += count
        return self._data[self._offset - count : self._offset]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """The next numbers, little-endian, by the letters of the ``struct`` module."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def text(self) -> str:
        """The next string: a length of one byte, then UTF-8."""
        text = decode_text(self.take(self.take(1)[0]))
        check_text(text)
        return text

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data) - self._offset)

    def finish(self) -> None:
        """Raise ``InvalidField`` if anything is left."""
        if left := len(self.rest()):
            raise InvalidField(f"{left} bytes too many in the payload")


def decode_text(data: bytes) -> str:
    """UTF-8 as text. Raises ``InvalidField`` for other bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidField(f"a string is not valid UTF-8 at its byte {error.start}") from error


def check_text(text: str) -> None:
    """Raise ``InvalidSetting`` unless text may stand in a file: Unicode without control characters and backslash."""
    check(not _FORBIDDEN_IN_TEXT.search(text), f"{text!r} holds a character that no text in a file may hold")


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Name the place in errors, and turn a setting that no caller may choose into a field that no file may hold."""
    try:
        yield
    except (InvalidSetting, InvalidField) as error:
        raise InvalidField(f"{where}: {error}") from error
