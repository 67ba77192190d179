"""Small picture files of kinds that libraries do not write, made byte by byte."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from unicorn_codec.config import ReadOptions

WIDTH, HEIGHT = 48, 32
KINDS = {
    (8, 1): "u1",
    (16, 1): "u2",
    (32, 1): "u4",
    (8, 2): "i1",
    (16, 2): "i2",
    (16, 3): "f2",
    (32, 3): "f4",
    (64, 3): "f8",
}
"""NumPy's types by bits and TIFF's sample format."""

Tags = Mapping[int, tuple[int, Sequence[int]]]
Page = tuple[dict[int, tuple[int, Sequence[int]]], list[bytes]]


def scene(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A colourful picture without symmetry, uint8 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + y / 13 + seed), np.cos(x / 17 - y / 7), np.sin(x / 11 + 2)]
    return np.rint(127.5 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)


SCENE = scene()
GRAY = np.asarray(Image.fromarray(SCENE).convert("L"))
OPACITY = np.broadcast_to(np.linspace(0, 1, WIDTH), (HEIGHT, WIDTH))


ON_WHITE = ReadOptions(background=(255, 255, 255))


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def on_white(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    return np.rint(colours * opacity[..., None] + 255 * (1 - opacity[..., None])).astype(np.uint8)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape, f"{a.shape} and {b.shape}"
    error = float(((a.astype(float) - b) ** 2).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


# --- PNG ---


def png_chunk(kind: bytes, body: bytes = b"", *, is_whole: bool = True) -> bytes:
    checksum = zlib.crc32(kind + body) ^ (not is_whole)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png_of(samples: np.ndarray, bits: int = 8, *before: bytes, colour_type: int | None = None) -> bytes:
    """A PNG of samples (H, W) or (H, W, C), with chunks in front of its data."""
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if bits == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        flat = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :].reshape(height, -1)
        rows = np.packbits(flat, axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if colour_type is None else colour_type
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + b"".join(before) + png_chunk(b"IDAT", data) + png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


# --- TIFF ---


def tiff_page(
    samples: np.ndarray,
    photometric: int,
    bits: int = 8,
    sample_format: int = 1,
    *,
    planar: bool = False,
    order: str = "<",
    tags: Tags | None = None,
    data: bytes | None = None,
) -> Page:
    """Tags and strips of a page; ``data`` stands for samples that NumPy has no type for."""
    count = 1 if samples.ndim == 2 else samples.shape[2]
    page: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [samples.shape[1]]), 257: (4, [samples.shape[0]]), 258: (3, [bits] * count), 259: (3, [1]),
        262: (3, [photometric]), 277: (3, [count]), 278: (4, [samples.shape[0]]), 284: (3, [2 if planar else 1]),
        339: (3, [sample_format] * count), **(tags or {}),
    }  # fmt: skip
    if data is not None:
        return page, [data]
    values = samples.astype(order + KINDS[bits, sample_format])
    planes = [np.ascontiguousarray(values[..., i]) for i in range(count)] if planar else [values]
    return page, [plane.tobytes() for plane in planes]


def tiff_of(*pages: Page, order: str = "<", below_first: Page | None = None) -> bytes:
    """A TIFF of pages; ``below_first`` is a page below the first one (SubIFD)."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))

    def put(data: bytes) -> int:
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        return len(out) - len(data)

    def directory(page: Page, following: int) -> int:
        tags: dict[int, Any] = dict(page[0])
        tags |= {273: (4, [put(strip) for strip in page[1]]), 279: (4, [len(strip) for strip in page[1]])}
        entries = b""
        for tag, (kind, values) in sorted(tags.items()):
            form = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B"}[kind]
            raw = struct.pack(f"{order}{len(values)}{form}", *values)
            field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", put(raw))
            entries += struct.pack(order + "HHI", tag, kind, len(values) // 2 if kind == 5 else len(values)) + field
        return put(struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", following))

    following = 0
    for number, page in reversed(list(enumerate(pages))):
        if below_first is not None and number == 0:
            page[0][330] = (4, [directory(below_first, 0)])
        following = directory(page, following)
    struct.pack_into(order + "I", out, 4, following)
    return bytes(out)


def packed_bits(values: np.ndarray, bits: int) -> bytes:
    """Samples of any depth; rows are padded to bytes."""
    flat = ((values.reshape(len(values), -1)[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1).astype(
        np.uint8
    )
    return np.packbits(flat.reshape(len(values), -1), axis=1).tobytes()


# --- colour ---


def srgb_curve(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_light(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3_PRIMARIES = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020_PRIMARIES = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def to_xyz(primaries: Sequence[tuple[float, float]], white: tuple[float, float] = (0.3127, 0.3290)) -> np.ndarray:
    """The matrix from linear RGB to XYZ."""
    columns = np.stack([[x / y, 1, (1 - x - y) / y] for x, y in primaries], axis=1)
    target = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    return columns * np.linalg.solve(columns, target)


def light_in(primaries: Sequence[tuple[float, float]], shown: np.ndarray = SCENE) -> np.ndarray:
    """Linear light of a picture in the primaries of another D65 space."""
    matrix = np.linalg.inv(to_xyz(primaries)) @ to_xyz(SRGB_PRIMARIES)
    return np.clip(srgb_light(shown / 255) @ matrix.T, 0, 1)
