"""What ``pack --goal`` does: mean and deviation of SSIMULACRA2 and PSNR over the pictures of a set, at equal bytes.

    python benchmarks/goals.py --data PICTURES --count 100 --step 2.2 --out goals.json

The default packs at a step. Each goal packs to the bytes of that archive, so that their qualities compare.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generations import copy_some

from unicorn_codec.archive import Archive
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.config import GOALS, CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.pixels import Pixels

READ = ReadOptions()

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=100, help="pictures that are packed, evenly from the folder")
    parser.add_argument("--step", type=float, default=2.2, help="quantisation step of the default")
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("--goals", nargs="+", default=GOALS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    args = parser.parse_args()
    rows = list[Row]()
    with tempfile.TemporaryDirectory() as name:
        folder = copy_some(args.data, args.count, Path(name) / "pictures")
        target = Target(Goal.STEP, args.step)
        for goal in (None, *args.goals):
            options = CodesOptions(
                target=target, goal=goal, effort=args.effort, learning=None, device=args.device, overwrite=True
            )
            rows.append(measure(folder, Path(name) / "out.uni", options))
            target = Target(Goal.SIZE, rows[0]["bytes"])
    command = f"python benchmarks/goals.py --data {args.data.name} --count {args.count} --step {args.step:g} "
    command += f"--effort {args.effort} --goals {' '.join(args.goals)}"
    origin = provenance(command, 0, args.device) | {"models_sha256": package_models_sha256()}
    args.out.write_text(json.dumps({**origin, "rows": rows}, indent=1) + "\n")
    print(table(rows))


def measure(folder: Path, output: Path, options: CodesOptions) -> Row:
    """Pack with options, and measure every picture of the written file."""
    report = pack(folder, output, options)
    scores, psnrs = list[float](), list[float]()
    with Archive.open(output, device=options.device) as archive:
        for _, original, pixels in with_originals(archive, folder):
            score = ssimulacra2(original, pixels)
            assert score is not None, "pictures of less than 8 pixels have no score"
            scores.append(score)
            psnrs.append(psnr_db(original, pixels))
        steps = [decoder.latent_step for decoder in archive.reader.footer.decoders]
    row = {
        "goal": options.goal or "none",
        "bytes": report.file_bytes,
        "decoders": len(steps),
        "ssimulacra2": float(np.mean(scores)),
        "deviation": float(np.std(scores)),
        "lowest": float(np.min(scores)),
        "within_2_points": float(np.mean(np.abs(np.array(scores) - np.mean(scores)) <= 2)),
        "psnr_db": float(np.mean(psnrs)),
    }
    print(row, flush=True)
    return row


def with_originals(archive: Archive, folder: Path) -> Iterator[tuple[str, Pixels, Pixels]]:
    """Yield name, original and decoded pixels of every picture of an archive."""
    listed = list_folder(folder, READ)
    originals = {picture.name: picture for picture in listed.pictures}
    for index, pixels in archive.iterate(archive.indices):
        name = archive.name(index)
        yield name, read_picture(listed, originals[name], READ), pixels


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a table in Markdown."""
    lines = [
        "| goal | bytes | SSIMULACRA2 | its deviation | within 2 points | lowest | PSNR |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['goal']} | {row['bytes']:,} | {row['ssimulacra2']:.1f} | {row['deviation']:.2f} "
            f"| {row['within_2_points']:.0%} | {row['lowest']:.1f} | {row['psnr_db']:.2f} dB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
