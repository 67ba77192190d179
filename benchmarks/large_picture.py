"""Pack, unpack and compare a picture that is coded in tiles, and measure the memory of each step.

    python benchmarks/large_picture.py --side 16385 --work /tmp/large

The picture is a JPEG file: a rendered scene repeated in mirrored tiles, under light that varies over the whole picture,
with noise. Each step is a process of its own. The original and the unpacked picture are compared once as a whole and
once on both sides of each seam between tiles. ``--tile-side`` lowers the limits of tiles, for a quick run.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unicorn_cli.main import cli
from unicorn_codec import Archive
from unicorn_codec.format import picture_tiles
from unicorn_codec.format.limits import MAX_TILE_SIDE
from unicorn_codec.format.pages import psnr_of_code
from unicorn_codec.format.picture_tiles import tiles_of
from unicorn_codec.pictures.demo_pictures import draw, random_scene
from unicorn_codec.pictures.pixels import Pixels

SCENE_SIDE = 512
NOISE = 4.0
ROWS = 256
SEAM = 8
"""Pixels on each side of a seam that are compared apart."""


def rows_of(side: int, start: int, stop: int, scene: Pixels) -> Pixels:
    """Return some rows (n, side, 3) of the picture."""
    across = np.abs((np.arange(side) + SCENE_SIDE) % (2 * SCENE_SIDE) - SCENE_SIDE).clip(max=SCENE_SIDE - 1)
    down = np.abs((np.arange(start, stop) + SCENE_SIDE) % (2 * SCENE_SIDE) - SCENE_SIDE).clip(max=SCENE_SIDE - 1)
    light = 0.75 + 0.25 * np.outer(np.cos(np.arange(start, stop) * 5 / side), np.cos(np.arange(side) * 7 / side))
    noise = np.random.default_rng(start).normal(0, NOISE, (stop - start, side)).astype(np.float32)
    rows = scene[down[:, None], across].astype(np.float32) * light[..., None].astype(np.float32) + noise[..., None]
    return rows.clip(0, 255).round().astype(np.uint8)


def make(work: Path, side: int) -> None:
    """Write the picture."""
    folder, scene = work / "in", draw(random_scene(7, 0), SCENE_SIDE)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.empty((side, side, 3), np.uint8)
    for start in range(0, side, ROWS):
        stop = min(start + ROWS, side)
        pixels[start:stop] = rows_of(side, start, stop, scene)
    Image.fromarray(pixels).save(folder / "large.jpg", quality=95)


def compare(work: Path, side: int) -> dict[str, Any]:
    """Return the PSNR of the unpacked picture, in dB, as a whole and at the seams, and what the archive says of it."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(work / "in" / "large.jpg") as original, Image.open(work / "out.png") as unpacked:
        assert original.size == unpacked.size == (side, side), f"{original.size} against {unpacked.size}"
        squares = count = at_seams = seam_count = 0
        seams = sorted({edge for tile in tiles_of(side, side) for edge in (tile.left, tile.top) if edge})
        near = np.zeros(side, np.bool_)
        for edge in seams:
            near[max(0, edge - SEAM) : edge + SEAM] = True
        a, b = np.asarray(original), np.asarray(unpacked)
        for start, difference in differences(a, b):
            squared = np.square(difference).sum(-1)
            seam = near[start : start + len(squared), None] | near[None]
            squares, count = squares + int(squared.sum()), count + 3 * squared.size
            at_seams, seam_count = at_seams + int(squared[seam].sum()), seam_count + 3 * int(seam.sum())
    with Archive.open(work / "out.uni", device="cpu") as archive:
        row = archive.reader.row(0)
        tiles = len(archive.reader.record(row).codes)
    return {
        "psnr_db": psnr_db(squares, count),
        "psnr_db_at_seams": psnr_db(at_seams, seam_count),
        "psnr_db_in_the_index": psnr_of_code(row.psnr),
        "tiles": tiles,
        "file_bytes": (work / "out.uni").stat().st_size,
    }


def differences(a: Pixels, b: Pixels) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the first row and the difference of some rows of two pictures."""
    for start in range(0, len(a), ROWS):
        yield start, a[start : start + ROWS].astype(np.int64) - b[start : start + ROWS]


def psnr_db(squares: int, count: int) -> float:
    """Return the PSNR in dB, rounded."""
    return round(10 * math.log10(255**2 * count / squares), 3) if squares else math.inf


def run_step(step: str, work: Path, side: int) -> None:
    """Run one step in this process, and print its results as JSON if it has any."""
    archive, limit = str(work / "out.uni"), ["--max-pixels", str(side * side), "--overwrite"]
    if step == "make":
        make(work, side)
    elif step == "pack":
        cli(["pack", str(work / "in"), archive, "--effort", "0", "--learn", "off", *limit])
    elif step == "unpack":
        cli(["unpack", archive, "--index", "0", "-o", str(work / "out.png"), *limit])
    else:
        print(json.dumps(compare(work, side)))


def measured_step(step: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one step in a process of its own, and return its time, its peak memory and its results."""
    command = [sys.executable, __file__, "--step", step, "--work", str(args.work), "--side", str(args.side)]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--tile-side", str(args.tile_side)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with closing(process.stdout) as stream:
        output = stream.read()
    _, status, usage = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"{step} exits with {code}")
    found = json.loads(output) if step == "compare" else {}
    seconds = round(time.perf_counter() - started, 1)
    return {"seconds": seconds, "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=MAX_TILE_SIDE + 1, help="side of the picture in pixels")
    parser.add_argument("--work", type=Path, default=Path("large"), help="folder for the files")
    parser.add_argument("--tile-side", type=int, default=MAX_TILE_SIDE, help="longest side of a tile")
    parser.add_argument("--steps", nargs="+", default=["make", "pack", "unpack", "compare"])
    parser.add_argument("--step", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step is not None:
        limits = {"MAX_TILE_SIDE": args.tile_side, "MAX_CODED_PIXELS": args.tile_side**2}
        with patch.multiple(picture_tiles, **limits):
            run_step(args.step, args.work, args.side)
        return
    print(json.dumps({step: measured_step(step, args) for step in args.steps} | {"side": args.side}, indent=1))


if __name__ == "__main__":
    main()
