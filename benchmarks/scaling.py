"""Rate against the number of pictures: bits per pixel of archives of 125 to 1000 pictures at equal quality.

    python benchmarks/scaling.py --data cats-1000 grocery-1000

The quality is the mean PSNR of the largest archive at --bpp. For each smaller count the same pictures are packed into
as many archives as needed, all with the one quantisation step that gives the same mean PSNR to --tolerance dB. No count
has easier pictures than another, unless --parts limits the number of archives. Rates are those of whole files.
scaling.json is written after each archive, and the same command resumes.
"""

import argparse
import json
import math
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import spread_labels
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.config import CodesOptions, Goal, Learning, PackOptions, ReadOptions, Target
from unicorn_codec.packing.pack import pack

Row = dict[str, Any]

TRIALS = 8
DB_PER_OCTAVE = 4.0
"""Approximate gain of halving the step in dB. Only the first guess depends on it."""

MARKERS = ("o", "s", "^", "D", "v")
DASHES = ("solid", "dashed", "dotted", "dashdot", (0, (5, 1, 1, 1)))


def pack_part(pictures: PictureSet, positions: Sequence[int], options: PackOptions) -> Row:
    """Pack the pictures at some positions."""
    with tempfile.TemporaryDirectory(prefix="unicorn-scaling-") as name:
        folder = Path(name) / "pictures"
        for position in positions:
            target = folder / pictures.folder.pictures[position].name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(pictures.path(position).resolve())
        report = pack(folder, Path(name) / "out.uni", options)
        assert report.measured is not None
        return {
            "step": report.latent_step,
            "bytes": report.file_bytes,
            "bits_per_pixel": report.bits_per_pixel,
            "psnr_db": report.measured.psnr_db.mean,
            "ms_ssim": report.measured.ms_ssim.mean,
            "pack_s": report.seconds,
        }


def next_step(trials: Sequence[Row], psnr_db: float) -> float:
    """Return the quantisation step to try next. The last of the given ones is the best known."""
    slope = -DB_PER_OCTAVE
    if len(trials) > 1 and trials[-1]["step"] != trials[-2]["step"]:
        octaves = math.log2(trials[-1]["step"] / trials[-2]["step"])
        slope = min(-0.5, (trials[-1]["psnr_db"] - trials[-2]["psnr_db"]) / octaves)
    return max(1.0, trials[-1]["step"] * 2 ** ((psnr_db - trials[-1]["psnr_db"]) / slope))


def parts_of(total: int, count: int, most: int | None) -> list[range]:
    """Return the positions of disjoint archives of ``count`` pictures, evenly spaced in each."""
    parts = total // count
    return [range(part, parts * count, parts) for part in range(parts)][:most]


class Results:
    """Contents of ``scaling.json``: for each set and count the trials of a step, each with its archives."""

    def __init__(self, path: Path, origin: dict[str, Any], settings: dict[str, Any]) -> None:
        kept = json.loads(path.read_text()) if path.exists() else {"settings": settings, "sets": {}}
        if kept["settings"] != settings:
            sys.exit(f"{path} was measured with {kept['settings']}, not {settings}; move it away")
        self.path, self.origin, self.settings = path, origin, settings
        self.sets: dict[str, dict[str, list[Row]]] = kept["sets"]

    def trials(self, name: str, count: int) -> list[Row]:
        return self.sets.setdefault(name, {}).setdefault(str(count), [])

    def write(self) -> None:
        values = {**self.origin, "settings": self.settings, "sets": self.sets}
        self.path.write_text(json.dumps(values, indent=1) + "\n")


def best_trial(trials: Sequence[Row], psnr_db: float) -> Row:
    """Return the complete trial whose mean PSNR is nearest."""
    return min((trial for trial in trials if trial["is_complete"]), key=lambda trial: abs(trial["psnr_db"] - psnr_db))


def measure_set(args: argparse.Namespace, folder: Path, results: Results) -> None:
    """Measure what is missing of one set."""
    pictures = PictureSet.open(folder, ReadOptions())
    if len(pictures) < max(args.count):
        sys.exit(f"{folder} holds {len(pictures)} pictures, not {max(args.count)}")
    common = CodesOptions(
        seed=args.seed, device=args.device, effort=args.effort, learning=Learning() if args.learn else None
    )
    for count in sorted(args.count, reverse=True):
        trials, whole = results.trials(folder.name, count), results.trials(folder.name, max(args.count))
        while not is_done(trials, whole, args.tolerance):
            if whole is trials:
                first_step, target = None, Target(Goal.RATE, args.bpp)
            else:
                step = next_step(trials, whole[0]["psnr_db"]) if trials and trials[-1]["is_complete"] else None
                first_step = step or (trials or whole)[-1]["step"]
                target = Target(Goal.STEP, first_step)
            if not trials or trials[-1]["is_complete"]:
                trials.append({"archives": [], "is_complete": False, "step": first_step})
            parts = parts_of(max(args.count), count, args.parts)
            pack_trial(trials[-1], pictures, parts, replace(common, target=target), results)
            found = trials[-1]
            print(f"{folder.name} {count}: {found['bits_per_pixel']:.4f} bpp, {found['psnr_db']:.3f} dB", flush=True)


def is_done(trials: Sequence[Row], whole: Sequence[Row], tolerance: float) -> bool:
    """Return whether the target quality is reached or out of reach."""
    if not trials or not trials[-1]["is_complete"]:
        return False
    near = abs(trials[-1]["psnr_db"] - whole[0]["psnr_db"]) <= tolerance
    return near or len(trials) == TRIALS or (len(trials) > 1 and trials[-1]["step"] == trials[-2]["step"])


def pack_trial(
    trial: Row, pictures: PictureSet, parts: Sequence[range], options: PackOptions, results: Results
) -> None:
    """Pack all archives of a count with one step. Existing results are kept."""
    archives = trial["archives"]
    for positions in parts[len(archives) :]:
        archives.append(pack_part(pictures, positions, options))
        results.write()
    for name in ("step", "bits_per_pixel", "psnr_db", "ms_ssim"):
        trial[name] = fmean(archive[name] for archive in archives)
    trial["is_complete"] = True
    results.write()


def rates_of(by_count: dict[str, list[Row]]) -> dict[int, Row]:
    """Return the representative trial of each count."""
    psnr_db = by_count[str(max(map(int, by_count)))][0]["psnr_db"]
    return {int(count): best_trial(by_count[count], psnr_db) for count in sorted(by_count, key=int)}


def rate_table(sets: dict[str, dict[str, list[Row]]]) -> str:
    """Return mean rate and PSNR of each count, and the rate relative to that of half as many pictures."""
    lines = [
        "| set | pictures | archives | bits per pixel | PSNR (dB) | relative to half as many |",
        "|:--" + "|--:" * 5 + "|",
    ]
    for name, by_count in sets.items():
        found = rates_of(by_count)
        for count, trial in found.items():
            rate, half = trial["bits_per_pixel"], found.get(count // 2)
            gain = f"{100 * (rate / half['bits_per_pixel'] - 1):+.1f} %" if half else "—"
            lines.append(
                f"| {name} | {count} | {len(trial['archives'])} | {rate:.4f} | {trial['psnr_db']:.2f} | {gain} |"
            )
    return "\n".join(lines)


def plot_rates(sets: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """Plot the rate over the number of pictures, one line per set, with bars from its best to its worst archive."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    ticks = sorted({int(count) for by_count in sets.values() for count in by_count})
    starts: list[tuple[float, str]] = []
    for place, (name, by_count) in enumerate(sets.items()):
        found, grey = rates_of(by_count), str(0.15 * place)
        mean = [trial["bits_per_pixel"] for trial in found.values()]
        single = [[archive["bits_per_pixel"] for archive in trial["archives"]] for trial in found.values()]
        (line,) = axes.plot(list(found), mean, color=grey, linestyle=DASHES[place % 5])
        line.set(marker=MARKERS[place % 5], markerfacecolor="white")
        axes.vlines(list(found), list(map(min, single)), list(map(max, single)), colors=grey, linewidth=0.8)
        starts.append((mean[0], f"{name}\n{found[max(found)]['psnr_db']:.1f} dB"))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(ticks[0] * 0.3, ticks[-1] * 1.15)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    label_starts(axes, ticks[0], starts)
    axes.set_xlabel("pictures in an archive (logarithmic)")
    axes.set_ylabel("rate at equal PSNR (bits per pixel)")
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=200)


def label_starts(axes: Axes, count: int, starts: Sequence[tuple[float, str]]) -> None:
    """Label the lines on the left. On the right they meet, since every set's largest archive has the same rate."""
    ordered = sorted(starts)
    heights = spread_labels([rate / axes.get_ylim()[1] for rate, _ in ordered], 0.12)
    for (rate, label), height in zip(ordered, heights, strict=True):
        leader = {"arrowstyle": "-", "linewidth": 0.4, "shrinkB": 4}
        place = (0.02, height)
        text = axes.annotate(label, (count, rate), xytext=place, textcoords="axes fraction", arrowprops=leader)
        text.set(fontsize=8.5, verticalalignment="center")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--parts", type=int, help="largest number of archives of each count")
    parser.add_argument("--bpp", type=float, default=0.1, help="rate of the largest archive")
    parser.add_argument("--effort", type=int, help="like the option of pack")
    parser.add_argument("--learn", action="store_true", help="let pack learn of the pictures")
    parser.add_argument("--tolerance", type=float, default=0.03, help="of the mean PSNR in dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "results" / "scaling",
        help="path of the results without suffix",
    )
    args = parser.parse_args()
    settings = {
        "bpp": args.bpp,
        "effort": args.effort,
        "learn": args.learn,
        "tolerance": args.tolerance,
        "seed": args.seed,
        "parts": args.parts,
        "largest": max(args.count),
        "models_sha256": package_models_sha256(),
    }
    origin = provenance(shlex.join(["python", *sys.argv]), args.seed, args.device)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    results = Results(args.out.with_suffix(".json"), origin, settings)
    for folder in args.data:
        measure_set(args, folder, results)
    text = rate_table(results.sets)
    print(text)
    args.out.with_suffix(".md").write_text(text + "\n")
    plot_rates(results.sets, args.out)


if __name__ == "__main__":
    main()
