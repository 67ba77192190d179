"""A plain decoder, written from the specification alone, decodes the library's codes."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.format.header import MAX_LEVEL

CHANNELS, HIDDEN, CLASSES = 3, 4, 48
PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))

Latents = list[list[list[int]]]


def random_model(seed: int, fractions: int, reach: int) -> ContextModel:
    """Draw weights that give means and scale classes of all kinds."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int, largest: int = 200) -> np.ndarray:
        return rng.integers(-largest, largest + 1, shape).astype(np.float64)

    frequencies = rng.multinomial((1 << 14) - 1, rng.dirichlet(np.full(2 * reach + 2, 0.1), (CLASSES, fractions)))
    frequencies[..., -1] += 1  # others may have no slots
    same = weights(4, CHANNELS, 18, HIDDEN)
    same[:, :, [4, 13]] = 0
    return ContextModel(
        earlier=weights(CHANNELS, 18, CHANNELS, HIDDEN),
        same=same,
        bias=weights(MAX_LEVEL, 4, CHANNELS, HIDDEN, largest=9000),
        linear=weights(4, CHANNELS, 9, largest=60),
        mean=weights(CHANNELS, HIDDEN),
        scale=weights(CHANNELS, HIDDEN, largest=2000),
        mean_bias=weights(MAX_LEVEL, 4, CHANNELS, largest=90_000).astype(np.int64),
        scale_bias=weights(MAX_LEVEL, 4, CHANNELS, largest=400_000).astype(np.int64),
        magnitudes=np.rint(np.arcsinh(np.arange(256)) * 64),
        frequencies=frequencies,
        sha256=bytes(32),
    )


class Lanes:
    """States and words of a code after its first byte (UNI-86, UNI-88; short ones: UNI-111 to UNI-113)."""

    def __init__(self, stream: bytes, lanes: int, short: bool) -> None:
        if short:
            left_out = 4 * lanes - len(stream) if len(stream) < 4 * lanes else len(stream) % 2
            end = 4 * lanes - left_out
            stream = stream[:end] + bytes(left_out) + stream[end:]
        self.states = list(struct.unpack_from(f"<{lanes}I", stream))
        self.words = [word for (word,) in struct.iter_unpack("<H", stream[4 * lanes :])]
        self.reads_words = not short or bool(self.words)

    def end_step(self) -> None:
        """Call this when every lane of a short code has read its symbol."""
        if self.reads_words and not self.words:
            self.reads_words = False
            self.states = [state - 2**16 for state in self.states]

    def read(self, lane: int, table: Sequence[int]) -> int:
        state = self.states[lane]
        symbol, first = 0, 0
        while state % 2**14 >= first + table[symbol]:
            first += table[symbol]
            symbol += 1
        state = table[symbol] * (state // 2**14) + state % 2**14 - first
        self.states[lane] = state * 2**16 + self.words.pop(0) if self.reads_words and state < 2**16 else state
        return symbol


def clamp(value: int, lowest: int, highest: int) -> int:
    return min(max(value, lowest), highest)


def predict(model: ContextModel, level: int, p: int, c: int, y: int, x: int, known: Latents) -> tuple[int, int]:
    """Return the mean in units of 1 / F and the scale class (UNI-82)."""

    def neighbours(channel: int) -> list[int]:
        plane = known[channel]
        places = [(y + k // 3 - 1, x + k % 3 - 1) for k in range(9)]
        return [plane[r][s] if 0 <= r < len(plane) and 0 <= s < len(plane[0]) else 0 for r, s in places]

    def features(channel: int) -> list[int]:
        sizes = [int(model.magnitudes[min(abs(v), 255)]) for v in neighbours(channel)]
        return [a * ((v > 0) - (v < 0)) for a, v in zip(sizes, neighbours(channel), strict=True)] + sizes

    hidden = []
    for i in range(HIDDEN):
        total = int(model.bias[level, p, c, i])
        for j in range(c):
            total += sum(f * int(w) for f, w in zip(features(j), model.earlier[j, :, c, i], strict=True))
        total += sum(f * int(w) for f, w in zip(features(c), model.same[p, c, :, i], strict=True))
        hidden.append(clamp(total // 256, 0, 131071))
    a = int(model.mean_bias[level, p, c]) + sum(z * int(w) for z, w in zip(hidden, model.mean[c], strict=True))
    a += 64 * sum(clamp(v, -255, 255) * int(w) for v, w in zip(neighbours(c), model.linear[p, c], strict=True))
    b = int(model.scale_bias[level, p, c]) + sum(z * int(w) for z, w in zip(hidden, model.scale[c], strict=True))
    fractions = model.frequencies.shape[1]
    return (fractions * a + 8192) // 16384, clamp((b + 8192) // 16384, 0, 47)


def steps_of(p: int, height: int, width: int, lanes: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the positions of a pass, one per lane (UNI-81, UNI-87)."""
    row, column = PASSES[p]
    places = [(y, x) for y in range(row, height, 2) for x in range(column, width, 2)]
    for start in range(0, len(places), lanes):
        yield places[start : start + lanes]


def decode(model: ContextModel, level: int, code: bytes, height: int, width: int, short: bool) -> Latents:
    """Decode a picture's values."""
    latents = [[[0] * width for _ in range(height)] for _ in range(CHANNELS)]
    if code[0] == 0:
        return latents
    count = -(-height * width // 256)
    lanes = Lanes(code[1:], count, short)
    _, fractions, size = model.frequencies.shape
    reach = (size - 2) // 2
    for c in range(code[0]):
        for p in range(4):
            found: list[tuple[int, int, int]] = []
            for step in steps_of(p, height, width, count):
                means, symbols = [], []
                for lane, (y, x) in enumerate(step):
                    mean, scale = predict(model, level, p, c, y, x, latents)
                    means.append(mean)
                    symbols.append(lanes.read(lane, model.frequencies[scale, mean % fractions].tolist()))
                if short:
                    lanes.end_step()
                far = [lane for lane, symbol in enumerate(symbols) if symbol == size - 1]
                plain = dict.fromkeys(far, 0)
                for _ in range(2):
                    for lane in far:
                        plain[lane] = 256 * plain[lane] + lanes.read(lane, [64] * 256)
                    if short:
                        lanes.end_step()
                for lane, (y, x) in enumerate(step):
                    near = symbols[lane] - reach + means[lane] // fractions
                    value = plain[lane] - 65536 * (plain[lane] >= 32768) if lane in far else near
                    found.append((y, x, value))
            for y, x, value in found:  # a pass does not depend on its own values
                latents[c][y][x] = value
    assert (lanes.words, set(lanes.states)) == ([], {255 if short else 2**16})
    return latents


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize(("fractions", "reach"), [(8, 24), (16, 63)], ids=str)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (5, 3), (17, 31)], ids=str)
def test_the_specification_decodes_what_the_library_encodes(
    height: int, width: int, fractions: int, reach: int, short: bool
) -> None:
    rng = np.random.default_rng(height)
    model = random_model(width, fractions, reach)
    largest = np.array([0, 3, 40, 32767])[:, None, None, None]
    symbols = rng.integers(-largest, largest + 1, (4, CHANNELS, height, width)).astype(np.int16)
    symbols[1, 1:] = 0  # zero channels at the end take no bytes
    for level in (0, MAX_LEVEL - 1):
        codes = encode_symbols(model, level, symbols, short=short)
        assert [code[0] for code in codes[:2]] == [0, 1 if symbols[1].any() else 0]
        assert [decode(model, level, code, height, width, short) for code in codes] == symbols.tolist()
        assert np.array_equal(decode_symbols(model, level, codes, height, width, short=short), symbols)
