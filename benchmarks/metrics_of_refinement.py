"""What ``pack --metric`` buys: PSNR, MS-SSIM and SSIMULACRA2 at equal bytes.

    python benchmarks/metrics_of_refinement.py --data PICTURES --count 16 --out metrics.json

Each metric, and the default, packs the same pictures at some steps. The figures are differences to the default at equal
bytes: the default's quality is interpolated at the bytes of each archive, and the differences are averaged over steps.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generations import copy_some

from unicorn_codec.archive import Archive
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.config import METRICS, CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.effort import SHORT_EFFORT
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder, read_picture

MEASURES = ("psnr_db", "ms_ssim", "ssimulacra2")
READ = ReadOptions()

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=16, help="pictures that are packed, evenly from the folder")
    parser.add_argument("--effort", type=int, default=SHORT_EFFORT)
    parser.add_argument("--steps", type=float, nargs="+", default=(1.6, 2.8, 5.0), help="quantisation steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    args = parser.parse_args()
    found = dict[str, list[Row]]()
    with tempfile.TemporaryDirectory() as name:
        folder = copy_some(args.data, args.count, Path(name) / "pictures")
        for metric in (None, *METRICS):
            found[metric or "default"] = [
                measure(folder, Path(name) / "out.uni", step, metric, args.effort, args.device) for step in args.steps
            ]
    gains = {metric: differences(rows, found["default"]) for metric, rows in found.items()}
    command = f"python benchmarks/metrics_of_refinement.py --data {args.data.name} --count {args.count} "
    command += f"--effort {args.effort} --steps {' '.join(f'{step:g}' for step in args.steps)}"
    origin = provenance(command, 0, args.device) | {"models_sha256": package_models_sha256()}
    args.out.write_text(json.dumps({**origin, "gains": gains, "points": found}, indent=1) + "\n")
    print(table(gains))


def measure(folder: Path, output: Path, step: float, metric: str | None, effort: int, device: str) -> Row:
    """Pack at a step, and measure the written file."""
    options = CodesOptions(
        target=Target(Goal.STEP, step),
        effort=effort,
        metric=metric,
        sequences=False,
        avif=False,
        learning=None,
        device=device,
        overwrite=True,
    )
    report = pack(folder, output, options)
    listed = list_folder(folder, READ)
    originals = {picture.name: read_picture(listed, picture, READ) for picture in listed.pictures}
    with Archive.open(output, device=device) as archive:
        scores = [
            ssimulacra2(originals[archive.names[index]], pixels) for index, pixels in archive.iterate(archive.indices)
        ]
    row = {
        "step": step,
        "bytes": report.file_bytes,
        "psnr_db": report.measured.psnr_db.mean,
        "ms_ssim": report.measured.ms_ssim.mean,
        "ssimulacra2": float(np.mean([score for score in scores if score is not None])),
    }
    print(metric, row, flush=True)
    return row


def differences(rows: Sequence[Row], anchor: Sequence[Row]) -> Mapping[str, float]:
    """Return the mean difference of each measure to the anchor's at equal bytes."""
    ordered = sorted(anchor, key=lambda row: row["bytes"])
    places = [math.log(row["bytes"]) for row in ordered]

    def at(size: float, name: str) -> float:
        """Interpolate the anchor's measure by the logarithm of bytes, beyond its ends along the nearest line."""
        at_least = min(max(1, int(np.searchsorted(places, math.log(size)))), len(places) - 1)
        low, high = at_least - 1, at_least
        part = (math.log(size) - places[low]) / (places[high] - places[low])
        worse, better = (float(ordered[place][name]) for place in (low, high))
        return worse + part * (better - worse)

    return {name: float(np.mean([row[name] - at(row["bytes"], name) for row in rows])) for name in MEASURES}


def table(gains: Mapping[str, Mapping[str, float]]) -> str:
    """Format the gains as a table in Markdown."""
    lines = ["| metric | PSNR | MS-SSIM | SSIMULACRA2 |", "|---|---|---|---|"]
    for metric, gain in gains.items():
        cells = f"{gain['psnr_db']:+.2f} dB | {gain['ms_ssim']:+.4f} | {gain['ssimulacra2']:+.1f}"
        lines.append(f"| {metric} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
