"""What learning the folder saves: whole files packed with and without it, and AVIF without containers.

    python benchmarks/learning.py --data receipts-120 cells-300 --steps 2.5 5 9 --out benchmarks/results/learning
    python benchmarks/learning.py --data cells-300 --count 40 75 150 300 --out by-count     # what more pictures save

All figures are measured on written files, the update's bytes included. learning.json is written after each file and
records what is done: the same command resumes. learning.md and a plot of what more pictures save are made from it.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unicorn_codec.bench.bd_rate import bd_rate
from unicorn_codec.bench.measuring import measuring, point_from, point_values
from unicorn_codec.bench.own_codec import Unicorn
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import SETTINGS, STYLES
from unicorn_codec.bench.provenance import provenance
from unicorn_codec.bench.quality_metrics import METRICS
from unicorn_codec.bench.report import Point, curve_of
from unicorn_codec.bench.rivals import BareAvif, Codec
from unicorn_codec.config import CodesOptions, Goal, Learning, ReadOptions, Target
from unicorn_codec.pictures.picture_folder import list_folder

OFF, ON = "unicorn-learn-off", "unicorn-learn-auto"
JUDGES = ("psnr_db", "ms_ssim", "ssimulacra2")
PLOT = "more-pictures.png"


def codecs(args: argparse.Namespace) -> list[Codec]:
    """Return AVIF, and this codec with and without learning."""
    steps = {
        f"step {step:g}": CodesOptions(
            device=args.device, effort=args.effort, avif=False, target=Target(Goal.STEP, step)
        )
        for step in args.steps
    }
    avif = BareAvif()
    avif.settings = {f"quality {quality}": quality for quality in args.qualities}
    without = {name: replace(options, learning=None) for name, options in steps.items()}
    learning = {name: replace(options, learning=Learning(args.seconds)) for name, options in steps.items()}
    return [avif, Unicorn(settings=without, name=OFF, title=OFF), Unicorn(settings=learning, name=ON, title=ON)]


def every_nth(folder: Path, count: int | None, copy: Path) -> Path:
    """Return the folder itself, or a copy of ``count`` of its pictures, evenly spaced."""
    pictures = list_folder(folder, ReadOptions(), lambda *_: None).pictures
    if count is None or count >= len(pictures):
        return folder
    copy.mkdir()
    for number in range(count):
        name = pictures[number * len(pictures) // count].name
        shutil.copy(folder / name, copy / Path(name).name)
    return copy


def measure(folder: Path, count: int | None, args: argparse.Namespace, done: dict[str, Any], write: Any) -> None:
    """Measure what is not done yet of ``count`` pictures of a folder."""
    with tempfile.TemporaryDirectory() as name:
        root = every_nth(folder, count, Path(name) / "pictures")
        pictures = PictureSet.open(root, ReadOptions())
        points = done.setdefault(f"{folder.name} ({len(pictures)})", [])
        with measuring(pictures, Path(name) / "decoded", features=None, every=args.metrics_every) as each:
            for codec in codecs(args):
                for setting in codec.settings:
                    if any((one["codec"], one["setting"]) == (codec.name, setting) for one in points):
                        continue
                    point = each.run(codec, setting, Path(name), Path("files"))
                    points.append(point_values(point))
                    write()
                    print(f"{folder.name} {codec.title} {setting}: {point.bytes:,} bytes", flush=True)


def table(done: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "| pictures | compared | " + " | ".join(METRICS[judge].title for judge in JUDGES) + " | bits per pixel |"
    yield "|---|---|" + "---|" * (len(JUDGES) + 1)
    for name, values in done.items():
        points = [point_from(one) for one in values]
        rates = [point.bits_per_pixel for point in points if point.codec == ON]
        for words, anchor, test in (
            ("learning against none", OFF, ON),
            ("learning against AVIF", BareAvif.name, ON),
            ("none against AVIF", BareAvif.name, OFF),
        ):
            cells = [as_text(change(points, anchor, test, judge)) for judge in JUDGES]
            yield f"| {name} | {words} | " + " | ".join(cells) + f" | {min(rates):.3f} to {max(rates):.3f} |"


def cheaper(done: dict[str, Any]) -> dict[str, dict[int, list[float | None]]]:
    """Return what larger sets of a folder save with learning: by folder and number of pictures, for each judge the
    bytes a picture at equal quality relative to the smallest set, in per cent."""
    of_folder: dict[str, dict[int, list[Point]]] = defaultdict(dict)
    for name, values in done.items():
        learned = [point for point in map(point_from, values) if point.codec == ON]
        if learned:
            of_folder[name.rpartition(" (")[0]][learned[0].pictures] = learned
    found: dict[str, dict[int, list[float | None]]] = {}
    for folder, sets in of_folder.items():
        fewest, *more = sorted(sets)
        anchor = [replace(point, codec=OFF) for point in sets[fewest]]
        changes = {count: [change([*anchor, *sets[count]], OFF, ON, judge) for judge in JUDGES] for count in more}
        if more:
            found[folder] = {fewest: [0.0] * len(JUDGES), **changes}
    return found


def cheaper_table(found: dict[str, dict[int, list[float | None]]]) -> Iterator[str]:
    """Yield the lines of the report on what larger sets save."""
    yield "| pictures | against | " + " | ".join(METRICS[judge].title for judge in JUDGES) + " |"
    yield "|---|---|" + "---|" * len(JUDGES)
    for folder, sets in found.items():
        fewest, *more = sorted(sets)
        for count in more:
            yield f"| {folder} ({count}) | {fewest} | " + " | ".join(map(as_text, sets[count])) + " |"


def draw_cheaper(found: dict[str, dict[int, list[float | None]]], path: Path) -> None:
    """Plot bytes a picture at equal quality over the number of pictures."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2 * len(found), 3.2), layout="constrained")
        for axes, (folder, sets) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
            for number, judge in enumerate(JUDGES):
                points = [
                    (count, 100 + value) for count, values in sets.items() if (value := values[number]) is not None
                ]
                axes.plot(*zip(*points, strict=True), label=METRICS[judge].title, **STYLES[number].line())
            axes.set_xscale("log")
            axes.set_xticks(list(sets), [f"{count}" for count in sets])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel(f"pictures of {folder}")
            axes.set_ylabel("bytes a picture at equal quality, %")
            axes.grid(color="0.9", linewidth=0.6)
            axes.legend(frameon=False)
        figure.savefig(path, dpi=120, metadata={"Software": None})


def change(points: Sequence[Point], anchor: str, test: str, judge: str) -> float | None:
    """Return the BD-rate of a codec against another one in per cent; None: their qualities hardly overlap."""
    found = bd_rate(curve_of(points, anchor, judge), curve_of(points, test, judge), 0.0)
    return None if found is None else found.percent


def as_text(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:+.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures")
    parser.add_argument("--count", type=int, nargs="+", help="numbers of pictures of each folder  [default: all]")
    parser.add_argument("--steps", type=float, nargs="+", default=[2.5, 5.0, 9.0], help="quantisation steps")
    parser.add_argument("--qualities", type=int, nargs="+", default=[5, 15, 30, 45, 60], help="of AVIF")
    parser.add_argument("--effort", type=int, help="rounds of refinement  [default: as pack]")
    parser.add_argument("--seconds", type=float, help="of learning  [default: as pack]")
    parser.add_argument("--metrics-every", type=int, default=1, help="measure the quality of every n-th picture")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "learning.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"sets": {}}
    settings = {name: getattr(args, name) for name in ("effort", "seconds", "device", "metrics_every")}
    results |= {"provenance": provenance(shlex.join(sys.argv), 0, args.device), "settings": settings}

    def write() -> None:
        path.write_text(json.dumps(results, indent=1) + "\n")

    for folder in args.data:
        for count in args.count or [None]:
            measure(folder, count, args, results["sets"], write)
    write()
    lines = ["# Learning the folder", "", *table(results["sets"])]
    if found := cheaper(results["sets"]):
        draw_cheaper(found, args.out / PLOT)
        lines += ["", "Bytes a picture in larger sets, with learning:", "", *cheaper_table(found)]
        lines += ["", f"![Bytes a picture over the number of pictures]({PLOT})"]
    text = "\n".join(lines) + "\n"
    (args.out / "learning.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
