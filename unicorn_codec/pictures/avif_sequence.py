"""Alike pictures <-> AVIF codes that go on from each other: an AV1 sequence, one temporal unit a picture.

What a picture shares with the one before it is not stored again. Any of them is decoded from the units of those before
it, ``MAX_SEQUENCE`` at most. Layout: ``format_spec/uni-1.md``, "Sequences".
"""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.code_table import AVIF, FIRST_OF_SEQUENCE, LATER_OF_SEQUENCE, MAX_SEQUENCE, is_in_sequence
from unicorn_codec.pictures.av1_stream import read_first
from unicorn_codec.pictures.avif import check_avif, opened_avif, subsampling_of
from unicorn_codec.pictures.avif_container import take_units, wrap_units
from unicorn_codec.pictures.images import Pixels

SPEED = 4

_DISTANCE_BYTES = 4


def encode_sequence(pictures: Sequence[Pixels], quality: int) -> tuple[list[bytes], list[Pixels]]:
    """Temporal units of equally sized pictures, uint8 (H, W, 3), and the pixels that they decode to.

    Raises:
        PackageMissing: this Pillow has no AVIF, or writes sequences that no code can hold.
    """
    check_avif()
    height, width = pictures[0].shape[:2]
    first, *others = map(Image.fromarray, pictures)
    encoded = io.BytesIO()
    subsampling = subsampling_of(quality)
    first.save(
        encoded, "AVIF", save_all=True, append_images=others, quality=quality, subsampling=subsampling, speed=SPEED
    )
    try:
        units = take_units(encoded.getvalue())
        return units, decode_units(units, width, height, range(len(units)))
    except InvalidField as error:
        raise PackageMissing(f"this Pillow writes AVIF sequences that cannot be stored: {error}") from error


def decode_units(units: Sequence[bytes], width: int, height: int, wanted: Iterable[int]) -> list[Pixels]:
    """Pixels, uint8 (height, width, 3), of some of a sequence's pictures.

    Args:
        wanted: their numbers within the sequence, ascending.

    Raises:
        InvalidField: it is damaged, or of pictures of another size.
        PackageMissing: this Pillow has no AVIF.
    """
    check_avif()
    claimed = read_first(units[0])
    # Before a decoder takes memory, as for a picture alone.
    if (claimed.width, claimed.height) != (width, height):
        raise InvalidField(f"an AV1 sequence of {claimed.width}x{claimed.height} pixels, not {width}x{height}")
    with opened_avif(wrap_units(units), (width, height), is_own=True) as image:
        if getattr(image, "n_frames", 1) != len(units):
            raise InvalidField(f"an AV1 sequence of other than {len(units)} pictures")
        pictures = []
        for number in wanted:
            image.seek(number)
            pictures.append(np.array(image.convert("RGB")))
        return pictures


def sequence_codes(units: Sequence[bytes], positions: Sequence[int]) -> dict[int, bytes]:
    """The code of the picture at each position, ascending, from its unit."""
    codes = {positions[0]: bytes([AVIF, FIRST_OF_SEQUENCE]) + units[0]}
    for before, position, unit in zip(positions, positions[1:], units[1:], strict=False):
        codes[position] = bytes([AVIF, LATER_OF_SEQUENCE]) + _distance_bytes(position - before) + unit
    return codes


def chain_of(streams: Sequence[bytes], position: int) -> list[int]:
    """Positions of the pictures that a sequence's picture is decoded from, the first one first, itself last.

    Args:
        streams: the codes of all pictures.

    Raises:
        InvalidField: they are no sequence, or one of over ``MAX_SEQUENCE`` pictures.
    """
    chain = [position]
    while streams[chain[-1]][:2] == bytes([AVIF, LATER_OF_SEQUENCE]):
        distance, _ = _distance(streams[chain[-1]])
        chain.append(chain[-1] - distance)
        if chain[-1] < 0 or len(chain) > MAX_SEQUENCE:
            raise InvalidField(f"image {position} goes on from a picture that is not there, or from too many")
    if streams[chain[-1]][:2] != bytes([AVIF, FIRST_OF_SEQUENCE]):
        raise InvalidField(f"image {position} goes on from one that is of no sequence")
    return chain[::-1]


def sequences_of(streams: Sequence[bytes]) -> list[list[int]]:
    """Positions of the pictures of each sequence. Raises ``InvalidField`` as ``chain_of``."""
    members: dict[int, list[int]] = {}
    for position, code in enumerate(streams):
        if is_in_sequence(code):
            members.setdefault(chain_of(streams, position)[0], []).append(position)
    return list(members.values())


def decode_chains(streams: Sequence[bytes], positions: Iterable[int], width: int, height: int) -> Mapping[int, Pixels]:
    """Pixels by position, of pictures of sequences that are all of one size.

    Raises:
        InvalidField: a code is damaged, or two go on from the same one.
        PackageMissing: this Pillow has no AVIF.
    """
    longest: dict[int, list[int]] = {}
    wanted = {position: chain_of(streams, position) for position in positions}
    for chain in sorted(wanted.values(), key=len):
        earlier = longest.get(chain[0], [])
        if chain[: len(earlier)] != earlier:
            raise InvalidField(f"two pictures go on from the same one of the sequence that image {chain[0]} begins")
        longest[chain[0]] = chain
    pixels: dict[int, Pixels] = {}
    for chain in longest.values():
        units = [_unit(streams[position]) for position in chain]
        numbers = [number for number, position in enumerate(chain) if position in wanted]
        decoded = decode_units(units, width, height, numbers)
        pixels |= zip((chain[number] for number in numbers), decoded, strict=True)
    return pixels


def _unit(code: bytes) -> bytes:
    if code[1] == FIRST_OF_SEQUENCE:
        return code[2:]
    _, length = _distance(code)
    return code[2 + length :]


def _distance(code: bytes) -> tuple[int, int]:
    """Return the distance in positions to the reference picture, and the number of bytes that encode it."""
    distance = 0
    for place, byte in enumerate(code[2 : 2 + _DISTANCE_BYTES]):
        distance |= (byte & 127) << 7 * place
        if byte < 128:
            if distance and (byte or not place):
                return distance, place + 1
            break
    raise InvalidField("an AVIF code without its reference picture")


def _distance_bytes(distance: int) -> bytes:
    found = bytearray()
    while distance >= 128:
        found.append(distance & 127 | 128)
        distance >>= 7
    return bytes([*found, distance])
