"""Numbers of the generator, and the permutation of a folder's pictures."""

from typing import Any

from vector_makers.small_floats import float32_bits

MASK = (1 << 64) - 1


def words(seed: int, stream: int, count: int) -> list[int]:
    """Philox4x64-10 with key (seed, stream), counter from 1."""
    result: list[int] = []
    for block in range(1, -(-count // 4) + 1):
        a, b, c, d = block, 0, 0, 0
        low, high = seed, stream
        for _ in range(10):
            p, q = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
            a, b, c, d = (q >> 64) ^ b ^ low, q & MASK, (p >> 64) ^ d ^ high, p & MASK
            low, high = (low + 0x9E3779B97F4A7C15) & MASK, (high + 0xBB67AE8584CAA73B) & MASK
        result += [a, b, c, d]
    return result[:count]


def normals(seed: int, stream: int, count: int) -> list[float]:
    """Sums of the twelve quarters of three words each."""
    source = words(seed, stream, 3 * count)
    sums = [
        sum(word >> shift & 0xFFFF for word in source[3 * i : 3 * i + 3] for shift in (0, 16, 32, 48))
        for i in range(count)
    ]
    return [(total - 393210) / 65536 for total in sums]


def index_of_position(seed: int, pictures: int) -> list[int]:
    """Rank of each position's key."""
    keys = words(seed, 1 << 32, pictures)
    return [sum((k, p) < (key, position) for p, k in enumerate(keys)) for position, key in enumerate(keys)]


def generator_values() -> dict[str, Any]:
    """Words and normals of several streams."""
    keys = [(0, 0), (2026, 1 << 32), (MASK, 2 << 32), (1, 3 << 32 | 41)]
    return {
        "words": [{"seed": s, "stream": t, "hex": [f"{w:016x}" for w in words(s, t, 9)]} for s, t in keys],
        "normals": [{"seed": s, "stream": t, "float32": [float32_bits(v) for v in normals(s, t, 7)]} for s, t in keys],
    }


def index_map_values() -> list[dict[str, Any]]:
    """Permutations of several sizes."""
    return [
        {"seed": seed, "pictures": pictures, "index_of_position": index_of_position(seed, pictures)}
        for seed, pictures in ((0, 1), (0, 2), (7, 10), (2026, 33))
    ]
