"""Tiles of large pictures: each has a code of its own, as if it were a picture.

Layout: ``format_spec/uni-1.md``, "Tiles".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unicorn_codec.format.code_kinds import is_in_sequence
from unicorn_codec.format.fields import Fields, check, varint
from unicorn_codec.format.limits import MAX_CODED_PIXELS, MAX_TILE_SIDE

_JOINED = b"\0"


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns in the picture."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def is_tiled(width: int, height: int) -> bool:
    """Return whether pictures of a size are coded in tiles."""
    return width * height > MAX_CODED_PIXELS


def tile_count(width: int, height: int) -> int:
    """Return the number of codes of a picture."""
    return -(-width // MAX_TILE_SIDE) * -(-height // MAX_TILE_SIDE) if is_tiled(width, height) else 1


def tiles_of(width: int, height: int) -> list[Tile]:
    """Return the tiles of a picture that is coded in tiles, in rows from the top."""
    return [
        Tile(left, top, min(MAX_TILE_SIDE, width - left), min(MAX_TILE_SIDE, height - top))
        for top in range(0, height, MAX_TILE_SIDE)
        for left in range(0, width, MAX_TILE_SIDE)
    ]


def check_codes(codes: Sequence[bytes], width: int, height: int) -> None:
    """Raise ``InvalidSetting`` unless a picture of a size may have these codes, if it has any."""
    count = tile_count(width, height)
    check(not codes or len(codes) == count, f"{width}x{height} pixels with {len(codes)} codes, not {count}")
    check(count == 1 or not any(map(is_in_sequence, codes)), "a tile that belongs to a sequence")


def join_codes(codes: Sequence[bytes]) -> bytes:
    """Write the codes of a picture's tiles in one piece, as packing keeps them until they become parts of a record."""
    return _JOINED + b"".join(varint(len(code)) + code for code in codes)


def split_codes(joined: bytes) -> list[bytes]:
    """Return the codes of a picture's tiles; the inverse of ``join_codes``."""
    fields, codes = Fields(joined, len(_JOINED)), list[bytes]()
    while fields.left:
        codes.append(fields.take(fields.varint()))
    return codes
