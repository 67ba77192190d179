"""Networks, and what a reader must find of them."""

import hashlib
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vector_makers.fields import leb, stored
from vector_makers.integer_weights import integer_stream, step_size
from vector_makers.small_floats import float32_bits, magnitude

DENO_FIELDS: dict[str, tuple[str, Any]] = {
    "steps": ("<B", 4),
    "latent_std": ("<d", 1 / 3),
    "means": ("<d", 0.25),
    "stds": ("<d", 1.5),
    "hidden_size": ("<H", 4),
    "depth": ("<B", 1),
    "heads": ("<B", 1),
    "patch_size": ("<B", 1),
    "condition": ("<B", 0),
    "index_embedding": ("<B", 0),
    "index_tokens": ("<B", 1),
    "bandwidth": ("<d", 0.5),
    "prediction": ("<B", 0),
}
WEIGHTS = 268  # of one block 4 wide, one channel, patches of one latent position
CONDITIONS = {"cag": (0, 268), "icc": (1, 200), "ca": (2, 264), "alnz": (3, 296)}
EMBEDDINGS = {"grf": (0, 0), "edf": (1, 48), "let": (2, 24), "mlp": (3, 40)}
"""Id and number of weights: conditions with embedding grf, embeddings on top of that, with two index tokens."""
HEAD_FIELDS = leb(2026) + leb(3) + leb(0)
FORM = (4, 3, 7)


def network(weights: bytes, head: bytes = HEAD_FIELDS, **changes: Any) -> bytes:
    """The payload of a network's W."""
    fields = {name: struct.pack(layout, changes.get(name, usual)) for name, (layout, usual) in DENO_FIELDS.items()}
    return b"\0" + head + b"".join(fields.values()) + weights


def floats(packed: bytes, form: tuple[int, int, int, int] = (0, 4, 3, 7), count: int = WEIGHTS) -> bytes:
    """Weights of format 0."""
    return struct.pack("<BBBhQ", *form, count) + packed


def integers(stream: bytes, count: int = WEIGHTS) -> bytes:
    """Weights of format 1."""
    return struct.pack("<BQ", 1, count) + stream


CODES = [(7 * i + 3) % 256 for i in range(WEIGHTS)]
FLOATS = floats(stored(bytes(CODES)))
NETWORK = network(FLOATS)


def network_values(weight_codes: Sequence[int], form: tuple[int, int, int] = FORM, **named: str) -> dict[str, Any]:
    """What a reader must find of a network with these weight codes."""
    exponent_bits, mantissa_bits, bias = form
    sign = 1 << (exponent_bits + mantissa_bits)
    values = [float(magnitude(c & (sign - 1), mantissa_bits, bias)) * (-1 if c & sign else 1) for c in weight_codes]
    return of_weights(values, **named)


def of_weights(values: Sequence[float], **named: str) -> dict[str, Any]:
    """What a reader must find of a network with these weights."""
    kind = {"condition": "cag", "index_embedding": "grf", "prediction": "x0"} | named
    return {
        "steps": 4,
        "seed": 2026,
        "pictures": 3,
        "first": 0,
        **kind,
        "weights_sha256": hashlib.sha256(struct.pack(f"<{len(values)}f", *values)).hexdigest(),
        "first_weights": [float32_bits(f) for f in values[:4]],
    }


def integer_values(rows: Sequence[Sequence[int]], steps: Sequence[int]) -> dict[str, Any]:
    """Weights of format 1."""
    exact = [value * step_size(step) for row, step in zip(rows, steps, strict=True) for value in row]
    values = [float(value) for value in exact]
    packed = struct.pack(f"<{len(values)}f", *values)
    assert [Fraction(value) for value in struct.unpack(f"<{len(values)}f", packed)] == exact
    return of_weights(values)


def row_lengths(size: int) -> list[int]:
    """Columns of each row of a network of one block, one channel and patches of one latent position."""
    return [1] * size + [size] * (1 + 4 * size) + [4 * size] * size + [size] * (1 + 8 * size)


def integer_rows(size: int, spread: int) -> list[list[int]]:
    """Rows of integers of either sign, some of them far from the others."""
    lengths = row_lengths(size)
    return [
        [(-1) ** (i * j) * ((i * i + 7 * j * j + i * j) % (spread << i % 5)) for j in range(length)]
        for i, length in enumerate(lengths)
    ]


ROWS = integer_rows(4, 3)
STEPS = [130 + 3 * i % 7 for i in range(len(ROWS))]
CLASSES = [10 + 3 * (i % 5) for i in range(len(ROWS))]
STREAM = integer_stream(ROWS, STEPS, CLASSES)
FLOAT32_CODES = [struct.unpack("<I", struct.pack("<f", (i - 134) / 7))[0] for i in range(WEIGHTS)]
