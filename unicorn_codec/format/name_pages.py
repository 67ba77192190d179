"""Names of an index page's pictures.

Sorted names resemble their neighbours, but indices are drawn at random. Names are therefore stored in the order of the
folder, which the seed of the drawing gives, and column by column where that is shorter: numbers that count up then take
hardly any bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import Fields, check, decode_text, refusing, varint
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.limits import MAX_NAME_BYTES, MAX_PICTURES, MAX_ROWS
from unicorn_codec.format.names import check_name
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes

_LINES, _COLUMNS = range(2)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the first indices of an archive were drawn: ``count`` of them, from a seed."""

    count: int
    seed: int

    def order(self, rows: int) -> list[int]:
        """Return the indices 0 to ``rows`` - 1: the drawn ones in the order of the folder, then the others."""
        drawn = index_of_position(self.seed, self.count).tolist() if self.count else []
        return [*(index for index in drawn if index < rows), *range(self.count, rows)]


NOT_DRAWN = Drawing(0, 0)


def serialize_names(first: int, names: Sequence[str], drawing: Drawing = NOT_DRAWN) -> bytes:
    """Write the names of consecutive indices in the shortest form; those without a picture have empty names.

    Args:
        drawing: of the archive's first indices, if it is known; of no use unless ``first`` is 0.
    """
    for name in filter(None, names):
        check_name(name)
    encoded = [name.encode() for name in names]
    drawings = {NOT_DRAWN, drawing} if first == 0 and drawing.count <= MAX_ROWS else {NOT_DRAWN}
    forms = (_form(encoded, one) for one in sorted(drawings, key=lambda one: one.count))
    return varint(first) + varint(len(names)) + min(forms, key=len)


def _form(names: Sequence[bytes], drawing: Drawing) -> bytes:
    """Write names in an order, and as lines or columns, whichever is shorter."""
    ordered = [names[row] for row in drawing.order(len(names))]
    longest = max(map(len, ordered))
    columns = b"".join(bytes(column) for column in zip(*(name.ljust(longest, b"\0") for name in ordered), strict=True))
    packed = [bytes([layout]) + pack_bytes(raw) for layout, raw in ((_LINES, b"\n".join(ordered)), (_COLUMNS, columns))]
    return varint(drawing.count) + (varint(drawing.seed) if drawing.count else b"") + min(packed, key=len)


def parse_names(payload: bytes, first: int, count: int) -> list[str]:
    """Read the names of the leaf with this first index and number of rows. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing(f"names of {first}"):
        found = fields.varint(MAX_PICTURES - 1, "a first index"), fields.varint(MAX_ROWS, "the number of names")
        check(found == (first, count), f"names of {found[1]} pictures from {found[0]} on lie in their place")
        drawing = _take_drawing(fields, first)
        (layout,) = fields.numbers("B")
        check(layout in (_LINES, _COLUMNS), f"names of layout {layout}, known are 0 and 1")
        raw = unpack_bytes(fields.rest(), count * (MAX_NAME_BYTES + 1))
        ordered = _lines(raw, count) if layout == _LINES else _columns(raw, count)
        names = [""] * count
        for row, name in zip(drawing.order(count), map(decode_text, ordered), strict=True):
            if name:
                check_name(name)
            names[row] = name
        return names


def parse_drawing(payload: bytes) -> Drawing:
    """Read in which order the names of the first leaf are. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("names of 0"):
        first = fields.varint()
        fields.varint()
        return _take_drawing(fields, first)


def _take_drawing(fields: Fields, first: int) -> Drawing:
    count = fields.varint(MAX_ROWS if first == 0 else 0, "the number of drawn indices")
    return Drawing(count, fields.varint((1 << 64) - 1, "a seed")) if count else NOT_DRAWN


def _lines(raw: bytes, count: int) -> list[bytes]:
    names = raw.split(b"\n")
    if len(names) != count:
        raise InvalidField(f"{len(names)} names for {count} pictures")
    return names


def _columns(raw: bytes, count: int) -> list[bytes]:
    if len(raw) % count:
        raise InvalidField(f"columns of {len(raw)} bytes for the names of {count} pictures")
    rows = np.frombuffer(raw, np.uint8).reshape(-1, count).T
    return [row.tobytes().rstrip(b"\0") for row in rows]
