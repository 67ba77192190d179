"""What effort buys: time, bytes and quality of archives packed with more and more rounds of refinement.

    python benchmarks/effort_levels.py --data PICTURES --count 24 --out effort.json

Every effort packs the same pictures at some steps. A row compares it with effort 0: processor time of packing (without
measuring the file), and bytes at equal SSIMULACRA2, MS-SSIM and PSNR (BD-rate). Times are ratios within one run, since
machines differ.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.bench.bd_rate import RatePoint, bd_rate
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder, read_picture

EFFORTS = (0, 1, 2, 3, 4, 40, 100)
STEPS = (2.0, 3.4, 6.0)
READ = ReadOptions()

Row = dict[str, Any]


class Stopwatch(Observer):
    """Takes the processor time at which packing is done and measuring begins."""

    def __init__(self) -> None:
        self.started, self.packed = time.process_time(), 0.0

    def stage(self, name: str, done: int, total: int) -> None:
        if name == "measuring" and not self.packed:
            self.packed = time.process_time()

    @property
    def seconds(self) -> float:
        return self.packed - self.started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=24, help="pictures that are packed, evenly from the folder")
    parser.add_argument("--efforts", type=int, nargs="+", default=EFFORTS)
    parser.add_argument("--steps", type=float, nargs="+", default=STEPS, help="quantisation steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = copy_some(args.data, args.count, Path(name) / "pictures")
        found = {
            effort: [measure(folder, Path(name) / "out.uni", effort, step, args.device) for step in args.steps]
            for effort in args.efforts
        }
    rows = [summary(effort, points, found[args.efforts[0]]) for effort, points in found.items()]
    command = f"python benchmarks/effort_levels.py --data {args.data.name} --count {args.count}"
    origin = provenance(command, 0, args.device) | {"models_sha256": package_models_sha256()}
    args.out.write_text(json.dumps({**origin, "rows": rows, "points": found}, indent=1) + "\n")
    print(table(rows))


def copy_some(data: Path, count: int, folder: Path) -> Path:
    """Copy some files, evenly from a folder."""
    folder.mkdir()
    paths = sorted(path for path in data.iterdir() if path.is_file())
    for path in paths[:: max(1, len(paths) // count)][:count]:
        shutil.copy(path, folder)
    return folder


def measure(folder: Path, output: Path, effort: int, step: float, device: str) -> Row:
    """Pack at an effort and a step, and measure the written file."""
    target = Target(Goal.STEP, step)
    options = CodesOptions(target=target, effort=effort, sequences=False, device=device, overwrite=True)
    stopwatch = Stopwatch()
    report = pack(folder, output, options, stopwatch)
    listed = list_folder(folder, READ)
    originals = {picture.name: read_picture(listed, picture, READ) for picture in listed.pictures}
    with Archive.open(output, device=device) as archive:
        scores = [
            ssimulacra2(originals[archive.names[index]], pixels)
            for index, pixels in archive.iterate(range(len(archive)))
        ]
    row = {
        "step": step,
        "seconds": stopwatch.seconds,
        "bytes": report.file_bytes,
        "bits_per_pixel": report.bits_per_pixel,
        "psnr_db": report.measured.psnr_db.mean,
        "ms_ssim": report.measured.ms_ssim.mean,
        "ssimulacra2": float(np.mean([score for score in scores if score is not None])),
    }
    print(f"effort {effort}, step {step:g}: {row['seconds']:.1f} s, {row['bytes']} bytes", flush=True)
    return row


def summary(effort: int, points: Sequence[Row], anchor: Sequence[Row]) -> Row:
    """Compare an effort with the anchor: time as a ratio, bytes at equal quality in per cent."""
    return {
        "effort": effort,
        "time": sum(point["seconds"] for point in points) / sum(point["seconds"] for point in anchor),
        **{metric: percent(points, anchor, metric) for metric in ("ssimulacra2", "ms_ssim", "psnr_db")},
    }


def percent(points: Sequence[Row], anchor: Sequence[Row], metric: str) -> float | None:
    """Return the difference in bytes at equal quality; None where the curves do not overlap."""
    first, second = ([RatePoint(row["bits_per_pixel"], row[metric]) for row in rows] for rows in (anchor, points))
    found = bd_rate(first, second, least_overlap=0.0)
    return None if found is None else found.percent


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a table in Markdown."""
    lines = ["| effort | time | SSIMULACRA2 | MS-SSIM | PSNR |", "|---|---|---|---|---|"]
    for row in rows:
        cells = ["n/a" if row[m] is None else f"{row[m]:+.1f} %" for m in ("ssimulacra2", "ms_ssim", "psnr_db")]
        lines.append(f"| {row['effort']} | {row['time']:.1f} x | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
