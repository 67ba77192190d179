"""Measure what README and docs publish, and write their tables from it: resumable, one JSON file a result.

    make results DATA=sets                 # or SIZE=medium, SIZE=full
    python -m benchmarks.figures --data sets --size small
    python -m benchmarks.figures --list --size full        # what it would measure, and about how long
    python -m benchmarks.figures --tables                  # write the tables again, measure nothing

This codec runs at the defaults of ``pack``: learning, AVIF where it codes better, default effort. It makes an archive
a quality.
Rivals code some of its pictures (``compared``) at settings that enclose its qualities. Every finished point is written
at once; the same command goes on where it stopped. Points of this codec are measured again when the package's models
change.
"""

import argparse
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures.plan import SCRIPT_RESULTS, SET_RESULTS, SIZES, ScriptResult, SetResult
from benchmarks.figures.points import Values, begin_process, measure_point
from benchmarks.figures.tables import FIGURES, write_pages
from unicorn_codec.bench.anchors import strong_rivals
from unicorn_codec.bench.judge import load_judge
from unicorn_codec.bench.own_codec import OWN_NAME, Unicorn
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.bench.quality_metrics import check_packages
from unicorn_codec.bench.rivals import Codec, Sizes
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.errors import UnicornError

SEED = 0

START_SECONDS, OWN_SECONDS, LEARNING_SECONDS = 5.0, 60.0, 200.0
SLOW_AVIF_SECONDS, VVC_SECONDS, RIVAL_SECONDS, METRIC_SECONDS = 30.0, 15.0, 4.0, 5.0
"""Estimated processor seconds a megapixel, to start and to learn. Learning is given up early where it does not pay."""

LEAST_LEARNED_BYTES, LEAST_LEARNED_RATE = 47_000, 0.1
"""Bytes of codes below which nothing is learned, and the usual bits per pixel."""


class Result:
    """The file of one result."""

    def __init__(self, path: Path, origin: Values) -> None:
        """Take over the points of an earlier run on the same pictures, except ours if they are of other models."""
        self.path, self.values = path, origin
        self.points: list[Values] = []
        if path.exists():
            kept = json.loads(path.read_text())
            same = all(kept[key] == origin[key] for key in ("set", "size", "packed", "compared"))
            renewed = kept["models_sha256"] != origin["models_sha256"]
            self.points = [p for p in kept["points"] if same and not (renewed and p["codec"] == OWN_NAME)]

    def has(self, codec: str, setting: str) -> bool:
        return any((point["codec"], point["setting"]) == (codec, setting) for point in self.points)

    def add(self, point: Values) -> None:
        """Add a point and write the file."""
        self.points.append(point | {"date": datetime.now(UTC).isoformat(timespec="seconds")})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        head = json.dumps(self.values, ensure_ascii=False)[:-1]
        lines = ",\n".join(json.dumps(point, ensure_ascii=False, allow_nan=False) for point in self.points)
        part.write_text(f'{head}, "points": [\n{lines}\n]}}\n')
        part.replace(self.path)


def own_codec(result: SetResult, device: str) -> Unicorn:
    """Return this codec at the defaults of ``pack``, at the qualities of a result."""
    settings = {
        f"quality {target:g}": CodesOptions(seed=SEED, device=device, target=Target(Goal.QUALITY, target))
        for target in result.targets
    }
    return Unicorn(settings=settings)


def missing_points(
    result: SetResult, found: Result, device: str, sizes: Sizes
) -> tuple[list[tuple[Codec, str]], list[tuple[Codec, str]]]:
    """Return this codec's and the rivals' points that are not measured yet."""
    rivals = [c for c in strong_rivals(result.qualities, result.slow_qualities) if not c.missing(sizes)]
    return tuple(  # type: ignore[return-value]
        [(c, setting) for c in codecs for setting in c.settings if not found.has(c.name, setting)]
        for codecs in ([own_codec(result, device)], rivals)
    )


def run_set(result: SetResult, args: argparse.Namespace, origin: Values) -> None:
    """Measure what is missing of one set."""
    with tempfile.TemporaryDirectory(prefix="unicorn-results-") as name:
        packed, compared = result.packed[args.size], result.compared[args.size]
        pictures = PictureSet.open(args.data / result.folder, ReadOptions()).copy_sample(
            Path(name) / "pictures", packed, SEED
        )
        some = pictures.evenly_spaced(compared)
        names = [[one.name for one in few.folder.pictures] for few in (pictures, some)]
        about = {
            "result": result.name,
            "set": result.folder,
            "size": args.size,
            "packed": names[0],
            "compared": names[1],
        }
        judged = None if result.judge_all else names[1]
        found = Result(args.out / f"{result.name}.json", about | origin)
        ours, theirs = missing_points(result, found, args.device, some.sizes)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.jobs, spawn, begin_process) as pool:
            for codec, setting in ours:
                with ProcessPoolExecutor(1, spawn) as alone:  # on all cores, as pack runs
                    keep(found, alone.submit(measure_point, codec, setting, pictures, judged))
            for future in as_completed([pool.submit(measure_point, c, setting, some) for c, setting in theirs]):
                keep(found, future)


def keep(found: Result, measured: Future[Values]) -> None:
    """Add a point to a result, and print a line about it, or about why there is none."""
    try:
        point = measured.result()
    except UnicornError as error:
        print(f"{found.values['result']}: skipped, {error}", flush=True)
        return
    found.add(point)
    rate = 8 * sum(point["bare_bytes"]) / sum(point["pixels"])
    print(
        f"{found.values['result']}: {point['title']}, {point['setting']}: {rate:.4f} bits per pixel, "
        f"{point['encode_s']:.1f} s of a processor to encode, {point['decode_s']:.1f} s to decode",
        flush=True,
    )


def run_script(result: ScriptResult, args: argparse.Namespace, origin: Values) -> None:
    """Run a script, unless it has run with these models."""
    if args.size not in result.arguments:
        return
    path = args.out / f"{result.name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if all(kept.get(key) == value for key, value in (("size", args.size), ("models_sha256", origin["models_sha256"]))):
        return
    command = result.arguments[args.size]
    print(f"{result.name}: {command}", flush=True)
    words = shlex.split(command.format(data=shlex.quote(str(args.data)), out=shlex.quote(str(args.out.parent))))
    subprocess.run([sys.executable, *words], check=True)
    values = {"result": result.name, "size": args.size} | origin | {"command": f"python {command}"}
    path.write_text(json.dumps(values, indent=1) + "\n")


def estimate(result: SetResult, size: str, pixels: float) -> float:
    """Estimate the processor minutes of a set.

    Args:
        pixels: of a picture, on average.
    """
    packed, compared = (count[size] * pixels / 1e6 for count in (result.packed, result.compared))
    seconds = len(result.targets) * (START_SECONDS + packed * (OWN_SECONDS + METRIC_SECONDS))
    if LEAST_LEARNED_RATE * packed * 1e6 / 8 > LEAST_LEARNED_BYTES:
        seconds += len(result.targets) * LEARNING_SECONDS
    for codec in strong_rivals(result.qualities, result.slow_qualities):
        each = {"avif-s0": SLOW_AVIF_SECONDS, "vvc-int": VVC_SECONDS}.get(codec.name[:7], RIVAL_SECONDS)
        seconds += len(codec.settings) * compared * (each + METRIC_SECONDS)
    return seconds / 60


def units(args: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Yield the name of every unit of a size, and about how many processor minutes it takes."""
    for result in SET_RESULTS:
        some = PictureSet.open(args.data / result.folder, ReadOptions())
        yield result.name, estimate(result, args.size, some.pixels / len(some))
    for script in SCRIPT_RESULTS:
        if args.size in script.minutes:
            yield script.name, script.minutes[args.size]


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks.figures", description=__doc__, formatter_class=formatter)
    parser.add_argument("--data", type=Path, help="folder of the sets (benchmarks/README.md says where they come from)")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these results")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder of the results")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that run rivals")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--list", action="store_true", help="print the units and their processor minutes, and stop")
    parser.add_argument("--tables", action="store_true", help="write the tables of README and docs, and stop")
    args = parser.parse_args(arguments)
    known = [result.name for result in (*SET_RESULTS, *SCRIPT_RESULTS)]
    if args.data is None and not args.tables:
        parser.error("--data is needed: the folder that holds the sets")
    if unknown := set(args.only or ()) - set(known):
        parser.error(f"no result {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or only list or write tables."""
    args = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    if args.list:
        for name, minutes in (listed := list(units(args))):
            print(f"{name}: {minutes:.0f} minutes of a processor")
        print(f"in all: {sum(minutes for _, minutes in listed):.0f} minutes of a processor")
        return
    if not args.tables:
        check_packages(None)
        load_judge()
        measure_all(args)
    if args.out == FIGURES:
        for page in write_pages():
            print(f"wrote {page}")


def measure_all(args: argparse.Namespace) -> None:
    """Measure every result that is asked for."""
    command = f"python -m benchmarks.figures --data DATA --size {args.size}"
    origin: dict[str, Any] = provenance(command, SEED, args.device) | {"models_sha256": package_models_sha256()}
    for result in SET_RESULTS:
        if args.only is None or result.name in args.only:
            run_set(result, args, origin)
    for script in SCRIPT_RESULTS:
        if args.only is None or script.name in args.only:
            run_script(script, args, origin)


if __name__ == "__main__":
    try:
        main()
    except UnicornError as error:
        sys.exit(str(error))
    except BrokenProcessPool:
        sys.exit("a process was killed, perhaps for lack of memory: run the same command again, with fewer --jobs")
