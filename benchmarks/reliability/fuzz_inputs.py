"""Mutated picture files, decoded as packing decodes them: each is read or refused by name.

    python benchmarks/reliability/fuzz_inputs.py --files 10000 --finds finds

A file that crashes the process, takes more than 5 seconds of processor time, or more than 1 GB above what the libraries
take, or ends in anything but pixels or a reason, is a find, and is left in --finds. Pictures that are read and differ
from the original are counted: bytes of pixels that no checksum covers cannot be recognised as damaged.
"""

import argparse
import io
import math
import multiprocessing
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from samples import print_result

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.reading import decode_picture

MAX_SECONDS = 5.0
"""Of processor time, since other work may run on the machine."""

MAX_WALL_SECONDS = 60.0
MAX_BYTES = 1 << 30
SIDE = 64
CLAIMS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


def scene() -> np.ndarray:
    """A smooth picture, uint8 (SIDE, SIDE, 3)."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    waves = [np.sin(x / 9 + y / 13), np.cos(x / 17 - y / 7), np.sin(x / 11 + 2)]
    return np.rint(127.5 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)


def seeds() -> dict[str, bytes]:
    """Whole files of ten formats, some of them in several codings."""
    image, deep = Image.fromarray(scene()), scene().astype(np.uint16) * 257

    def saved(kind: str, shown: Image.Image = image, **settings: Any) -> bytes:
        buffer = io.BytesIO()
        shown.save(buffer, kind, **settings)
        return buffer.getvalue()

    def tiff(values: np.ndarray, **settings: Any) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, metadata=None, **settings)
        return buffer.getvalue()

    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    files = {
        "jpeg": saved("JPEG", exif=exif, icc_profile=profile),
        "jpeg progressive": saved("JPEG", progressive=True, quality=90),
        "jpeg cmyk": saved("JPEG", image.convert("CMYK")),
        "mpo": saved("MPO", save_all=True, append_images=[image]),
        "png": saved("PNG", exif=exif, icc_profile=profile),
        "png palette": saved("PNG", image.quantize(32), transparency=3),
        "png 16": bytes(imagecodecs.png_encode(deep)),
        "gif": saved("GIF"),
        "gif animated": saved("GIF", save_all=True, append_images=[image.rotate(90)]),
        "bmp": saved("BMP"),
        "bmp rle": saved("BMP", image.quantize(16)),
        "dib": saved("DIB"),
        "webp": saved("WEBP", exif=exif),
        "webp lossless": saved("WEBP", lossless=True),
        "avif": saved("AVIF", exif=exif),
        "avif 10": bytes(imagecodecs.avif_encode((deep >> 6), bitspersample=10, primaries=9, transfer=16)),
        "tiff": tiff(deep, photometric="rgb"),
        "tiff planar": tiff(np.moveaxis(scene(), 2, 0), photometric="rgb", planarconfig="separate", compression="lzw"),
        "tiff tiles": tiff(scene(), photometric="rgb", tile=(32, 32), compression="zlib", predictor=True),
        "tiff float": tiff(scene().astype(np.float32) / 255, photometric="rgb"),
        "tiff jpeg": saved("TIFF", compression="jpeg"),
        "tiff fax": saved("TIFF", image.convert("1"), compression="group4"),
        "tiff pages": saved("TIFF", save_all=True, append_images=[image]),
        "tiff palette": saved("TIFF", image.quantize(64)),
    }
    try:
        import pillow_heif
    except ImportError:
        return files
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=80)
    return files | {"heic": buffer.getvalue()}


# --- mutations ---


def mutated(data: bytes, number: int) -> bytes:
    """Return one of very many changes of a file."""
    drawn = random.Random(number)
    changed = bytearray(data)
    for _ in range(drawn.choice((1, 1, 1, 2, 4, 8))):
        drawn.choice(MUTATIONS)(changed, drawn)
        if not changed:
            break
    return bytes(changed)


def flip(data: bytearray, drawn: random.Random) -> None:
    data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)


def replace(data: bytearray, drawn: random.Random) -> None:
    data[drawn.randrange(len(data))] = drawn.randrange(256)


def claim(data: bytearray, drawn: random.Random) -> None:
    """A field of the header, most likely, with an unlikely value."""
    form = drawn.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    if len(data) > size:
        at = drawn.randrange(min(len(data) - size, 400) if drawn.random() < 0.7 else len(data) - size)
        struct.pack_into(form, data, at, drawn.choice(CLAIMS) & ((1 << 8 * size) - 1))


def clear(data: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(data))
    length = min(drawn.randrange(1, 300), len(data) - at)
    data[at : at + length] = bytes(length)


def cut(data: bytearray, drawn: random.Random) -> None:
    del data[drawn.randrange(len(data)) :]


def remove(data: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(data))
    del data[at : at + drawn.randrange(1, 64)]


def repeat(data: bytearray, drawn: random.Random) -> None:
    at = drawn.randrange(len(data))
    data[at:at] = data[at : at + drawn.randrange(1, 64)]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    replace,
    claim,
    claim,
    clear,
    cut,
    remove,
    repeat,
)


# --- the process that decodes, and the one that watches ---


def work(connection: Connection, options: ReadOptions) -> None:
    """Decode what comes through a connection, with a limit of memory, and answer with the outcome."""
    names = seeds()
    originals = {name: decode_picture(data, ReadOptions(first_page=True)).pixels for name, data in names.items()}
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        name, number = connection.recv()
        data, started = mutated(names[name], number), time.process_time()
        try:
            pixels = decode_picture(data, options).pixels
        except BadFile as error:
            outcome = "refused" if str(error) else "refused without a reason", str(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a find
            outcome = "raised", repr(error)
        else:
            is_same = pixels.shape == originals[name].shape and psnr_db(pixels, originals[name]) >= 36
            outcome = "read" if is_same else "read, another picture", ""
        connection.send((*outcome, time.process_time() - started))


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(float) - b) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


class Worker:
    """A process that decodes. It is replaced when it crashes or hangs."""

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, self.options), daemon=True)
        self._process.start()
        theirs.close()

    def outcome(self, name: str, number: int) -> tuple[str, str, float]:
        """Return what became of a file, a remark, and the seconds of processor time it took."""
        self._connection.send((name, number))
        try:
            if self._connection.poll(MAX_WALL_SECONDS):
                outcome, remark, seconds = self._connection.recv()
                return ("slow" if seconds > MAX_SECONDS else outcome), remark, seconds
            self._process.kill()
            found = "hung", f"more than {MAX_WALL_SECONDS:g} s"
        except (EOFError, ConnectionResetError):
            self._process.join()
            found = "crashed", f"exit code {self._process.exitcode}"
        self._start()
        return *found, math.inf

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--finds", type=Path, help="where files go that break something")
    parser.add_argument("--accept", action="store_true", help="accept damage and further pages, as the options do")
    arguments = parser.parse_args()
    options = ReadOptions(first_page=arguments.accept, accept_damaged=arguments.accept)
    names, counts, others, slowest = seeds(), Counter[str](), Counter[str](), 0.0
    worker = Worker(options)
    finds = []
    for number in range(arguments.files):
        name = sorted(names)[number % len(names)]
        outcome, detail, seconds = worker.outcome(name, arguments.seed + number)
        slowest = max(slowest, seconds)
        counts[outcome] += 1
        others[name] += outcome == "read, another picture"
        if outcome in ("raised", "crashed", "hung", "slow", "refused without a reason"):
            finds.append(f"{name}, {arguments.seed + number}: {outcome}, {detail}")
            print(finds[-1], file=sys.stderr, flush=True)
            if arguments.finds:
                arguments.finds.mkdir(parents=True, exist_ok=True)
                target = arguments.finds / f"{name.replace(' ', '-')}-{arguments.seed + number}"
                target.write_bytes(mutated(names[name], arguments.seed + number))
    worker.stop()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print_result(
        script="fuzz_inputs",
        files=arguments.files,
        seed=arguments.seed,
        accept=arguments.accept,
        kinds=len(names),
        outcomes=dict(counts),
        other_pictures={name: count for name, count in others.items() if count},
        slowest_seconds=round(slowest, 2),
        peak_bytes=peak,
        finds=finds,
    )
    sys.exit(1 if finds else 0)


if __name__ == "__main__":
    main()
