"""Archives of three pictures, wrong where that is wanted, and what a reader must find in them."""

import struct
from collections.abc import Sequence
from typing import Any

from vector_makers.archive import File, Picture
from vector_makers.fields import leb


def three(**changes: Any) -> list[Picture]:
    """Three pictures of codes, with names."""
    names = ("b/c.jpg", "é.webp", "a.png")
    sizes = ((8, 16), (24, 8), (24, 8))
    codes = (b"codes", b"\0", b"\x7ff\xff\n")
    return [Picture(n, codes[n], sizes[n], names[n], **changes) for n in range(3)]


def usual(
    pictures: list[Picture] | None = None,
    *,
    decoder: dict[str, bytes] | None = None,
    weights: bytes | None = None,
    damage: int | None = None,
    names: bytes | None = None,
    leaf: dict[str, bytes] | None = None,
    footer: dict[str, bytes] | None = None,
) -> bytes:
    """A file of one generation and one page, with what is to be wrong in it."""
    file = File()
    file.decoder(weights, **(decoder or {}))
    file.records(three() if pictures is None else pictures, damage)
    file.root = file.leaf(0, names, **(leaf or {}))
    return file.footer(**(footer or {}))


def of_network(payload: bytes, **footer: bytes) -> bytes:
    """A file whose pictures a network holds."""
    pictures = three(codec=5)
    return usual(pictures, weights=payload, decoder={"kind": b"\1"}, footer=footer)


def canary(index: int = 1, sums: Sequence[int] = tuple(range(0, 4081, 272))) -> bytes:
    """A canary as it stands in the footer."""
    return leb(index) + struct.pack(f"<{len(sums)}H", *sums)


USUAL = usual()
SUMS = list(range(0, 4081, 272))


def expected(pictures: Sequence[Picture] | None = None, **values: Any) -> dict[str, Any]:
    """What a reader must find in a valid file."""
    pictures = three() if pictures is None else pictures
    listed = [
        {
            "index": p.index,
            "size": list(p.size),
            "codec": p.codec,
            "decoder": p.decoder,
            "parent": p.parent,
            "psnr": p.psnr,
            "name": p.name,
            "code": None if p.codec == 5 else p.code.hex(),
        }
        for p in pictures
        if p.codec not in (0, 8)
    ]
    usual_values = {"generation": 1, "pictures": listed, "network": None, "canaries": [], "change": None}
    usual_values |= {"blobs": [], "times": [], "alphas": [], "models": [], "texts": []}
    return usual_values | values


Valid = tuple[str, str, bytes, dict[str, Any]]  # name, clause, bytes, expected values
Invalid = tuple[str, str, str, bytes]  # name, clause, error, bytes
