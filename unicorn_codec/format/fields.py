"""Fields of a payload, taken one after the other and checked, and their inverse.

Integers of no fixed width are LEB128: seven bits a byte, the lowest first, the highest bit set in all but the last.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unicorn_codec.errors import InvalidField, InvalidSetting

MAX_VARINT_BYTES = 10
_LARGEST = (1 << 64) - 1

# Control characters, the backslash (a path separator to some readers) and lone surrogates (not UTF-8).
# The line feed stands apart: it separates names.
FORBIDDEN_CHARACTERS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\\\ud800-\udfff"
_FORBIDDEN_IN_TEXT = re.compile(rf"[\n{FORBIDDEN_CHARACTERS}]")


class PayloadEnds(InvalidField):
    """The data ends before the field that is needed does."""


def check(holds: bool, message: str) -> None:
    """Raise ``InvalidSetting(message)`` unless the condition holds."""
    if not holds:
        raise InvalidSetting(message)


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Name the place in errors, and turn a setting that no caller may choose into a field that no file may hold."""
    try:
        yield
    except (InvalidSetting, InvalidField) as error:
        raise InvalidField(f"{where}: {error}") from error


def varint(number: int) -> bytes:
    """Encode 0 to 2^64 - 1 in as few bytes as it takes."""
    check(0 <= number <= _LARGEST, f"a number of 0 to 2^64 - 1 is needed, not {number}")
    encoded = bytearray()
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(text: str) -> bytes:
    """Encode a short string: its length in bytes, then UTF-8."""
    check_text(text)
    encoded = text.encode()
    check(len(encoded) <= 255, f"a string of {len(encoded)} bytes, at most 255 are allowed")
    return bytes([len(encoded)]) + encoded


class Fields:
    """The fields of a payload, taken in order and never past its end."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data, self.offset = data, offset

    @property
    def left(self) -> int:
        """Bytes that were not taken yet."""
        return len(self.data) - self.offset

    def take(self, count: int) -> bytes:
        """Take ``count`` bytes. Raise ``InvalidField`` if there are fewer."""
        if count > self.left:
            raise PayloadEnds(f"{count} bytes are needed at byte {self.offset} of the payload, {self.left} are left")
        self.offset += count
        return self.data[self.offset - count : self.offset]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Take numbers of fixed width, little-endian, by the letters of the ``struct`` module."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def varint(self, limit: int = (1 << 63) - 1, what: str = "a number") -> int:
        """Take a LEB128 number of at most ``limit``. Raise ``InvalidField`` for a longer form than needed."""
        number = 0
        for place in range(MAX_VARINT_BYTES):
            if self.offset >= len(self.data):
                raise PayloadEnds(f"{what} is cut at byte {self.offset} of the payload")
            byte = self.data[self.offset]
            self.offset += 1
            number |= (byte & 127) << 7 * place
            if byte < 128:
                if not byte and place:
                    raise InvalidField(f"{what} takes more bytes than it needs")
                if number > limit:
                    raise InvalidField(f"{what} is {number}, at most {limit} are allowed")
                return number
        raise InvalidField(f"{what} has over 64 bits")

    def text(self) -> str:
        """Take a short string: a length of one byte, then UTF-8."""
        text = decode_text(self.take(self.take(1)[0]))
        check_text(text)
        return text

    def rest(self) -> bytes:
        """Take everything that is left."""
        return self.take(self.left)

    def finish(self) -> None:
        """Raise ``InvalidField`` if anything is left."""
        if self.left:
            raise InvalidField(f"{self.left} bytes too many in the payload")


def decode_text(data: bytes) -> str:
    """Decode UTF-8. Raise ``InvalidField`` for other bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidField(f"a string is not valid UTF-8 at its byte {error.start}") from error


def check_text(text: str) -> None:
    """Raise ``InvalidSetting`` unless text may stand in a file: Unicode without control characters and backslash."""
    check(not _FORBIDDEN_IN_TEXT.search(text), f"{text!r} holds a character that no text in a file may hold")
