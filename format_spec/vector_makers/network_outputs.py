"""What small networks make of an index, computed in float64 from the text alone."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from operator import mul
from typing import Any

from vector_makers.fields import stored
from vector_makers.generator import normals, words
from vector_makers.networks import FORM, floats, network
from vector_makers.small_floats import magnitude

H, HEADS, DEPTH, PATCH, K, PICTURES, SEED, STEPS = 8, 2, 2, 2, 2, 3, 2026, 4
MEAN, DEVIATION, BANDWIDTH = 0.25, 1.5, 0.5
LATENT_STD = {"x0": 1 / 3, "noise": 2.0}  # a smaller one would hold nearly all values of an untrained network
P = PATCH * PATCH
ROWS, COLUMNS = 2, 4
NOISE, FREQUENCIES = 3 << 32, 2 << 32
CONDITIONS, EMBEDDINGS = ("cag", "icc", "ca", "alnz"), ("grf", "edf", "let", "mlp")

Vector = list[float]
Matrix = list[Vector]
Tensors = Mapping[str, Matrix]


def shapes_of(condition: str, embedding: str) -> list[tuple[str, int, int]]:
    """Name, rows and columns of each tensor, in the order of the file."""
    listed = [("patch_in", H, P), ("patch_out", P, H)]
    first = {"edf": H, "mlp": 2}.get(embedding)
    if first is not None:
        listed += [("index_embedding.mlp_in", H, first), ("index_embedding.mlp_out", K * H, H)]
    if embedding == "let":
        listed.append(("index_embedding.table", PICTURES, K * H))
    for b in range(DEPTH):
        within = [("mlp_in", 4 * H, H), ("mlp_out", H, 4 * H)]
        within += [("gate", 1, H)] if condition == "cag" else []
        within += [("modulation", 6 * H, H)] if condition == "alnz" else []
        kinds = ["self_attention"] + (["cross_attention"] if condition in ("ca", "cag") else [])
        within += [(f"{kind}.{name}", H, H) for kind in kinds for name in ("query", "key", "value", "out")]
        listed += [(f"blocks.{b}.{name}", rows, columns) for name, rows, columns in within]
    return listed


def tensors_of(codes: Sequence[int], shapes: Sequence[tuple[str, int, int]]) -> Tensors:
    """The values of weight codes, cut into tensors."""
    values = [float(magnitude(code & 127, FORM[1], FORM[2])) * (-1 if code & 128 else 1) for code in codes]
    found, at = dict[str, Matrix](), 0
    for name, rows, columns in shapes:
        found[name] = [values[at + n * columns : at + (n + 1) * columns] for n in range(rows)]
        at += rows * columns
    return found


def times(tensor: Matrix, v: Vector) -> Vector:
    """The product of a matrix and a vector."""
    return [sum(map(mul, row, v)) for row in tensor]


def plus(v: Vector, *others: Vector) -> Vector:
    """Sums of numbers in the same places."""
    return [sum(numbers) for numbers in zip(v, *others, strict=True)]


def norm(v: Vector) -> Vector:
    """A vector by the root of its mean square."""
    return [x / math.sqrt(sum(map(mul, v, v)) / len(v) + 1e-6) for x in v]


def silu(v: Vector) -> Vector:
    """Each number z as z / (1 + exp(-z))."""
    return [z / (1 + math.exp(-z)) for z in v]


def waves(angles: Vector) -> Vector:
    """Sines, then cosines, times the root of 2."""
    return [math.sqrt(2) * wave(angle) for wave in (math.sin, math.cos) for angle in angles]


def attend(w: Tensors, prefix: str, x: Matrix, s: Matrix) -> Matrix:
    """Attention of x to s, or of x to itself."""
    query = [times(w[prefix + "query"], v) for v in x]
    key, value = ([times(w[prefix + name], v) for v in s] for name in ("key", "value"))
    size, joined = H // HEADS, [Vector() for _ in x]
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        for n, q in enumerate(query):
            scores = [sum(map(mul, norm(q[part]), norm(k[part]))) / math.sqrt(size) for k in key]
            shares = [math.exp(score) for score in scores]
            averages = [sum(map(mul, shares, column)) for column in zip(*(v[part] for v in value), strict=True)]
            joined[n] += [average / sum(shares) for average in averages]
    return [times(w[prefix + "out"], v) for v in joined]


def block(condition: str, w: Tensors, prefix: str, x: Matrix, c: Matrix) -> tuple[Matrix, Matrix]:
    """One block, of tokens and conditions to such."""

    def mix(y: Matrix) -> Matrix:
        return attend(w, prefix + "self_attention.", y, y)

    def mlp(y: Matrix) -> Matrix:
        hidden = [[max(0.0, z) ** 2 for z in times(w[prefix + "mlp_in"], v)] for v in y]
        return [times(w[prefix + "mlp_out"], v) for v in hidden]

    def add(a: Matrix, b: Matrix, gate: Vector | None = None) -> Matrix:
        return [plus(u, v if gate is None else list(map(mul, gate, v))) for u, v in zip(a, b, strict=True)]

    if condition == "icc":
        s = x + c
        s = add(s, mix([norm(v) for v in s]))
        s = add(s, mlp([norm(v) for v in s]))
        return s[: len(x)], s[len(x) :]
    if condition == "alnz":
        of_index = [sum(numbers) / math.sqrt(K) for numbers in zip(*c[:-1], strict=True)]
        modulation = times(w[prefix + "modulation"], silu(plus(of_index, c[-1])))
        b1, a1, g1, b2, a2, g2 = (modulation[n * H : (n + 1) * H] for n in range(6))

        def moved(b: Vector, a: Vector) -> Matrix:
            return [[(1 + k) * z + m for k, z, m in zip(a, norm(v), b, strict=True)] for v in x]

        x = add(x, mix(moved(b1, a1)), g1)
        return add(x, mlp(moved(b2, a2)), g2), c
    x = add(x, mix([norm(v) for v in x]))
    crossed = attend(w, prefix + "cross_attention.", [norm(v) for v in x], c)
    x = add(x, crossed, w[prefix + "gate"][0] if condition == "cag" else None)
    return add(x, mlp([norm(v) for v in x])), c


def index_tokens(embedding: str, w: Tensors, index: int) -> Matrix:
    """K tokens of an index."""
    if embedding == "grf":
        half = H // 2
        drawn = [BANDWIDTH * z for z in normals(SEED, FREQUENCIES, K * half)]
        return [waves([2 * math.pi * (index * f % 1) for f in drawn[n * half : (n + 1) * half]]) for n in range(K)]
    if embedding == "let":
        joined = w["index_embedding.table"][index]
    else:
        decays = [10000 ** (-k / (H / 2)) for k in range(H // 2)]
        u = waves([index * f for f in decays]) if embedding == "edf" else [(2 * index + 1) / PICTURES - 1, 1.0]
        joined = times(w["index_embedding.mlp_out"], silu(times(w["index_embedding.mlp_in"], u)))
    return [joined[n * H : (n + 1) * H] for n in range(K)]


def predict(condition: str, embedding: str, w: Tensors, x: Vector, t: float, index: int) -> Vector:
    """What the network gives for latents of one channel, row by row, and a timestep."""
    places = list(product(range(ROWS // PATCH), range(COLUMNS // PATCH)))
    within = list(product(range(PATCH), range(PATCH)))
    numbers = [[(r * PATCH + i) * COLUMNS + c * PATCH + j for i, j in within] for r, c in places]
    periods = [3 * 64 ** (k / (H / 4 - 1)) for k in range(H // 4)]
    tokens = []
    for place, own in zip(places, numbers, strict=True):
        angles = [[2 * math.pi * (n + 0.5) / period for period in periods] for n in place]
        position = [math.sqrt(2) * wave(a) for axis in angles for wave in (math.sin, math.cos) for a in axis]
        tokens.append(plus(times(w["patch_in"], [x[n] for n in own]), position))
    of_timestep = waves([1000 * t * 10000 ** (-k / (H / 2)) for k in range(H // 2)])
    given = [*index_tokens(embedding, w, index), of_timestep]
    for b in range(DEPTH):
        tokens, given = block(condition, w, f"blocks.{b}.", tokens, given)
    made = [0.0] * len(x)
    for token, own in zip(tokens, numbers, strict=True):
        for n, value in zip(own, times(w["patch_out"], norm(token)), strict=True):
            made[n] = value
    return made


def sample(condition: str, embedding: str, prediction: str, w: Tensors, index: int) -> Vector:
    """Normalised latents of a picture."""
    x = normals(SEED, NOISE | index, ROWS * COLUMNS)
    highest = 0.999 if prediction == "noise" else 1.0
    reach = 4 * LATENT_STD[prediction]
    for i in range(STEPS):
        t, then = min(1 - i / STEPS, highest), min(1 - (i + 1) / STEPS, highest)
        sine, cosine = math.sin(math.pi * t / 2), math.cos(math.pi * t / 2)
        x0 = predict(condition, embedding, w, x, t, index)
        if prediction == "noise":
            x0 = [min(max((a - sine * z) / cosine, -reach), reach) for a, z in zip(x, x0, strict=True)]
        e = [(a - cosine * b) / sine for a, b in zip(x, x0, strict=True)]
        x = [math.cos(math.pi * then / 2) * b + math.sin(math.pi * then / 2) * n for b, n in zip(x0, e, strict=True)]
    return x


def network_output_values() -> list[dict[str, Any]]:
    """Chunks W of networks, and the latents that they draw, after denormalising."""
    kinds = [(condition, "grf", "x0") for condition in CONDITIONS]
    kinds += [("cag", embedding, "x0") for embedding in EMBEDDINGS[1:]] + [("cag", "grf", "noise")]
    return [network_output(number, *kind) for number, kind in enumerate(kinds)]


def network_output(number: int, condition: str, embedding: str, prediction: str) -> dict[str, Any]:
    """One network and the latents of two pictures."""
    shapes = shapes_of(condition, embedding)
    count = sum(rows * columns for _, rows, columns in shapes)
    # Magnitudes from 1/16 to almost 1/2, of either sign.
    codes = [3 + word % 3 << 3 | word >> 8 & 7 | (word >> 16 & 1) << 7 for word in words(54, number, count)]
    w = tensors_of(codes, shapes)
    settings: dict[str, Any] = {
        "hidden_size": H,
        "depth": DEPTH,
        "heads": HEADS,
        "patch_size": PATCH,
        "index_tokens": K,
    }
    settings |= {"condition": CONDITIONS.index(condition), "index_embedding": EMBEDDINGS.index(embedding)}
    settings |= {"prediction": ["x0", "noise"].index(prediction)}
    settings["latent_std"] = LATENT_STD[prediction]
    payload = network(floats(stored(bytes(codes)), count=count), **settings)
    drawn = {index: sample(condition, embedding, prediction, w, index) for index in (0, 2)}
    scale = DEVIATION / LATENT_STD[prediction]
    return {
        "name": f"{condition}-{embedding}-{prediction}",
        "hex": payload.hex(),
        "rows": ROWS,
        "columns": COLUMNS,
        "tolerance": 0.001,
        "latents": [
            {
                "index": index,
                "values": [f"{value * scale + MEAN:.5f}" for value in latents],
            }
            for index, latents in drawn.items()
        ],
    }
