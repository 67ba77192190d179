"""Run this codec and its rivals on a folder, from files really written, and write down what came of it.

bench: PictureSet > run_trial, one process a codec and setting > measure_position > Point > bench.json, table, plots
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from unicorn_codec.bench.own_codec import OWN_NAME, autoencoder_bytes
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import draw_plots
from unicorn_codec.bench.qualities import Values, check_packages, mean_values, measure_position
from unicorn_codec.bench.report import Point, markdown, verdict
from unicorn_codec.bench.rivals import Codec, picture_rivals
from unicorn_codec.bench.trial import read_decoded, run_trial
from unicorn_codec.bench.video_rivals import video_rivals
from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import InvalidSetting, OutputError, UnicornError
from unicorn_codec.metrics import bits_per_pixel

JSON_NAME = "bench.json"
TABLE_NAME = "table.md"
FILES_NAME = "files"
NAMED_PACKAGES = (
    *("unicorn-codec", "torch", "diffusers", "numpy", "pillow", "imagecodecs", "imageio-ffmpeg", "ssimulacra2"),
    *("lpips", "piq"),
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What a user may choose.

    Args:
        pictures: at most so many, drawn at random from the seed. None: all.
        features: SqueezeNet features for the perceptual distance.
        command: as it was typed, for the record.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    pictures: int | None = None
    seed: int = 0
    device: str = "auto"
    features: Path | None = None
    command: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """What was found: one sentence, and the points behind it, in the order they were run."""

    verdict: str
    points: tuple[Point, ...]
    skipped: tuple[str, ...]


def rivals(read: ReadOptions) -> list[Codec]:
    """Every codec that this one is compared with."""
    return [*picture_rivals(read), *video_rivals()]


def select_codecs(codecs: Sequence[Codec], names: Sequence[str]) -> list[Codec]:
    """Those with the given names, in their own order; all of them without any name.

    Raises:
        InvalidSetting: a name that no codec has.
    """
    known = [codec.name for codec in codecs]
    for name in names:
        if name not in known:
            raise InvalidSetting(f"there is no codec {name!r}; there are {', '.join(known)}")
    return [codec for codec in codecs if not names or codec.name in names]


def bench(
    folder: Path, output: Path, codecs: Sequence[Codec], options: BenchOptions, say: Say = lambda line: None
) -> BenchResult:
    """Compare codecs on a folder's pictures; write ``bench.json``, ``table.md``, plots and all coded files.

    Args:
        say: called with a line about each thing done or skipped.

    What cannot run, and a setting that fails, is skipped with a line that says why.

    Raises:
        UnicornError: the folder, the output or the packages will not do.
    """
    check_packages(options.features)
    _prepare(output, overwrite=options.overwrite)
    with tempfile.TemporaryDirectory(prefix="unicorn-bench-") as work:
        everything = PictureSet.open(folder, options.read)
        pictures = everything.copy_some(Path(work) / "originals", options.pictures, options.seed)
        runnable, skipped = _split(codecs, pictures, say)
        points: list[Point] = []
        decoded = Path(work) / "decoded"
        with _quality_of(pictures, decoded, options.features) as quality:
            for codec, setting in [(each, setting) for each in runnable for setting in each.settings]:
                try:
                    points.append(_run(codec, setting, pictures, output, decoded, quality))
                    say(_line(points[-1]))
                except UnicornError as error:
                    skipped.append(f"{codec.title}, {setting}: skipped, {error}")
                    say(skipped[-1])
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


def _split(codecs: Iterable[Codec], pictures: PictureSet, say: Say) -> tuple[list[Codec], list[str]]:
    """Codecs that can run, and a line about each that cannot."""
    runnable, skipped = [], []
    for codec in codecs:
        if reason := codec.missing(pictures.sizes):
            skipped.append(f"{codec.title}: skipped, {reason}")
            say(skipped[-1])
        else:
            runnable.append(codec)
    return runnable, skipped


def _run(
    codec: Codec, setting: str, pictures: PictureSet, output: Path, decoded: Path, quality: Callable[[], Values]
) -> Point:
    """Run one codec at one setting; its files stay in the output folder, so that anybody can count them again."""
    files = Path(FILES_NAME, codec.name, str(list(codec.settings).index(setting) + 1))
    cost = run_trial(codec, setting, pictures, output / files, decoded)
    whole = cost.bytes + autoencoder_bytes(output / files) if codec.name == OWN_NAME else None
    return Point(
        codec=codec.name,
        title=codec.title,
        setting=setting,
        files=files.as_posix(),
        bytes=cost.bytes,
        bits_per_pixel=bits_per_pixel(cost.bytes, pictures.pixels),
        bits_per_pixel_with_autoencoder=None if whole is None else bits_per_pixel(whole, pictures.pixels),
        metrics=quality(),
        pack_s=cost.pack_s,
        unpack_s=cost.unpack_s,
        peak_mb=cost.peak_mb,
    )


@contextmanager
def _quality_of(pictures: PictureSet, decoded: Path, features: Path | None) -> Iterator[Callable[[], Values]]:
    """A function that measures what the last trial decoded; the same pixels, decoded again, are not measured again."""
    known: dict[str, Values] = {}
    positions = range(len(pictures))
    measure = partial(measure_position, pictures, decoded, features)
    with ProcessPoolExecutor(min(len(pictures), os.cpu_count() or 1), get_context("spawn")) as pool:

        def quality() -> Values:
            digest = hashlib.sha256()
            for position in positions:
                digest.update(read_decoded(decoded, position).tobytes())
            if digest.hexdigest() not in known:
                known[digest.hexdigest()] = mean_values(list(pool.map(measure, positions)))
            return known[digest.hexdigest()]

        yield quality


def _line(point: Point) -> str:
    return f"{point.title}, {point.setting}: {point.bytes:,} bytes, {point.bits_per_pixel:.4f} bits per pixel"


def _write(
    output: Path, result: BenchResult, everything: PictureSet, pictures: PictureSet, options: BenchOptions
) -> None:
    origin = {
        "command": options.command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": options.seed,
        "device": _device_name(options.device),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    measured = {"pictures": len(pictures), "of_pictures": len(everything), "pixels": pictures.pixels}
    text = markdown(result.verdict, result.points, result.skipped, origin | measured)
    values = {
        "verdict": result.verdict,
        **origin,
        **measured,
        "skipped": list(result.skipped),
        "points": [_finite(asdict(point)) for point in result.points],
    }
    try:
        (output / TABLE_NAME).write_text(text, encoding="utf-8")
        draw_plots(result.points, output)
        json_text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        (output / JSON_NAME).write_text(json_text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error


def _finite(value: Any) -> Any:
    """The PSNR of a lossless codec is null in JSON, which knows no infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _device_name(device: str) -> str:
    if choose_device(device).type == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> dict[str, str]:
    found = {}
    for name in NAMED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
