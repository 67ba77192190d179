"""Codes with cell maps, for the small context model of the codes' table: maps, values, steps and bytes."""

from itertools import groupby, product
from typing import Any

from vector_makers.coded_latents import LEVELS, TABLES, C, Plane, Planes, clamp, lanes_of, planes, turns
from vector_makers.entropy_coder import rans_encode
from vector_makers.fields import leb

ALL = 32
"""Offset 0 in a map."""


def map_of(offsets: Plane) -> bytes:
    """The bands of equal rows, and their runs of equal cells."""
    data = b""
    for row, band in groupby(offsets):
        data += leb(len(list(band)))
        for offset, run in groupby(row):
            data += leb(len(list(run))) + bytes([ALL + offset])
    return data


def mapped_code(values: Planes, offsets: Plane, level: int, *, short: bool, half: bool = False) -> bytes:
    """The code of a picture's values with a map."""
    count = max((c + 1 for c in range(C) if any(map(any, values[c]))), default=0)
    levels = [[clamp(level + offset - 4 * half, 0, LEVELS - 1) for offset in row] for row in offsets]
    lanes = lanes_of(values)
    steps = list(turns(values, count, levels, lanes))
    stream = rans_encode(TABLES, steps, lanes, short=short) if count else b""
    return bytes([255, 5, count + 128 * half]) + map_of(offsets) + stream


def steps_of(offsets: Plane, step: float, *, half: bool) -> list[str]:
    """The quantisation step of each cell, by rows."""
    return [" ".join(f"{step / (1 + half) * 2 ** (offset / 4):.6f}" for offset in row) for row in offsets]


def cell_map_values() -> dict[str, Any]:
    """Codes with maps, of rows by columns cells at a decoder's level and step, and codes that a reader refuses."""
    small, wide, zeros = planes(5, 4, 6, (1, 2, 3)), planes(2, 17, 16, (2, 5, 40)), planes(0, 2, 3, (0, 0, 0))
    middle = [[-8 if y in (1, 2) and x in (2, 3) else 4 for x in range(6)] for y in range(4)]
    slopes = [[x - y for x in range(16)] for y in range(17)]
    far = [[-32, 32, 0], [-32, 32, 0]]
    listed = [("middle", small, middle, 7), ("slopes", wide, slopes, 9), ("empty", zeros, far, 19)]
    valid = [
        {
            "name": "-".join(["short"] * short + ["half-size"] * half + [name]),
            "level": level,
            "latent_step": 3.5,
            "short": short,
            "hex": mapped_code(values, offsets, level, short=short, half=half).hex(),
            "offsets": [" ".join(map(str, row)) for row in offsets],
            "steps": steps_of(offsets, 3.5, half=half),
            "values": [[" ".join(map(str, row)) for row in plane] for plane in values],
        }
        for short, half in product((False, True), (False, True))
        for name, values, offsets, level in listed
    ]
    return {"codes": valid + invalid_maps(small, middle)}


def invalid_maps(values: Planes, offsets: Plane) -> list[dict[str, Any]]:
    """Codes of 4 by 6 cells that a reader refuses."""
    good = mapped_code(values, offsets, 7, short=True)
    bands, first = map_of(offsets), good[2:3]
    stream = good[3 + len(bands) :]
    mark, row = b"\xff\5", b"\6\x20"
    listed = [
        ("of-a-gray-mark", "UNI-176", mark + b"\x7f" + good[3:]),
        ("of-an-avif-code", "UNI-176", mark + b"\xff" + good[3:]),
        ("without-a-first-byte", "UNI-176", mark),
        ("without-a-map", "UNI-177", mark + first),
        ("cut-in-its-map", "UNI-177", mark + first + bands[:-1]),
        ("of-no-rows", "UNI-177", mark + first + b"\0" + row + bands + stream),
        ("of-too-many-rows", "UNI-177", mark + first + b"\5" + row + stream),
        ("of-no-cells", "UNI-177", mark + first + b"\4\0\x20" + row + stream),
        ("of-too-many-cells", "UNI-177", mark + first + b"\4\7\x20" + stream),
        ("of-a-length-too-long-for-its-bytes", "UNI-177", mark + first + b"\x84\0" + row + stream),
        ("of-offset-33", "UNI-177", mark + first + b"\4\6\x41" + stream),
        ("of-a-cut-stream", "UNI-180", good[:-2]),
        ("of-too-many-channels", "UNI-180", mark + bytes([C + 1]) + good[3:]),
        ("of-nothing-with-more", "UNI-180", mark + b"\0" + bands + b"\0"),
    ]
    return [
        {"name": name, "clause": clause, "error": "InvalidField", "level": 7, "latent_step": 3.5, "short": True}
        | {"rows": 4, "columns": 6, "hex": code.hex()}
        for name, clause, code in listed
    ]
