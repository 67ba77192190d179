"""Values of decoded pixels: canaries and gray pictures."""

from collections.abc import Sequence
from typing import Any

from vector_makers.sample_archives import canary


def canary_values(index: int, pixels: Sequence[Sequence[Sequence[int]]]) -> dict[str, Any]:
    """The canary of a picture of rows of (red, green, blue)."""
    height, width = len(pixels), len(pixels[0])
    sums = []
    for k in range(16):
        top, left = (2 * (k // 4) + 1) * height // 8 - 2, (2 * (k % 4) + 1) * width // 8 - 2
        rows = [min(max(row, 0), height - 1) for row in range(top, top + 4)]
        columns = [min(max(column, 0), width - 1) for column in range(left, left + 4)]
        sums.append(sum(pixels[row][column][k % 3] for row in rows for column in columns))
    return {"pixels": pixels, "hex": canary(index, sums).hex(), "index": index, "sums": sums}


def canary_cases() -> list[dict[str, Any]]:
    """Sums of pictures larger and smaller than their blocks."""
    return [
        canary_values(
            n, [[[(7 * y + 13 * x + 31 * c + n) % 256 for c in range(3)] for x in range(w)] for y in range(h)]
        )
        for n, (h, w) in enumerate([(1, 1), (3, 5), (8, 17)])
    ]


def gray_code_values() -> list[dict[str, Any]]:
    """Marked codes and what follows the mark; and the luma of some colours."""
    codes = [("latents", b"\5\1\2"), ("half-size", b"\x85\1"), ("empty-channels", b"\0"), ("avif", b"\xff\0\x0a")]
    colours = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 2, 3), (128, 127, 129)]
    return [
        *({"name": name, "hex": (b"\x7f" + code).hex(), "follows": code.hex()} for name, code in codes),
        {"name": "nothing", "hex": "7f", "clause": "UNI-124", "error": "InvalidField"},
        {"name": "marked-twice", "hex": "7f7f0501", "clause": "UNI-124", "error": "InvalidField"},
        *(
            {"name": f"luma-of-{r}-{g}-{b}", "colour": [r, g, b], "luma": (299 * r + 587 * g + 114 * b + 500) // 1000}
            for r, g, b in colours
        ),
    ]
