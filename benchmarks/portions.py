"""Measure packing in portions: time and memory against the number of pictures, and against the number of workers.

    python benchmarks/portions.py --data photos --counts 1000 2000 5000 20000 --workers 1 2 --out results/portions

The pictures are square crops of those in --data, each scaled down to --side; many crops of one photo are no
near-duplicates, as they do not overlap. Each run is a process of its own: ``unicorn pack --workers``. Its wall time,
the processor time of it and of its workers, and the peak memory of the largest of these processes are measured. The
archives of a count must be equal byte for byte, whatever the workers. Where other programs run, processor time tells
more than wall time. portions.json is written after each run; the same command resumes.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from unicorn_codec.bench.provenance import provenance

Row = dict[str, Any]


def crops(data: Path, count: int, side: int) -> Iterator[Image.Image]:
    """Yield square crops of photos, scaled to a side: first whole photos, then their quarters, ninths and so on."""
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    made = divisions = 0
    while made < count:
        divisions += 1
        for path in paths:
            with Image.open(path) as opened:
                photo = opened.convert("RGB")
            longest = min(photo.size) // divisions
            if longest < side:
                continue
            for number in range(divisions**2):
                if made == count:
                    return
                left, top = number % divisions * longest, number // divisions * longest
                made += 1
                yield photo.resize((side, side), Image.Resampling.BOX, (left, top, left + longest, top + longest))
        if divisions * side > 4096:
            sys.exit(f"{data} has too few pixels for {count} pictures of {side}x{side}")


def make_pictures(data: Path, folder: Path, count: int, side: int) -> None:
    """Write pictures to a folder, a thousand in each of its subfolders."""
    for number, picture in enumerate(crops(data, count, side)):
        place = folder / f"{number // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / f"{number:06}.png")


def run_pack(folder: Path, output: Path, workers: int, effort: int) -> Row:
    """Pack a folder in a process of its own, and return what it took."""
    command = [sys.executable, "-m", "unicorn_cli", "pack", folder, output, "--workers", workers, "--overwrite"]
    command += ["--effort", effort, "--learn", "off", "--device", "cpu", "--json"]
    started = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "packing failed"
    return {
        "pictures": report["pictures"],
        "workers": workers,
        "wall_s": time.perf_counter() - started,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "file_bytes": report["file_bytes"],
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
    }


def table(rows: Sequence[Row]) -> str:
    """Return the measurements as a table."""
    lines = [
        "| pictures | workers | wall (s) | processor (s) | processor (ms a picture) | peak (MB) | file (bytes) |",
        "|--:" * 7 + "|",
    ]
    for row in rows:
        each = 1000 * row["processor_s"] / row["pictures"]
        lines.append(
            f"| {row['pictures']} | {row['workers']} | {row['wall_s']:.0f} | {row['processor_s']:.0f} | {each:.1f} "
            f"| {row['peak_mb']:.0f} | {row['file_bytes']} |"
        )
    return "\n".join(lines)


def growth(rows: Sequence[Row]) -> str:
    """Return processor time and memory of each further picture, by a line through the runs with fewest workers.

    Two runs lie on any line, and say nothing.
    """
    fewest = min(row["workers"] for row in rows)
    counts, seconds, peaks = (
        np.array([row[name] for row in rows if row["workers"] == fewest], float)
        for name in ("pictures", "processor_s", "peak_mb")
    )
    if len(counts) < 3:
        return ""
    slope, start = np.polyfit(counts, seconds, 1)
    apart = np.abs(slope * counts + start - seconds).max() / seconds.max()
    memory = np.polyfit(counts, peaks, 1)[0] * 2**20
    return (
        f"Workers: {fewest}. Each further picture takes {1000 * slope:.1f} ms of processor time and "
        f"{memory:.0f} bytes of memory; all runs are within {100 * apart:.0f} % of the longest one's time of a line."
    )


def plot(rows: Sequence[Row], path: Path) -> None:
    """Plot processor time and peak memory against the number of pictures."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    for place, (name, label) in enumerate((("processor_s", "processor time (s)"), ("peak_mb", "peak memory (MB)"))):
        axes = figure.add_subplot(1, 2, place + 1)
        for workers, style in zip(sorted({row["workers"] for row in rows}), ("o-", "s--", "^:"), strict=False):
            chosen = [row for row in rows if row["workers"] == workers]
            axes.plot(
                [row["pictures"] for row in chosen], [row[name] for row in chosen], style, label=f"{workers} workers"
            )
        axes.set(xlabel="pictures", ylabel=label, xlim=(0, None), ylim=(0, None))
        axes.legend(frameon=False)
    figure.savefig(path)


def write(out: Path, origin: Row, rows: Sequence[Row]) -> None:
    """Write measurements, table and plot."""
    (out / "portions.json").write_text(json.dumps({**origin, "runs": rows}, indent=1) + "\n")
    text = [f"Made by `{origin['command']}`. {origin['remark']}".rstrip(), table(rows), growth(rows)]
    (out / "portions.md").write_text("\n\n".join(filter(None, text)) + "\n")
    plot(rows, out / "portions.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 2000, 5000, 20000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("--remark", default="", help="sentence on the machine, for the table")
    parser.add_argument("--work", type=Path, default=Path("portions-work"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    words = ["python", "benchmarks/portions.py", "--data", args.data.name]
    for name in ("counts", "workers", "side", "effort"):
        values = getattr(args, name)
        words += [f"--{name}", *map(str, values if isinstance(values, list) else [values])]
    origin = {**provenance(shlex.join(words), 0, "cpu"), "remark": args.remark}
    known = args.out / "portions.json"
    rows: list[Row] = json.loads(known.read_text())["runs"] if known.exists() else []
    for count in args.counts:
        folder = args.work / str(count)
        for workers in args.workers:
            if any((row["pictures"], row["workers"]) == (count, workers) for row in rows):
                continue
            if not folder.exists():
                make_pictures(args.data, folder, count, args.side)
            rows.append(run_pack(folder, args.work / "out.uni", workers, args.effort))
            print(json.dumps(rows[-1]), flush=True)
            assert len({row["sha256"] for row in rows if row["pictures"] == count}) == 1, "archives differ"
            write(args.out, origin, rows)
        shutil.rmtree(folder, ignore_errors=True)
    write(args.out, origin, rows)


if __name__ == "__main__":
    main()
