"""Measure what one large photo takes to pack and to unpack: time, processor time and memory.

    python benchmarks/large_photo.py --data kodak-24 --megapixels 12 --against OTHER_CHECKOUT --work photo

The photo is made of the pictures in --data, enlarged three times and set side by side until it has the wanted size,
since no large photo is at hand: its content is softer than a camera's. Each measurement is a process of its own,
start-up included. With --against, each is repeated with the library of another checkout in the same run, and ratios
are shown.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

Row = dict[str, Any]

ENLARGED = 3
PACK = """
import sys
from unicorn_codec.config import CodesOptions, ReadOptions
from unicorn_codec.packing.pack import pack
options = CodesOptions(effort=int(sys.argv[3]), learning=None, device="cpu", overwrite=True,
                       read=ReadOptions(max_pixels=1 << 30))
report = pack(sys.argv[1], sys.argv[2], options)
print(report.file_bytes, report.measured.psnr_db.mean)
"""
UNPACK = """
import sys
from unicorn_codec.archive import Archive
from unicorn_codec.pictures.picture_writing import write_picture
options = {option: True for option in sys.argv[3:]}
with Archive.open(sys.argv[1], device="cpu", max_pixels=1 << 30, **options) as archive:
    for index, pixels in archive.iterate(archive.indices):
        write_picture(pixels, sys.argv[2], overwrite=True)
"""


def make_photo(data: Path, megapixels: float, path: Path) -> tuple[int, int]:
    """Write a photo of about so many pixels in the format 4:3, and return its size."""
    width = round(math.sqrt(megapixels * 1e6 * 4 / 3))
    height = round(width * 3 / 4)
    photo, left, top, row = Image.new("RGB", (width, height)), 0, 0, 0
    paths = sorted(one for one in data.rglob("*") if one.is_file())
    number = 0
    while top < height:
        with Image.open(paths[number % len(paths)]) as opened:
            enlarged = opened.width * ENLARGED, opened.height * ENLARGED
            part = opened.convert("RGB").resize(enlarged, Image.Resampling.BICUBIC)
        photo.paste(part, (left, top))
        left, row, number = left + part.width, max(row, part.height), number + 1
        if left >= width:
            left, top, row = 0, top + row, 0
    photo.save(path, quality=92)
    return width, height


def run(program: str, library: Path, *arguments: object) -> tuple[Row, str]:
    """Run a program with the library of a checkout, and return what it took and printed."""
    started = time.perf_counter()
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(library)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"failed with {library}"
    seconds = time.perf_counter() - started
    return {"wall_s": seconds, "processor_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}, printed


def measure(library: Path, work: Path, effort: int, *, fast: bool) -> Row:
    """Pack and unpack the photo with the library of a checkout, in bfloat16 too if it can."""
    packed, printed = run(PACK, library, work / "photos", work / "photo.uni", effort)
    unpacked, _ = run(UNPACK, library, work / "photo.uni", work / "photo.png")
    file_bytes, psnr_db = printed.split()
    row = {"pack": packed, "unpack": unpacked, "file_bytes": int(file_bytes), "psnr_db": float(psnr_db)}
    if fast:
        row["unpack --fast"], _ = run(UNPACK, library, work / "photo.uni", work / "photo.png", "fast")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("--against", type=Path, help="another checkout, which is measured first")
    parser.add_argument("--work", type=Path, default=Path("photo"), help="folder for photo and archive")
    args = parser.parse_args()
    (args.work / "photos").mkdir(parents=True, exist_ok=True)
    size = make_photo(args.data, args.megapixels, args.work / "photos" / "photo.jpg")
    here = Path(__file__).parent.parent
    results = [
        measure(library, args.work, args.effort, fast=library == here) for library in filter(None, (args.against, here))
    ]
    values: Row = {"size": size, "effort": args.effort, "results": results}
    if args.against:
        before, after = results
        values["ratios"] = {
            f"{step} {name}": round(after[step][name] / before[step][name], 3)
            for step in ("pack", "unpack")
            for name in ("wall_s", "processor_s", "peak_mb")
        }
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
