"""Targets of the attacks in this folder: small archives, a tiny context model, loosely parsed sections."""

import hashlib
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


def print_result(**values: Any) -> None:
    """Print one line of JSON, the last one of a script."""
    print(json.dumps(values), flush=True)


@dataclass(frozen=True, slots=True)
class LooseSection:
    """A section as far as it can be parsed, whatever its CRC."""

    type: bytes
    payload: bytes


def cut(data: bytes) -> list[LooseSection]:
    """Parse the sections of a file that may be damaged in any way, without its end section."""
    found, offset = list[LooseSection](), PREAMBLE_BYTES
    while offset + 16 <= len(data) and len(found) < 64:
        kind, length = struct.unpack_from("<4sQ", data, offset)
        end = min(offset + 12 + length, len(data) - 4)
        if kind == b"DONE":
            break
        found.append(LooseSection(kind, data[offset + 12 : end]))
        offset = end + 4
    return found


def join(preamble: bytes, sections: list[LooseSection]) -> bytes:
    """Return a file of sections with valid checksums."""
    digest, parts = hashlib.sha256(preamble), [preamble]
    for section in sections:
        frame = _frame(section)
        parts.append(frame)
        if section.type[:1].isupper():
            digest.update(frame)
    return b"".join([*parts, _frame(LooseSection(b"DONE", digest.digest()))])


def _frame(section: LooseSection) -> bytes:
    body = section.type + struct.pack("<Q", len(section.payload)) + section.payload
    return body + struct.pack("<I", zlib.crc32(body))


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
    from unicorn_codec.config import CodesOptions, NetworkOptions, TrainConfig
    from unicorn_codec.packing.pack import pack

    options: CodesOptions | NetworkOptions = CodesOptions(device="cpu", seed=7, overwrite=True)
    if index_only:
        train = TrainConfig(epochs=epochs)
        options = NetworkOptions(device="cpu", seed=7, overwrite=True, hidden_size=8, depth=1, train=train)
    pack(folder, output, options)
    return output
