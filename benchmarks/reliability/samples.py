"""Targets of the attacks in this folder: small archives, a tiny context model, loosely parsed chunks."""

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "format_spec" / "vectors"
PREAMBLE_BYTES = 12
SYNC = b"\xf5UN"


def print_result(**values: Any) -> None:
    """Print one line of JSON, the last one of a script."""
    print(json.dumps(values), flush=True)


@dataclass(slots=True)
class LooseChunk:
    """A chunk as far as it can be parsed, whatever its checksums."""

    letter: bytes
    payload: bytes


def cut(data: bytes) -> list[LooseChunk]:
    """Parse the chunks of a file that may be damaged in any way."""
    found, offset = list[LooseChunk](), PREAMBLE_BYTES
    while data[offset : offset + 3] == SYNC and len(found) < 64:
        letter, place, length, shift = data[offset + 3 : offset + 4], offset + 4, 0, 0
        while place < len(data) and shift < 63:
            length |= (data[place] & 127) << shift
            shift, place = shift + 7, place + 1
            if data[place - 1] < 128:
                break
        found.append(LooseChunk(letter, data[place + 4 : place + 4 + length]))
        offset = place + 8 + length
    return found


def join(preamble: bytes, chunks: list[LooseChunk]) -> bytes:
    """Return a file of chunks with valid checksums; digests of payloads that changed are the caller's to mend."""
    salt = zlib.crc32(chunks[0].payload[:8]) if chunks else 0
    parts = [preamble]
    for chunk in chunks:
        start = 0 if chunk.letter in (b"H", b"F") else salt
        head, length = SYNC + chunk.letter, len(chunk.payload)
        while length >= 128:
            head += bytes([length & 127 | 128])
            length >>= 7
        head += bytes([length])
        is_pictures = chunk.letter == b"P"
        summed = head + (chunk.payload[: _prefix_bytes(chunk.payload)] if is_pictures else b"")
        header_crc, payload_crc = (struct.pack("<I", zlib.crc32(data, start)) for data in (summed, chunk.payload))
        parts += [head, header_crc, chunk.payload, payload_crc]
    return b"".join(parts)


def _prefix_bytes(payload: bytes) -> int:
    """Bytes of the four numbers that a chunk of pictures begins with."""
    place, numbers = 0, 0
    while numbers < 4 and place < len(payload):
        numbers += payload[place] < 128
        place += 1
    return place


def tiny_context_model(seed: int) -> Any:
    """Return a context model of three channels with random weights. It decodes in a millisecond."""
    from unicorn_codec.codes.context_model import (
        SCALES,
        ContextModel,
    )  # the fuzzer instruments it
    from unicorn_codec.format.header import MAX_LEVEL
    from unicorn_codec.format.rans import PRECISION

    rng = np.random.default_rng(seed)
    channels, hidden, symbols = 3, 4, 50

    def weights(*shape: int, reach: int = 200) -> np.ndarray:
        return rng.integers(-reach, reach + 1, shape).astype(np.float64)

    slots = (1 << PRECISION) - symbols
    return ContextModel(
        earlier=weights(channels, 18, channels, hidden),
        same=weights(4, channels, 18, hidden),
        bias=weights(MAX_LEVEL, 4, channels, hidden, reach=9000),
        linear=weights(4, channels, 9, reach=60),
        mean=weights(channels, hidden),
        scale=weights(channels, hidden, reach=2000),
        mean_bias=weights(MAX_LEVEL, 4, channels, reach=90_000).astype(np.int64),
        scale_bias=weights(MAX_LEVEL, 4, channels, reach=400_000).astype(np.int64),
        magnitudes=np.rint(np.arcsinh(np.arange(256)) * 64),
        frequencies=1 + rng.multinomial(slots, rng.dirichlet(np.ones(symbols), (SCALES, 8))),
        sha256=bytes(32),
    )


def draw_pictures(folder: Path, count: int = 3, size: int = 32) -> Path:
    """Make a folder of small pictures, with names in a subfolder and in several scripts."""
    from unicorn_codec.pictures.demo_pictures import make_demo_pictures

    for number, path in enumerate(make_demo_pictures(folder, count, size, 0)):
        if number % 2:
            (folder / "été").mkdir(exist_ok=True)
            path.rename(folder / "été" / path.name)
    return folder


def pack_sample(folder: Path, output: Path, *, index_only: bool, epochs: int = 20) -> Path:
    """Make a small archive of codes, or of a barely trained network."""
    from unicorn_codec.config import CodesOptions
    from unicorn_codec.network_options import NetworkOptions, TrainConfig
    from unicorn_codec.packing.pack import pack

    options: CodesOptions | NetworkOptions = CodesOptions(device="cpu", seed=7, overwrite=True)
    if index_only:
        train = TrainConfig(epochs=epochs)
        options = NetworkOptions(device="cpu", seed=7, overwrite=True, hidden_size=8, depth=1, train=train)
    pack(folder, output, options)
    return output
