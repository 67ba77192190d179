"""Near-duplicates <-> AVIF codes of an AV1 sequence, one temporal unit per picture.

Each picture is predicted from earlier ones. Decoding one requires the units of all pictures before it, at most
``MAX_SEQUENCE``. Layout: ``format_spec/uni-1.md``, "Sequences".
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.code_kinds import (
    AVIF,
    FIRST_OF_SEQUENCE,
    LATER_OF_SEQUENCE,
    code_of_unit,
    is_in_sequence,
    parent_of_code,
    unit_of_code,
    unmark_gray,
)
from unicorn_codec.format.limits import MAX_SEQUENCE
from unicorn_codec.pictures.av1_stream import read_first
from unicorn_codec.pictures.avif import check_avif, opened_avif, subsampling_of
from unicorn_codec.pictures.avif_container import take_units, wrap_units
from unicorn_codec.pictures.pixels import Pixels

SPEED = 4


def encode_sequence(pictures: Sequence[Pixels], quality: int) -> tuple[list[bytes], list[Pixels]]:
    """Encode equally sized pictures, uint8 (H, W, 3). Return their temporal units, and the pixels they decode to.

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
    """Decode some pictures of a sequence to pixels, uint8 (height, width, 3).

    Args:
        wanted: numbers of the pictures within the sequence, ascending.

    Raises:
        InvalidField: the sequence is damaged, or its pictures have another size.
        PackageMissing: this Pillow has no AVIF.
    """
    check_avif()
    claimed = read_first(units[0])
    # Checked before a decoder allocates memory.
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
    """Return the code of the picture at each position, made from its unit; each names the previous position."""
    parents = (None, *positions[:-1])
    return {
        position: code_of_unit(unit, parent) for position, parent, unit in zip(positions, parents, units, strict=True)
    }


def chain_of(code_of: Callable[[int], bytes], index: int) -> list[int]:
    """Return the indices of the pictures that a picture of a sequence depends on, in decoding order, its own last.

    Args:
        code_of: the code of the picture with an index.

    Raises:
        InvalidField: they are not a sequence, or one of more than ``MAX_SEQUENCE`` pictures.
    """
    chain = [index]
    while (parent := parent_of_code(code_of(chain[-1]))) is not None:
        if len(chain) == MAX_SEQUENCE:
            raise InvalidField(f"picture {index} depends on more than {MAX_SEQUENCE} others")
        chain.append(parent)
    if unmark_gray(code_of(chain[-1]))[:2] != bytes([AVIF, FIRST_OF_SEQUENCE]):
        raise InvalidField(f"picture {index} depends on one that is not part of a sequence")
    return chain[::-1]


def sequences_of(streams: Sequence[bytes]) -> list[list[int]]:
    """Return the positions of the pictures of each sequence. Raises ``InvalidField`` as ``chain_of``."""
    members: dict[int, list[int]] = {}
    for position, code in enumerate(streams):
        if is_in_sequence(code):
            members.setdefault(chain_of(streams.__getitem__, position)[0], []).append(position)
    return list(members.values())


def decode_chains(
    chains: Sequence[Sequence[int]], code_of: Callable[[int], bytes], width: int, height: int
) -> Mapping[int, Pixels]:
    """Decode the last picture of each chain. Return pixels by index; all pictures have one size.

    Args:
        chains: results of ``chain_of``.
        code_of: the code of the picture with an index.

    Raises:
        InvalidField: a code is damaged.
        PackageMissing: this Pillow has no AVIF.
    """
    # A chain that is the beginning of another one is decoded with it.
    longest: list[Sequence[int]] = []
    for chain in sorted(chains, key=len, reverse=True):
        if not any(list(chain) == list(other[: len(chain)]) for other in longest):
            longest.append(chain)
    wanted, pixels = {chain[-1] for chain in chains}, dict[int, Pixels]()
    for chain in longest:
        units = [_unit(code_of(index), is_first=not number) for number, index in enumerate(chain)]
        numbers = [number for number, index in enumerate(chain) if index in wanted]
        decoded = decode_units(units, width, height, numbers)
        pixels |= zip((chain[number] for number in numbers), decoded, strict=True)
    return pixels


def _unit(code: bytes, *, is_first: bool) -> bytes:
    if unmark_gray(code)[:2] != bytes([AVIF, FIRST_OF_SEQUENCE if is_first else LATER_OF_SEQUENCE]):
        raise InvalidField("only the first picture of a sequence has the code of a first picture")
    return unit_of_code(code)
