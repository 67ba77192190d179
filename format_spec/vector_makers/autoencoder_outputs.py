"""What the packaged autoencoder makes of latents, with and without an update, in float64; and doubled pictures."""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from operator import mul
from pathlib import Path
from typing import Any

from vector_makers.fields import leb
from vector_makers.generator import words
from vector_makers.integer_weights import integer_stream, step_size

MODELS = Path(__file__).parents[2] / "unicorn_codec" / "pretrained"
NAME, CHANNELS, HIDDEN = "photo-1", 64, 16
OFFSETS = [[-6, 0], [1, -3]]  # of the cells' steps, in a quarter of an octave

Plane = list[list[float]]
Weights = Mapping[str, tuple[Sequence[int], Sequence[float]]]  # shape, and values in row-major order


def read_weights(data: bytes) -> dict[str, tuple[list[int], list[float]]]:
    """The tensors of a safetensors file, those of int8 times the scales of their rows."""
    (length,) = struct.unpack_from("<Q", data)
    listed = json.loads(data[8 : 8 + length])
    kinds = {"F16": ("e", 2), "F32": ("f", 4), "I8": ("b", 1)}
    found: dict[str, tuple[list[int], list[float]]] = {}
    for name, entry in listed.items():
        if name == "__metadata__":
            continue
        letter, size = kinds[entry["dtype"]]
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        found[name] = entry["shape"], list(struct.unpack(f"<{(end - start) // size}{letter}", data[start:end]))
    for name in [name for name in found if name + ".scale" in found]:
        shape, values = found[name]
        scales = found[name + ".scale"][1]
        columns = len(values) // len(scales)
        found[name] = shape, [value * scales[n // columns] for n, value in enumerate(values)]
    return found


def convolve(weights: Weights, name: str, planes: Sequence[Plane]) -> list[Plane]:
    """A convolution of 1x1 or 3x3, with zeros beyond the edges."""
    (out, into, side, _), kernel = weights[f"{name}.weight"]
    reach, height, width = side // 2, len(planes[0]), len(planes[0][0])
    blank = [0.0] * (width + 2 * reach)
    padded = [
        [blank] * reach + [[0.0] * reach + row + [0.0] * reach for row in plane] + [blank] * reach for plane in planes
    ]
    rows = [kernel[n * into * side**2 : (n + 1) * into * side**2] for n in range(out)]
    made: list[Plane] = [[[0.0] * width for _ in range(height)] for _ in range(out)]
    for y in range(height):
        for x in range(width):
            seen = [value for plane in padded for row in plane[y : y + side] for value in row[x : x + side]]
            for n, (row, bias) in enumerate(zip(rows, weights[f"{name}.bias"][1], strict=True)):
                made[n][y][x] = sum(map(mul, row, seen)) + bias
    return made


def enlarge(planes: Sequence[Plane], times: int) -> list[Plane]:
    """As many planes as there are for each pixel of a cell, and the width and height so many times."""
    height, width, cell = times * len(planes[0]), times * len(planes[0][0]), times * times
    return [
        [
            [planes[c + times * (y % times) + x % times][y // times][x // times] for x in range(width)]
            for y in range(height)
        ]
        for c in range(0, len(planes), cell)
    ]


def add_block(weights: Weights, name: str, x: list[Plane]) -> list[Plane]:
    """A residual or a bottleneck block, as its kernels are."""
    hidden = convolve(weights, f"{name}.conv_in", x)
    hidden = [[[v / (1 + math.exp(-v)) for v in row] for row in plane] for plane in hidden]
    change = convolve(weights, f"{name}.conv_out", hidden)
    return [
        [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]
        for planes in zip(x, change, strict=True)
    ]


def decode(weights: Weights, config: Mapping[str, Any], latents: Sequence[Plane], steps: Plane) -> list[Plane]:
    """Red, green and blue of all pixels, about -1 to 1."""
    coarseness = [[math.log(step) / math.log(config["max_step"]) for step in row] for row in steps]
    x = convolve(weights, "decoder.0", [*latents, coarseness])
    layer, left = 1, 16
    for number, blocks in enumerate(config["decoder_depths"], start=1):
        for _ in range(blocks):
            x = add_block(weights, f"decoder.{layer}", x)
            layer += 1
        times = left if number == len(config["decoder_depths"]) else 2
        x = enlarge(convolve(weights, f"decoder.{layer}", x), times)
        left //= times
        layer += 2
    return x


def convolutions(weights: Weights, part: str = "decoder.") -> list[str]:
    """A part's convolutions, in order."""
    kernels = [name for name in weights if name.startswith(part) and name.endswith(".weight")]
    return sorted((name.removesuffix(".weight") for name in kernels), key=lambda name: (int(name.split(".")[1]), name))


def drawn_update(weights: Weights) -> tuple[bytes, Weights]:
    """An update of rank 1 as a file holds it, and the weights with it. Few of its numbers are not 0."""
    rows, steps, changed = list[list[int]](), list[int](), dict(weights)
    for number, name in enumerate(convolutions(weights)):
        shape, kernel = weights[f"{name}.weight"]
        out, columns, taps = shape[0], len(kernel) // shape[0], shape[2] * shape[3]
        sizes = (out, shape[1], out, out, columns)
        drawn = [
            [word % 7 - 3 if word >> 32 & 31 == 0 else 0 for word in words(96, 10 * number + k, size)]
            for k, size in enumerate(sizes)
        ]
        exponents = [165, 163, 164 + number % 5, 160, 162]
        gain_out, gain_in, bias, left, right = (
            [value * float(step_size(step)) for value in row] for row, step in zip(drawn, exponents, strict=True)
        )
        rows += drawn
        steps += exponents
        moved = [a + b for a, b in zip(weights[f"{name}.bias"][1], bias, strict=True)]
        product = [
            value * (1 + gain_out[n // columns]) * (1 + gain_in[n % columns // taps])
            + left[n // columns] * right[n % columns]
            for n, value in enumerate(kernel)
        ]
        changed |= {f"{name}.bias": ([out], moved), f"{name}.weight": (shape, product)}
    for size in context_rows():  # of zeros
        rows.append([0] * size)
        steps.append(160)
    decoding = integer_stream(rows, steps, [2] * len(rows))
    rows = [[0] * size for size in encoder_rows(weights)]
    return b"\1" + leb(len(decoding)) + decoding + integer_stream(rows, [160] * len(rows), [2] * len(rows)), changed


def context_rows() -> list[int]:
    """Lengths of the rows of the context model's tensors."""
    hidden = CHANNELS * HIDDEN
    return [18 * CHANNELS, hidden, *[hidden] * 4, *[9 * CHANNELS] * 4, hidden, hidden, *[CHANNELS] * 8]


def encoder_rows(weights: Weights) -> list[int]:
    """Lengths of the rows of the encoder's tensors."""
    shapes = [weights[f"{name}.weight"][0] for name in convolutions(weights, "encoder.")]
    return [size for out, inputs, *_ in shapes for size in (out, inputs, out)]


def autoencoder_values() -> dict[str, Any]:
    """Latents, an update, and levels 127.5 (y + 1) of all pixels before they are rounded, with three decimals."""
    entries = json.loads((MODELS / "manifest.json").read_text())["models"]
    entry = next(one for one in entries if (one["name"], one["role"]) == (NAME, "autoencoder"))
    weights, config = read_weights((MODELS / entry["file"]).read_bytes()), entry["config"]
    step = 3.0
    numbers = [word % 9 - 4 if n % 3 == 0 else 0 for n, word in enumerate(words(4, 4, 4 * CHANNELS))]
    values = [numbers[4 * c : 4 * c + 4] for c in range(CHANNELS)]
    latents = [[[step * v for v in four[:2]], [step * v for v in four[2:]]] for four in values]
    update, changed = drawn_update(weights)
    steps = [[step * 2 ** (offset / 4) for offset in row] for row in OFFSETS]
    mapped = [
        [[s * v for s, v in zip(*rows, strict=True)] for rows in zip(steps, (four[:2], four[2:]), strict=True)]
        for four in values
    ]
    return {
        "model": NAME,
        "sha256": entry["sha256"],
        "latent_step": step,
        "quantised_latents": values,
        "tolerance": 0.05,
        "levels": as_text(decode(weights, config, latents, [[step, step]] * 2)),
        "update": update.hex(),
        "invalid_updates": [
            {"name": "of-another-rank", "clause": "UNI-98", "hex": (b"\2" + update[1:]).hex()},
            {"name": "of-rank-0", "clause": "UNI-98", "hex": (b"\0" + update[1:]).hex()},
            {"name": "cut", "clause": "UNI-98", "hex": update[:-2].hex()},
            {"name": "with-a-word-more", "clause": "UNI-98", "hex": (update + b"\0\0").hex()},
        ],
        "levels_with_update": as_text(decode(changed, config, latents, [[step, step]] * 2)),
        "offsets": OFFSETS,
        "levels_with_map": as_text(decode(weights, config, mapped, steps)),
        "doubling": doubling_values(),
    }


def as_text(planes: Sequence[Plane]) -> list[list[str]]:
    """Levels of each channel's rows."""
    return [[" ".join(f"{127.5 * (value + 1):.3f}" for value in row) for row in plane] for plane in planes]


def doubling_values() -> dict[str, Any]:
    """A plane of 3 by 4 numbers, and what it is at twice the width and height, exact in binary64."""
    plane = [[float(word % 513 - 256) for word in words(89, row, 4)] for row in range(3)]
    once = [doubled(row) for row in plane]
    columns = [doubled(list(column)) for column in zip(*once, strict=True)]
    return {"plane": plane, "doubled": [list(row) for row in zip(*columns, strict=True)], "tolerance": 0.001}


def doubled(row: Sequence[float]) -> list[float]:
    """A row of twice the length, by weights of 256."""
    found = []
    for place in range(2 * len(row)):
        near, side = place // 2, 1 if place % 2 else -1
        taken = [row[min(max(near + side * n, 0), len(row) - 1)] for n in (-1, 0, 1, 2)]
        found.append(sum(map(mul, (-27, 225, 67, -9), taken)) / 256)
    return found
