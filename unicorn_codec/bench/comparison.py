"""A benchmark of this codec and others on a folder, measured on the files that they write.

bench: PictureSet > run_trial, one process per codec and setting > measure_position > Point > bench.json, table, plots
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unicorn_codec.bench.measuring import measuring, point_values
from unicorn_codec.bench.network_rivals import network_rivals
from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import draw_plots
from unicorn_codec.bench.provenance import provenance
from unicorn_codec.bench.quality_metrics import check_packages
from unicorn_codec.bench.report import Point, markdown, verdict
from unicorn_codec.bench.rivals import Codec, picture_rivals
from unicorn_codec.bench.video_rivals import video_rivals
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import InvalidSetting, OutputError, UnicornError

JSON_NAME = "bench.json"
TABLE_NAME = "table.md"
FILES_NAME = "files"

DEFAULT_CODECS = (
    *(OWN_NAME, "jpeg", "webp", "avif", "avif-half", "jpeg-xl", "jpeg-2000", "hevc-intra", "svt-av1-film"),
    *("latents-zstd", "zip"),
)
"""Codecs of a benchmark by default, chosen to finish 50 small pictures within ten minutes on two cores."""
EVERY_CODEC = "all"

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of a benchmark.

    Args:
        pictures: largest number of pictures, drawn at random from the seed. None: all.
        points: largest number of settings of each rival. None: all.
        metrics_every: measure the quality of every n-th picture. The rate is always that of all.
        features: file of SqueezeNet features for the perceptual distance.
        command: the command line as typed, for the record.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    pictures: int | None = None
    seed: int = 0
    device: str = "auto"
    points: int | None = None
    metrics_every: int = 1
    features: Path | None = None
    command: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Result of a benchmark: a verdict of one sentence, and the points behind it in the order they were run."""

    verdict: str
    points: tuple[Point, ...]
    skipped: tuple[str, ...]


def rivals(read: ReadOptions, seed: int) -> list[Codec]:
    """Return every codec to compare with."""
    return [*picture_rivals(read), *video_rivals(), *network_rivals(seed)]


def select_codecs(codecs: Sequence[Codec], names: Sequence[str]) -> list[Codec]:
    """Return the codecs with the given names, in their own order: the default ones for no name, every one for ``all``.

    Raises:
        InvalidSetting: there is no codec with a name.
    """
    known = [codec.name for codec in codecs]
    for name in names:
        if name not in (*known, EVERY_CODEC):
            raise InvalidSetting(f"unknown codec {name!r}: choose from {', '.join(known)}, or {EVERY_CODEC}")
    chosen = known if EVERY_CODEC in names else names or DEFAULT_CODECS
    return [codec for codec in codecs if codec.name in chosen]


def bench(
    folder: Path, output: Path, codecs: Sequence[Codec], options: BenchOptions, notify: Notify = lambda line: None
) -> BenchResult:
    """Compare codecs on a folder's pictures, and write ``bench.json``, ``table.md``, plots and all coded files.

    Codecs that cannot run and settings that fail are skipped with a line that says why.

    Args:
        notify: called with one line for each point, and for each codec or setting that is skipped.

    Raises:
        UnicornError: the folder or the output cannot be used, or a package is missing.
    """
    check_packages(options.features)
    _prepare(output, overwrite=options.overwrite)
    with tempfile.TemporaryDirectory(prefix="unicorn-bench-") as work:
        all_pictures = PictureSet.open(folder, options.read)
        pictures = all_pictures.copy_sample(Path(work) / "originals", options.pictures, options.seed)
        runnable, skipped = split_runnable(codecs, pictures, notify)
        points: list[Point] = []
        decoded = Path(work) / "decoded"
        with measuring(pictures, decoded, features=options.features, every=options.metrics_every) as run:
            for codec in runnable:
                chosen = _with_few_settings(codec, options.points)
                started = time.monotonic()
                for setting in chosen.settings:
                    # Files stay in the output folder, so that anyone can count them again.
                    files = Path(FILES_NAME, codec.name, str(list(codec.settings).index(setting) + 1))
                    try:
                        points.append(run.run(chosen, setting, output, files))
                        notify(point_line(points[-1]))
                    except UnicornError as error:
                        skipped.append(f"{codec.title}, {setting}: skipped, {error}")
                        notify(skipped[-1])
                notify(f"{codec.title}: {time.monotonic() - started:.0f} s in total")
    result = BenchResult(verdict=verdict(points), points=tuple(points), skipped=tuple(skipped))
    _write(output, result, all_pictures, pictures, options)
    return result


def _prepare(output: Path, *, overwrite: bool) -> None:
    """Create the output folder, and remove only what an earlier benchmark wrote there."""
    if (output / JSON_NAME).exists() and not overwrite:
        raise OutputError(f"{output / JSON_NAME} exists already; --overwrite replaces it")
    try:
        output.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(output / FILES_NAME, ignore_errors=True)
        (output / FILES_NAME).mkdir()
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error


def split_runnable(codecs: Iterable[Codec], pictures: PictureSet, notify: Notify) -> tuple[list[Codec], list[str]]:
    """Return the codecs that can run, and one line about each that cannot."""
    runnable, skipped = [], []
    for codec in codecs:
        if reason := codec.missing(pictures.sizes):
            skipped.append(f"{codec.title}: skipped, {reason}")
            notify(skipped[-1])
        else:
            runnable.append(codec)
    return runnable, skipped


def _with_few_settings(codec: Codec, points: int | None) -> Codec:
    """Limit a rival to ``points`` settings. This codec keeps all of its own."""
    return codec if points is None or codec.name == OWN_NAME else codec.thinned(points)


def point_line(point: Point) -> str:
    """Describe a point in one line."""
    return (
        f"{point.title}, {point.setting}: {point.bytes:,} bytes, {point.bits_per_pixel:.4f} bits per pixel, "
        f"{point.pack_s + point.unpack_s:.1f} s"
    )


def _write(
    output: Path, result: BenchResult, all_pictures: PictureSet, pictures: PictureSet, options: BenchOptions
) -> None:
    origin = provenance(options.command, options.seed, options.device)
    measured = {"pictures": len(pictures), "of_pictures": len(all_pictures), "pixels": pictures.pixels}
    text = markdown(result.verdict, result.points, result.skipped, origin | measured)
    values = {
        "verdict": result.verdict,
        **origin,
        **measured,
        "skipped": list(result.skipped),
        "points": [point_values(point) for point in result.points],
    }
    try:
        (output / TABLE_NAME).write_text(text, encoding="utf-8")
        draw_plots(result.points, output)
        json_text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        (output / JSON_NAME).write_text(json_text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error
