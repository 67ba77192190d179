"""This codec and its rivals on the same pixels, from 0.03 to 1.5 bits per pixel.

    python benchmarks/dial.py --data cats-1000 grocery-1000 --count 200 1000 --features squeezenet.safetensors

All figures are measured on written files. Slow rivals run only on the smallest count, COIN on a few of its pictures.
Rates are those of all pictures, metrics those of every fifth (--metrics-every). dial.json is written after each point
and records what is done: the same command resumes. At the end, dial.md and the plots are made from it.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unicorn_codec.bench.comparison import point_line, rivals, split_runnable
from unicorn_codec.bench.equal_bytes import HANDICAP_DB, at_equal_bytes, equal_bytes_table
from unicorn_codec.bench.measuring import Measuring, measuring, point_from, point_values
from unicorn_codec.bench.network_rivals import Coin, RoundedLatents
from unicorn_codec.bench.own_codec import EFFORTS, OWN_NAME, Unicorn
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import draw_plots
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.bench.quality_metrics import check_packages
from unicorn_codec.bench.report import (
    BD_TEXT,
    Point,
    anchor_of,
    bd_table,
    minimised_text,
    notes,
    point_table,
    titles_of,
    verdict,
)
from unicorn_codec.bench.rivals import Avif, Codec, Zip
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.effort import SHORT_EFFORT
from unicorn_codec.errors import UnicornError

RATES = (0.03, 0.05, 0.1, 0.2)
STEPS = (2.0,)
"""Settings of this codec: target rates in bits per pixel, then quantisation steps for higher rates."""

BAR_RATES = (0.05, 0.1)
BAR_RIVALS = ("avif-bare", "avif-half-bare", "avif", "avif-speed-0", "avif-half")

OUR_MODELS = (OWN_NAME, *EFFORTS, RoundedLatents.name)
"""Codecs whose points are discarded when the package's models change."""

SECONDS = {
    "jpeg": 0.005,
    "webp": 0.03,
    "avif": 0.15,
    "avif-bare": 0.15,
    "avif-half": 0.05,
    "avif-half-bare": 0.05,
    "avif-speed-0": 1.0,
    "jpeg-xl": 0.1,
    "jpeg-2000": 0.03,
    "latents-zstd": 0.06,
    "hevc-intra": 0.06,
    "hevc-film": 0.06,
    "av1-intra": 0.25,
    "av1-film": 0.25,
    "svt-av1-intra": 0.06,
    "svt-av1-film": 0.06,
    "vvc-intra": 1.0,
    OWN_NAME: 1.5,
    **{name: 0.2 + 0.12 * effort for name, effort in EFFORTS.items()},
}
"""Approximate processor seconds for encoding and decoding a picture of 256x256."""

COIN_STEP_SECONDS = 0.02
METRIC_SECONDS = 0.15
START_SECONDS = 5.0
PLOTTED = (
    *(OWN_NAME, "avif-bare", "avif", "avif-half-bare", "avif-half", "webp", "jpeg-xl", "jpeg-2000"),
    *("hevc-intra", "av1-film", "vvc-intra", "latents-zstd"),
)
"""Curves of the main plots. Plots named ``-all`` show the others too."""


@dataclass
class Run:
    """A picture set at one count, and the points measured so far."""

    name: str
    count: int
    pixels: int = 0
    points: list[Point] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def has(self, codec: str, setting: str) -> bool:
        return any((point.codec, point.setting) == (codec, setting) for point in self.points)

    def values(self) -> dict[str, Any]:
        return {**vars(self), "points": [point_values(point) for point in self.points]}

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> "Run":
        return cls(**{**values, "points": [point_from(point) for point in values["points"]]})


class Results:
    """Contents of ``dial.json``."""

    def __init__(self, path: Path, origin: dict[str, Any], settings: dict[str, Any], again: Sequence[str]) -> None:
        """Take over the points of an earlier run with the same settings, except those of the codecs in ``again``."""
        self.path, self.origin, self.settings = path, origin, settings
        self.models = package_models_sha256()
        self.runs: list[Run] = []
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["settings"] != settings:
                sys.exit(f"{path} was measured with {kept['settings']}, not {settings}; move it away")
            stale = {*again, *(OUR_MODELS if kept["models_sha256"] != self.models else ())}
            self.runs = [Run.of_values(values) for values in kept["runs"]]
            for run in self.runs:
                run.points = [point for point in run.points if point.codec not in stale]

    def run_of(self, name: str, count: int) -> Run:
        found = [run for run in self.runs if (run.name, run.count) == (name, count)]
        if not found:
            self.runs.append(Run(name, count))
        return found[0] if found else self.runs[-1]

    def write(self) -> None:
        values = {
            **self.origin,
            "settings": self.settings,
            "models_sha256": self.models,
            "runs": [run.values() for run in self.runs],
        }
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        part.replace(self.path)


def own_codecs(args: argparse.Namespace) -> list[Unicorn]:
    """Return this codec as it is, with unrefined codes, and with long refinement."""
    common = CodesOptions(seed=args.seed, device=args.device)
    rates = {f"{rate:g} bpp": replace(common, target=Target(Goal.RATE, rate)) for rate in args.rates}
    steps = {f"step {step:g}": replace(common, target=Target(Goal.STEP, step)) for step in args.steps}
    usual = rates | steps
    return [Unicorn(settings=usual), *(with_effort(usual, name, effort) for name, effort in EFFORTS.items())]


def with_effort(settings: Mapping[str, CodesOptions], name: str, effort: int) -> Unicorn:
    """Return the codec with a number of refinement rounds."""
    refined = {setting: replace(options, effort=effort) for setting, options in settings.items()}
    return Unicorn(settings=refined, name=name, title=f"unicorn, effort {effort}")


def codecs_for(args: argparse.Namespace, count: int) -> list[Codec]:
    """Return the codecs that run on a number of pictures."""
    others = [codec for codec in rivals(ReadOptions(), args.seed) if not isinstance(codec, (Zip, Coin))]
    coin = Coin(steps=args.coin_steps, most_pictures=args.coin_pictures, seed=args.seed)
    if args.points is not None:
        others = [codec.thinned(args.points) for codec in others]
    codecs = [*own_codecs(args), *others, coin]
    chosen = [codec for codec in codecs if args.codecs is None or codec.name in args.codecs]
    return [codec for codec in chosen if count == min(args.count) or not is_slow(codec)]


def is_slow(codec: Codec) -> bool:
    refined_for_long = EFFORTS.get(codec.name, 0) > SHORT_EFFORT
    return refined_for_long or codec.name in ("avif-speed-0", "coin") or codec.name.endswith(("-intra", "-film"))


def seconds_of(codec: Codec, count: int, every: int) -> float:
    """Estimate the processor seconds of a setting on an idle core."""
    stored = min(count, codec.most_pictures or count)
    each = SECONDS.get(codec.name, 0.5) if not isinstance(codec, Coin) else COIN_STEP_SECONDS * codec.steps
    looked_at = -(-stored // every) if stored == count else stored
    return START_SECONDS + stored * each + METRIC_SECONDS * looked_at


class Clock:
    """Estimates the remaining time from the time that the work so far took relative to its estimate."""

    def __init__(self, total: float) -> None:
        self.total, self.done, self.started = total, 0.0, time.monotonic()

    def left(self, seconds: float) -> str:
        """Return the remaining seconds, once work estimated at ``seconds`` is done."""
        self.done += seconds
        return f"about {(self.total - self.done) * (time.monotonic() - self.started) / self.done / 60:.0f} minutes left"


def slowness() -> float:
    """Return how much longer work takes now than on an idle core: other programs may be running."""
    pixels = np.asarray(Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 100).convert("RGB"))
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(3):
        Avif().encode_picture(pixels, 30)
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - processor))


Todo = list[tuple[Codec, str]]


def measure_all(args: argparse.Namespace, results: Results) -> None:
    """Measure what is missing, one set and count after another."""
    waiting: dict[tuple[Path, int], Todo] = {}
    for folder, count in ((folder, count) for folder in args.data for count in args.count):
        run, codecs = results.run_of(folder.name, count), codecs_for(args, count)
        todo = [(codec, setting) for codec in codecs for setting in codec.settings if not run.has(codec.name, setting)]
        waiting[folder, count] = todo
    seconds = [seconds_of(c, count, args.metrics_every) for (_, count), todo in waiting.items() for c, _ in todo]
    print(f"{len(seconds)} points to measure: about {sum(seconds) * slowness() / 60:.0f} minutes", flush=True)
    clock = Clock(sum(seconds))
    for (folder, count), todo in waiting.items():
        if todo:
            measure_run(args, results, folder, results.run_of(folder.name, count), todo, clock)


def measure_run(args: argparse.Namespace, results: Results, folder: Path, run: Run, todo: Todo, clock: Clock) -> None:
    """Measure the points of one set and count. The results are written after each point."""
    with tempfile.TemporaryDirectory(prefix="unicorn-dial-") as name:
        work = Path(name)
        pictures = PictureSet.open(folder, ReadOptions()).copy_sample(work / "originals", run.count, args.seed)
        if len(pictures) != run.count:
            sys.exit(f"{folder} holds {len(pictures)} pictures, not {run.count}")
        run.pixels = pictures.pixels
        codecs = {codec.name: codec for codec, _ in todo}
        runnable, run.skipped = split_runnable(codecs.values(), pictures, lambda line: print(line, flush=True))
        names = {codec.name for codec in runnable}
        with measuring(pictures, work / "decoded", features=args.features, every=args.metrics_every) as measure:
            for codec, setting in todo:
                if codec.name in names:
                    line = measure_one(measure, codec, setting, run, args.files or work / "files")
                    results.write()
                    print(f"{run.name} {run.count}: {line}", end=", ")
                print(clock.left(seconds_of(codec, run.count, args.metrics_every)), flush=True)
                shutil.rmtree(work / "files", ignore_errors=True)


def measure_one(measure: Measuring, codec: Codec, setting: str, run: Run, output: Path) -> str:
    """Measure a point and return a line about it."""
    try:
        files = Path(run.name, str(run.count), codec.name, setting.replace(" ", "-"))
        run.points.append(measure.run(codec, setting, output, files))
        return point_line(run.points[-1])
    except UnicornError as error:
        run.skipped.append(f"{codec.title}, {setting}: skipped, {error}")
        return run.skipped[-1]


def report(results: Results, output: Path, *, plots: bool) -> None:
    """Write ``dial.md`` and, if wanted, the plots."""
    parts = ["# This codec and its rivals from 0.03 to 1.5 bits per pixel"]
    for run in results.runs:
        if not run.points:
            continue
        order = list(dict.fromkeys((OWN_NAME, *(p.codec for p in run.points))))
        points = sorted(run.points, key=lambda point: (order.index(point.codec), point.bytes))
        parts += [
            f"## {run.name}, {run.count:,} pictures",
            verdict(points),
            *equal_bytes_parts(points),
            *(plot_parts(run, points, output) if plots else ()),
            *bd_parts(points),
            point_table(points),
            *notes(points),
            "\n".join(f"- {line}" for line in run.skipped),
        ]
    origin = results.origin
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    parts += [f"`{origin['command']}`", f"{origin['date']}, {origin['device']}, {origin['cores']} cores; {versions}."]
    (output / "dial.md").write_text("\n\n".join(part for part in parts if part) + "\n")


def equal_bytes_parts(points: Sequence[Point]) -> list[str]:
    """Return the comparison at equal bytes with a sentence about it; nothing if no file can be compared."""
    if not any(at_equal_bytes(points, rate, BAR_RIVALS) for rate in BAR_RATES):
        return []
    return [
        "Comparison with the smallest files of AVIF and half-size AVIF that are no smaller (better means: in "
        f"MS-SSIM and SSIMULACRA2, and at most {HANDICAP_DB:g} dB worse in PSNR):",
        equal_bytes_table(points, BAR_RATES, BAR_RIVALS),
    ]


def plot_parts(run: Run, points: Sequence[Point], output: Path) -> list[str]:
    """Draw the plots and return links to two of them."""
    stem = f"dial-{run.name}-{run.count}"
    draw_plots([point for point in points if point.codec in PLOTTED], output, stem)
    draw_plots(points, output, f"{stem}-all")
    return [f"![{run.name}, {run.count} pictures]({stem}-{name}.png)" for name in ("ssimulacra2", "psnr_db")]


def bd_parts(points: Sequence[Point]) -> list[str]:
    """Return BD-rates with a sentence about them; nothing if no anchor ran."""
    anchor = anchor_of(points)
    return (
        [f"BD-rates against {titles_of(points)[anchor]}. {BD_TEXT} {minimised_text()}", bd_table(points)]
        if anchor
        else []
    )


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures")
    parser.add_argument(
        "--count", type=int, nargs="+", default=[200, 1000], help="numbers of pictures to draw from each folder"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--codecs", nargs="+", metavar="NAME", help="measure only these codecs")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME", help="codecs to measure again")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=RATES, help="target rates of this codec in bits per pixel"
    )
    parser.add_argument(
        "--steps", type=float, nargs="*", default=STEPS, help="quantisation steps of this codec, for higher rates"
    )
    parser.add_argument("--points", type=int, metavar="N", help="largest number of settings of each rival")
    parser.add_argument("--metrics-every", type=int, default=5, metavar="K")
    parser.add_argument("--features", type=Path, help="SqueezeNet 1.1 features, for the perceptual distance")
    parser.add_argument("--coin-pictures", type=int, default=4)
    parser.add_argument("--coin-steps", type=int, default=1000)
    parser.add_argument("--files", type=Path, help="folder for all written files")
    parser.add_argument("--plots", action=argparse.BooleanOptionalAction, default=True, help="draw plots, or none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_arguments(sys.argv[1:])
    check_packages(args.features)
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {
        "seed": args.seed,
        "metrics_every": args.metrics_every,
        "perceptual_distance": args.features is not None,
        "coin": [args.coin_pictures, args.coin_steps],
    }
    command = shlex.join(["python", *sys.argv])
    results = Results(args.out / "dial.json", provenance(command, args.seed, args.device), settings, args.again)
    measure_all(args, results)
    report(results, args.out, plots=args.plots)
    for run in results.runs:
        print(f"{run.name}, {run.count} pictures: {verdict(run.points)}")


if __name__ == "__main__":
    main()
