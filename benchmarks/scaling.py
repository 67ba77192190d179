"""The more, the cheaper? Bits per pixel of archives of 125 to 1000 pictures at equal quality.

    python benchmarks/scaling.py --data cats-1000 grocery-1000

The quality is that of the largest archive at --bpp: its mean PSNR. Smaller archives get the quantisation step that
gives the same, to --tolerance dB. For each count the same pictures are packed, as so many archives as they make
(--parts takes fewer of them): no count is helped by easier pictures. Rates are of whole files. scaling.json is
written after each archive, and the same command goes on from there.
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

from matplotlib.figure import Figure

from unicorn_codec.archive import pack
from unicorn_codec.bench.origin import origin_of
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.config import PackOptions, ReadOptions
from unicorn_codec.errors import InvalidSetting

Row = dict[str, Any]

TRIALS = 8
DB_PER_OCTAVE = 4.0
"""What halving the step brings, about; only the first guess depends on it."""

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


def pack_at_quality(
    pictures: PictureSet, positions: Sequence[int], options: PackOptions, psnr_db: float, step: float, tolerance: float
) -> Row:
    """Pack with the step that gives a mean PSNR; the nearest of ``TRIALS`` where none is within the tolerance."""
    tried: list[Row] = []
    slope = -DB_PER_OCTAVE
    while len(tried) < TRIALS:
        try:
            tried.append(pack_part(pictures, positions, replace(options, latent_step=step)))
        except InvalidSetting:
            break
        if abs(tried[-1]["psnr_db"] - psnr_db) <= tolerance:
            break
        if len(tried) > 1 and tried[-1]["step"] != tried[-2]["step"]:
            octaves = math.log2(tried[-1]["step"] / tried[-2]["step"])
            slope = min(-0.5, (tried[-1]["psnr_db"] - tried[-2]["psnr_db"]) / octaves)
        step = max(1.0, tried[-1]["step"] * 2 ** ((psnr_db - tried[-1]["psnr_db"]) / slope))
    return min(tried, key=lambda row: abs(row["psnr_db"] - psnr_db))


def parts_of(total: int, count: int, most: int | None) -> list[range]:
    """Positions of disjoint archives of ``count`` pictures, every so-and-so-many-th picture in each."""
    parts = total // count
    return [range(part, parts * count, parts) for part in range(parts)][:most]


def measure_set(args: argparse.Namespace, folder: Path, values: dict[str, Any], results: dict[str, Any]) -> None:
    """Measure what is missing of one set."""
    options = PackOptions(seed=args.seed, device=args.device)
    pictures = PictureSet.open(folder, ReadOptions())
    total = max(args.count)
    if len(pictures) < total:
        sys.exit(f"{folder} holds {len(pictures)} pictures, not {total}")
    for count in sorted(args.count, reverse=True):
        rows = values.setdefault(str(count), [])
        for positions in parts_of(total, count, args.parts)[len(rows) :]:
            if count == total:
                row = pack_part(pictures, positions, replace(options, bits_per_pixel=args.bpp))
            else:
                whole = values[str(total)][0]
                step = rows[-1]["step"] if rows else whole["step"]
                row = pack_at_quality(pictures, positions, options, whole["psnr_db"], step, args.tolerance)
            rows.append(row)
            args.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
            print(f"{folder.name} {count}: {row['bits_per_pixel']:.4f} bpp, {row['psnr_db']:.3f} dB", flush=True)


def table(sets: dict[str, Any]) -> str:
    """Mean rate and PSNR of each count, and the rate against that of half as many pictures."""
    lines = [
        "| set | pictures | archives | bits per pixel | PSNR (dB) | against half as many |",
        "|:--" + "|--:" * 5 + "|",
    ]
    for name, by_count in sets.items():
        rates = {int(count): fmean(row["bits_per_pixel"] for row in rows) for count, rows in by_count.items()}
        for count in sorted(rates):
            rows = by_count[str(count)]
            gain = f"{100 * (rates[count] / rates[count // 2] - 1):+.1f} %" if count // 2 in rates else "—"
            psnr_db = fmean(row["psnr_db"] for row in rows)
            lines.append(f"| {name} | {count} | {len(rows)} | {rates[count]:.4f} | {psnr_db:.2f} | {gain} |")
    return "\n".join(lines)


def draw(sets: dict[str, Any], path: Path) -> None:
    """Rate over the number of pictures, both logarithmic; one line a set, with its name at its end."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, by_count) in enumerate(sets.items()):
        counts = sorted(map(int, by_count))
        rates = [[row["bits_per_pixel"] for row in by_count[str(count)]] for count in counts]
        style = {"marker": MARKERS[place % 5], "linestyle": DASHES[place % 5], "markerfacecolor": "white"}
        (line,) = axes.plot(counts, [fmean(values) for values in rates], color=str(0.15 * place), **style)
        axes.vlines(
            counts, [min(values) for values in rates], [max(values) for values in rates], colors=line.get_color()
        )
        psnr_db = by_count[str(counts[-1])][0]["psnr_db"]
        end = (counts[-1], fmean(rates[-1]))
        axes.annotate(
            f" {name}\n {psnr_db:.1f} dB", end, va="center", fontsize=8.5, xytext=(4, 0), textcoords="offset points"
        )
    ticks = sorted({int(count) for by_count in sets.values() for count in by_count})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.yaxis.set_minor_formatter("{x:.3g}")
    axes.set_xlim(ticks[0] * 0.9, ticks[-1] * 1.6)
    axes.set_xlabel("pictures in an archive (logarithmic)")
    axes.set_ylabel("rate at equal PSNR\n(bits per pixel, logarithmic)")
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--parts", type=int, help="at most so many archives of each count")
    parser.add_argument("--bpp", type=float, default=0.1, help="rate of the largest archive")
    parser.add_argument("--tolerance", type=float, default=0.03, help="dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "scaling", help="without suffix"
    )
    args = parser.parse_args()
    path = args.out.with_suffix(".json")
    kept = json.loads(path.read_text()) if path.exists() else {}
    settings = {"bpp": args.bpp, "tolerance": args.tolerance, "seed": args.seed, "largest": max(args.count)}
    if kept and kept["settings"] != settings:
        sys.exit(f"{path} was measured with {kept['settings']}, not {settings}; move it away")
    sets = kept.get("sets", {})
    origin = origin_of(shlex.join(["python", *sys.argv]), args.seed, args.device)
    for folder in args.data:
        measure_set(args, folder, sets.setdefault(folder.name, {}), {**origin, "settings": settings, "sets": sets})
    text = table(sets)
    print(text)
    args.out.with_suffix(".md").write_text(text + "\n")
    draw(sets, args.out)


if __name__ == "__main__":
    main()
