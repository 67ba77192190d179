"""What ``pack --roi`` does: PSNR inside and outside of a marked region, at equal bytes.

    python benchmarks/parts_that_count.py --data PICTURES --count 50 --steps 1.6 3 4.5 --out parts.json

At each step all pictures are packed without the region, then with it to the bytes of that archive. ``--picture`` writes
one picture of the last step: the original, without the region, and with it, whose edges are drawn.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generations import copy_some
from goals import READ, with_originals
from numpy.typing import NDArray

from unicorn_codec.archive import Archive
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.regions import Region

MIDDLE_NINTH = "33.33%,33.33%,33.33%,33.33%"
PICTURED = 0
GAP = 8

Row = dict[str, Any]
Marked = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=50, help="pictures that are packed, evenly from the folder")
    parser.add_argument("--steps", type=float, nargs="+", default=[1.6, 3.0, 4.5], help="steps without the region")
    parser.add_argument("--effort", type=int, default=2)
    parser.add_argument("--roi", default=MIDDLE_NINTH)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    parser.add_argument("--picture", type=Path, help="PNG file of one of the pictures")
    args = parser.parse_args()
    region, rows, shown = Region.parse(args.roi), list[Row](), list[Pixels]()
    with tempfile.TemporaryDirectory() as name:
        folder = copy_some(args.data, args.count, Path(name) / "pictures")
        for step in args.steps:
            shown = []
            target = Target(Goal.STEP, step)
            for roi in (None, region):
                options = CodesOptions(
                    target=target, roi=roi, effort=args.effort, learning=None, device=args.device, overwrite=True
                )
                rows.append({"step": step} | measure(folder, Path(name) / "out.uni", options, region, shown))
                print(rows[-1], flush=True)
                target = Target(Goal.SIZE, rows[-1]["bytes"])
        if args.picture:
            listed = list_folder(folder, READ)
            original = read_picture(listed, listed.pictures[PICTURED], READ)
            write_picture(side_by_side([original, *shown], region), args.picture, overwrite=True)
    command = f"python benchmarks/parts_that_count.py --data {args.data.name} --count {args.count} "
    command += f"--steps {' '.join(f'{step:g}' for step in args.steps)} --effort {args.effort} --roi {args.roi}"
    origin = provenance(command, 0, args.device) | {"models_sha256": package_models_sha256()}
    args.out.write_text(json.dumps({**origin, "rows": rows}, indent=1) + "\n")
    print(table(rows))


def measure(folder: Path, output: Path, options: CodesOptions, region: Region, shown: list[Pixels]) -> Row:
    """Pack with options, measure every picture of the written file, and keep one of them."""
    report = pack(folder, output, options)
    inside, outside, pictured = list[float](), list[float](), list_folder(folder, READ).pictures[PICTURED].name
    with Archive.open(output, device=options.device) as archive:
        for name, original, pixels in with_originals(archive, folder):
            marked = np.zeros(original.shape[:2], np.bool_)
            marked[region.places(original.shape[1], original.shape[0])] = True
            inside.append(psnr_where(original, pixels, marked))
            outside.append(psnr_where(original, pixels, ~marked))
            if name == pictured:
                shown.append(pixels)
    return {
        "region": options.roi is not None,
        "bytes": report.file_bytes,
        "latent_step": report.latent_step,
        "inside_db": float(np.mean(inside)),
        "outside_db": float(np.mean(outside)),
    }


def psnr_where(original: Pixels, shown: Pixels, marked: Marked) -> float:
    """Return the PSNR of some pixels of a picture, in dB."""
    error = (original[marked].astype(np.float64) - shown[marked]) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-9)))


def side_by_side(pictures: Sequence[Pixels], region: Region) -> Pixels:
    """Return pictures of one size next to each other, with a frame around the region of each."""
    height, width = pictures[0].shape[:2]
    sheet = np.full((height, len(pictures) * (width + GAP) - GAP, 3), 255, np.uint8)
    rows, columns = region.places(width, height)
    for number, picture in enumerate(pictures):
        place = sheet[:, number * (width + GAP) : number * (width + GAP) + width]
        place[:] = picture
        place[rows.start - 1 : rows.stop + 1, [columns.start - 1, columns.stop]] = (255, 255, 0)
        place[[rows.start - 1, rows.stop], columns.start - 1 : columns.stop + 1] = (255, 255, 0)
    return sheet


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a table in Markdown."""
    lines = ["| step | bytes | inside | outside | with the region: bytes | inside | outside |", "|" + "---|" * 7]
    for plain, marked in zip(rows[::2], rows[1::2], strict=True):
        lines.append(
            f"| {plain['step']:g} | {plain['bytes']:,} | {plain['inside_db']:.2f} dB | {plain['outside_db']:.2f} dB "
            f"| {marked['bytes']:,} | {marked['inside_db'] - plain['inside_db']:+.2f} dB "
            f"| {marked['outside_db'] - plain['outside_db']:+.2f} dB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
