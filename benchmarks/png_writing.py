"""Time and bytes of PNG files that ``unpack`` writes, beside those of Pillow by zlib, on the pictures of a folder."""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from unicorn_codec.pictures import png_writing
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.png_writing import encode_png

ZLIB_LEVELS = (1, 4, 6)
LIBDEFLATE_LEVELS = (1, 4, 6)
RUNS = 3


def by_zlib(level: int) -> Callable[[Pixels], bytes]:
    """Return a writer by Pillow."""

    def encode(pixels: Pixels) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=level)
        return file.getvalue()

    return encode


def by_libdeflate(level: int) -> Callable[[Pixels], bytes]:
    """Return the package's own writer, at another level than its usual one."""

    def encode(pixels: Pixels) -> bytes:
        png_writing.LEVEL = level
        return encode_png(pixels)

    return encode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures")
    parser.add_argument("--pictures", type=int, default=60, help="most pictures to write")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.iterdir() if path.is_file())[: arguments.pictures]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    writers = {f"zlib {level}": by_zlib(level) for level in ZLIB_LEVELS}
    writers |= {f"libdeflate {level}": by_libdeflate(level) for level in LIBDEFLATE_LEVELS}
    print(f"{'writer':<14}{'ms a picture':>14}{'bytes a picture':>18}")
    for name, encode in writers.items():
        seconds = []
        for _ in range(RUNS):
            start = time.process_time()
            size = sum(len(encode(pixels)) for pixels in pictures)
            seconds.append(time.process_time() - start)
        print(f"{name:<14}{1000 * min(seconds) / len(pictures):>14.2f}{size / len(pictures):>18,.0f}", flush=True)


if __name__ == "__main__":
    main()
