"""Sequential reading of a payload's fields with checks, and their writing.

Integers of variable width are LEB128: seven bits per byte, lowest first, the high bit set in all but the last byte.
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
# The line feed is included separately: it separates names.
FORBIDDEN_CHARACTERS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\\\ud800-\udfff"
_FORBIDDEN_IN_TEXT = re.compile(rf"[\n{FORBIDDEN_CHARACTERS}]")


class PayloadEnds(InvalidField):
    """The data ends within a field."""


def check(holds: bool, message: str) -> None:
    """Raise ``InvalidSetting(message)`` unless the condition holds."""
    if not holds:
        raise InvalidSetting(message)


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Add the place to errors, and convert ``InvalidSetting`` to ``InvalidField``."""
    try:
        yield
    except (InvalidSetting, InvalidField) as error:
        raise InvalidField(f"{where}: {error}") from error


def varint(number: int) -> bytes:
    """Encode a number of 0 to 2^64 - 1 as minimal LEB128."""
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
    """Reader of a payload's fields, in order and never past its end."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data, self.offset = data, offset

    @property
    def left(self) -> int:
        """Number of unread bytes."""
        return len(self.data) - self.offset

    def take(self, count: int) -> bytes:
        """Read ``count`` bytes. Raise ``InvalidField`` if there are fewer."""
        if count > self.left:
            raise PayloadEnds(f"{count} bytes are needed at byte {self.offset} of the payload, {self.left} are left")
        self.offset += count
        return self.data[self.offset - count : self.offset]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Read little-endian numbers of fixed width, in the notation of the ``struct`` module."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def varint(self, limit: int = (1 << 63) - 1, what: str = "a number") -> int:
        """Read a LEB128 number of at most ``limit``. Raise ``InvalidField`` if it is not minimal."""
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
        """Read a short string: a length of one byte, then UTF-8."""
        text = decode_text(self.take(self.take(1)[0]))
        check_text(text)
        return text

    def rest(self) -> bytes:
        """Read all remaining bytes."""
        return self.take(self.left)

    def finish(self) -> None:
        """Raise ``InvalidField`` if unread bytes remain."""
        if self.left:
            raise InvalidField(f"{self.left} bytes too many in the payload")


def decode_text(data: bytes) -> str:
    """Decode UTF-8. Raise ``InvalidField`` if it is invalid."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidField(f"a string is not valid UTF-8 at its byte {error.start}") from error


def check_text(text: str) -> None:
    """Raise ``InvalidSetting`` if text contains control characters, a backslash or lone surrogates."""
    check(not _FORBIDDEN_IN_TEXT.search(text), f"{text!r} holds a character that no text in a file may hold")
