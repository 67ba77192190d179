"""Run this codec and its rivals on a folder, from files really written, and write down what came of it.

bench: PictureSet > run_trial, one process a codec and setting > measure_position > Point > bench.json, table, plots
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
"""What runs where nobody chooses: 50 small pictures are to be done within ten minutes on two cores."""
EVERY_CODEC = "all"

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What a user may choose.

    Args:
        pictures: at most so many, drawn at random from the seed. None: all.
        points: at most so many settings of each rival. None: all.
        metrics_every: one picture in so many is looked at; the rate is always that of all.
        features: SqueezeNet features for the perceptual distance.
        command: as it was typed, for the record.
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
    """What was found: one sentence, and the points behind it, in the order they were run."""

    verdict: str
    points: tuple[Point, ...]
    skipped: tuple[str, ...]


def rivals(read: ReadOptions, seed: int) -> list[Codec]:
    """Every codec that this one is compared with."""
    return [*picture_rivals(read), *video_rivals(), *network_rivals(seed)]


def select_codecs(codecs: Sequence[Codec], names: Sequence[str]) -> list[Codec]:
    """Those with the given names, in their own order; the usual ones without any name, every one for ``all``.

    Raises:
        InvalidSetting: a name that no codec has.
    """
    known = [codec.name for codec in codecs]
    for name in names:
        if name not in (*known, EVERY_CODEC):
            raise InvalidSetting(f"there is no codec {name!r}; there are {', '.join(known)}, and {EVERY_CODEC}")
    wanted = known if EVERY_CODEC in names else names or DEFAULT_CODECS
    return [codec for codec in codecs if codec.name in wanted]


def bench(
    folder: Path, output: Path, codecs: Sequence[Codec], options: BenchOptions, notify: Notify = lambda line: None
) -> BenchResult:
    """Compare codecs on a folder's pictures; write ``bench.json``, ``table.md``, plots and all coded files.

    Args:
        notify: called with a line about each thing done or skipped.

    What cannot run, and a setting that fails, is skipped with a line that says why.

    Raises:
        UnicornError: the folder, the output or the packages will not do.
    """
    check_packages(options.features)
    _prepare(output, overwrite=options.overwrite)
    with tempfile.TemporaryDirectory(prefix="unicorn-bench-") as work:
        everything = PictureSet.open(folder, options.read)
        pictures = everything.copy_sample(Path(work) / "originals", options.pictures, options.seed)
        runnable, skipped = split_runnable(codecs, pictures, notify)
        points: list[Point] = []
        decoded = Path(work) / "decoded"
        with measuring(pictures, decoded, features=options.features, every=options.metrics_every) as run:
            for codec in runnable:
                chosen = _with_few_settings(codec, options.points)
                started = time.monotonic()
                for setting in chosen.settings:
                    # Its files stay in the output folder, so that anybody can count them again.
                    files = Path(FILES_NAME, codec.name, str(list(codec.settings).index(setting) + 1))
                    try:
                        points.append(run.run(chosen, setting, output, files))
                        notify(point_line(points[-1]))
                    except UnicornError as error:
                        skipped.append(f"{codec.title}, {setting}: skipped, {error}")
                        notify(skipped[-1])
                notify(f"{codec.title}: {time.monotonic() - started:.0f} s in all")
    result = BenchResult(verdict=verdict(points), points=tuple(points), skipped=tuple(skipped))
    _write(output, result, everything, pictures, options)
    return result


def _prepare(output: Path, *, overwrite: bool) -> None:
    """Make the output folder; only what a benchmark wrote there before is removed."""
    if (output / JSON_NAME).exists() and not overwrite:
        raise OutputError(f"{output / JSON_NAME} exists already; --overwrite replaces it")
    try:
        output.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(output / FILES_NAME, ignore_errors=True)
        (output / FILES_NAME).mkdir()
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error


def split_runnable(codecs: Iterable[Codec], pictures: PictureSet, notify: Notify) -> tuple[list[Codec], list[str]]:
    """Codecs that can run, and a line about each that cannot."""
    runnable, skipped = [], []
    for codec in codecs:
        if reason := codec.missing(pictures.sizes):
            skipped.append(f"{codec.title}: skipped, {reason}")
            notify(skipped[-1])
        else:
            runnable.append(codec)
    return runnable, skipped


def _with_few_settings(codec: Codec, points: int | None) -> Codec:
    """A rival with at most so many settings; ours keeps all."""
    return codec if points is None or codec.name == OWN_NAME else codec.thinned(points)


def point_line(point: Point) -> str:
    """A point in a line, for whoever waits."""
    return (
        f"{point.title}, {point.setting}: {point.bytes:,} bytes, {point.bits_per_pixel:.4f} bits per pixel, "
        f"{point.pack_s + point.unpack_s:.1f} s"
    )


def _write(
    output: Path, result: BenchResult, everything: PictureSet, pictures: PictureSet, options: BenchOptions
) -> None:
    origin = provenance(options.command, options.seed, options.device)
    measured = {"pictures": len(pictures), "of_pictures": len(everything), "pixels": pictures.pixels}
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
