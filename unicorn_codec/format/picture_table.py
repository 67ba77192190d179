"""What a file knows of each picture beside its latents: sizes (section IMGS) and names (section ``name``)."""

import re
import struct

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.bit_packing import compress, decompress, pack_codes, unpack_codes
from unicorn_codec.format.header import MAX_NAME_BYTES, MAX_SIDE, check
from unicorn_codec.format.sections import FORBIDDEN_CHARACTERS, Fields, decode_text, refusing

MAX_PICTURE_PIXELS = 1 << 28
MAX_TOTAL_PIXELS = 1 << 44

_FORBIDDEN_IN_NAMES = re.compile(rf"[{FORBIDDEN_CHARACTERS}]|(?:^|/)\.{{0,2}}(?:/|$)", re.MULTILINE)


def serialize_sizes(sizes: NDArray[np.int32], pictures: int) -> bytes:
    """Write the payload of IMGS: the distinct sizes, ascending, then which of them each position has."""
    check(sizes.shape == (pictures, 2), f"sizes are ({pictures}, 2), not {sizes.shape}")
    _check_sides(sizes)
    # A size as one number orders by width, then height.
    keys, ids = np.unique(sizes[:, 0].astype(np.int64) << 32 | sizes[:, 1], return_inverse=True)
    shapes = np.stack((keys >> 32, keys & 0xFFFFFFFF), axis=1)
    _check_pixels(shapes, np.bincount(ids))
    packed = compress(pack_codes(ids.astype(np.uint32), _id_bits(len(shapes))))
    return struct.pack("<I", len(shapes)) + shapes.astype("<u4").tobytes() + packed


def parse_sizes(payload: bytes, pictures: int) -> NDArray[np.int32]:
    """Read the payload of IMGS: (M, 2) int32, read-only. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("IMGS"):
        (count,) = fields.numbers("I")
        check(1 <= count <= pictures, f"{count} distinct sizes, allowed are 1 to the number of pictures, {pictures}")
        shapes = np.frombuffer(fields.take(8 * count), dtype="<u4").reshape(count, 2).astype(np.int64)
        _check_sides(shapes)
        check(bool(np.all(np.diff(shapes[:, 0] << 32 | shapes[:, 1]) > 0)), "distinct sizes must ascend strictly")
        bits = _id_bits(count)
        ids = unpack_codes(decompress(fields.rest(), -(-pictures * bits // 8)), bits, pictures)
        uses = np.bincount(ids) if count > 1 else np.array([pictures])
        check(uses.size <= count, f"a picture has size number {uses.size - 1}, there are {count}")
        check(uses.size == count and bool(np.all(uses)), "a size that no picture has")
        _check_pixels(shapes, uses)
    if count == 1:  # however many pictures the file claims, they take no memory
        return np.broadcast_to(shapes[0].astype(np.int32), (pictures, 2))
    sizes = shapes.astype(np.int32)[ids]
    sizes.flags.writeable = False
    return sizes


def _id_bits(shapes: int) -> int:
    return (shapes - 1).bit_length()


def _check_sides(shapes: NDArray[np.int32] | NDArray[np.int64]) -> None:
    smallest, largest = int(shapes.min()), int(shapes.max())
    check(smallest >= 1 and largest <= MAX_SIDE, f"sides are 1 to {MAX_SIDE} pixels, found {smallest} to {largest}")


def _check_pixels(shapes: NDArray[np.int64], uses: NDArray[np.int64]) -> None:
    pixels = shapes.prod(axis=1)
    most, total = int(pixels.max()), int((pixels * uses).sum())
    check(most <= MAX_PICTURE_PIXELS, f"a picture of {most} pixels, at most {MAX_PICTURE_PIXELS} are allowed")
    check(total <= MAX_TOTAL_PIXELS, f"{total} pixels in all, at most {MAX_TOTAL_PIXELS} are allowed")


def is_forbidden_name(name: str) -> bool:
    """Whether the format refuses a name for what it is made of."""
    return _FORBIDDEN_IN_NAMES.search(name) is not None


def serialize_names(names: tuple[str, ...], pictures: int) -> bytes:
    """Write the payload of ``name``. Raises ``InvalidSetting`` for names that ``check_names`` refuses."""
    check_names(names, pictures)
    return compress("\n".join(names).encode())


def parse_names(payload: bytes, pictures: int) -> tuple[str, ...]:
    """Read the payload of ``name``. Raises ``InvalidField``."""
    with refusing("name"):
        raw = decompress(payload, pictures * (MAX_NAME_BYTES + 1) - 1)
        count = raw.count(b"\n") + 1
        check(count == pictures, f"{count} names for {pictures} pictures")
        names = tuple(decode_text(raw).split("\n"))
        check_names(names, pictures)
        return names


def check_names(names: tuple[str, ...], pictures: int) -> None:
    """Raise ``InvalidSetting`` unless the names are what the format allows.

    One a picture, strictly ascending by UTF-8 bytes; each 1 to ``MAX_NAME_BYTES`` bytes, relative, with ``/`` between
    its components, none of which is empty, ``.`` or ``..``; no control character and no backslash.
    """
    check(len(names) == pictures, f"{len(names)} names for {pictures} pictures")
    # One pass over all names: a hundred thousand of them must not make reading slow.
    text = "\n".join(names)
    check(text.count("\n") == pictures - 1, "a name holds a line feed")
    if found := _FORBIDDEN_IN_NAMES.search(text):
        name = names[text.count("\n", 0, found.start())]
        check(False, f"the name {name!r} holds a forbidden character, is absolute, or has a component '', '.' or '..'")
    longest = max(map(len, text.encode().split(b"\n")))
    check(longest <= MAX_NAME_BYTES, f"a name has {longest} bytes, at most {MAX_NAME_BYTES} are allowed")
    # Code points sort as their UTF-8 bytes do.
    check(all(map(str.__lt__, names, names[1:])), "names must ascend strictly")
