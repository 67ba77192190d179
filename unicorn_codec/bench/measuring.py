"""Measurement of codecs on one set of pictures, from the files that they write."""

import hashlib
import math
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from unicorn_codec.bench.own_codec import Unicorn, autoencoder_bytes
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.quality_metrics import MetricValues, measure_position, set_values
from unicorn_codec.bench.report import Point
from unicorn_codec.bench.rivals import Codec
from unicorn_codec.bench.trial import read_decoded, run_trial
from unicorn_codec.concurrency import end_with_parent
from unicorn_codec.pictures.metrics import bits_per_pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """Measures codecs on a set of pictures.

    Args:
        decoded: folder for decoded pictures, emptied for each codec.
        features: file of SqueezeNet features, for the perceptual distance.
        every: measure the quality of every n-th picture. The rate is always that of all.
        pool: processes that measure quality, one per core.
        known: metrics by the hash of decoded pixels. Codecs that differ only in their container are measured once.
    """

    pictures: PictureSet
    decoded: Path
    features: Path | None
    every: int
    pool: ProcessPoolExecutor
    known: dict[str, MetricValues] = field(default_factory=dict)

    def run(self, codec: Codec, setting: str, output: Path, files: Path) -> Point:
        """Run a codec at a setting.

        Args:
            output, files: its files are kept in the folder ``output / files``, which is emptied before.

        Raises:
            UnicornError: the codec failed.
        """
        pictures = self.pictures.evenly_spaced(codec.most_pictures)
        cost = run_trial(codec, setting, pictures, output / files, self.decoded)
        whole = cost.bytes + autoencoder_bytes(output / files) if isinstance(codec, Unicorn) else None
        # Of the few pictures that a slow codec stores, all are measured.
        positions = range(0, len(pictures), self.every if len(pictures) == len(self.pictures) else 1)
        return Point(
            codec=codec.name,
            title=codec.title,
            setting=setting,
            files=files.as_posix(),
            pictures=len(pictures),
            measured_pictures=len(positions),
            note=codec.note,
            bytes=cost.bytes,
            bits_per_pixel=bits_per_pixel(cost.bytes, pictures.pixels),
            bits_per_pixel_with_autoencoder=None if whole is None else bits_per_pixel(whole, pictures.pixels),
            metrics=self._quality(pictures, positions),
            pack_s=cost.pack_s,
            unpack_s=cost.unpack_s,
            peak_mb=cost.peak_mb,
        )

    def _quality(self, pictures: PictureSet, positions: range) -> MetricValues:
        digest = hashlib.sha256(str(len(pictures)).encode())
        for position in positions:
            digest.update(read_decoded(self.decoded, position).tobytes())
        if digest.hexdigest() not in self.known:
            measure = partial(measure_position, pictures, self.decoded, self.features)
            self.known[digest.hexdigest()] = set_values(list(self.pool.map(measure, positions)))
        return self.known[digest.hexdigest()]


@contextmanager
def measuring(pictures: PictureSet, decoded: Path, *, features: Path | None, every: int) -> Iterator[Measuring]:
    """Start the processes that measure quality, and end them with the context."""
    processes = min(len(pictures), os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin_process) as pool:
        yield Measuring(pictures=pictures, decoded=decoded, features=features, every=every, pool=pool)


def _begin_process() -> None:
    # Torch would start one thread per core in every process, which makes them three times as slow.
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # the main program may have imported it already
        sys.modules["torch"].set_num_threads(1)
    end_with_parent()


def point_values(point: Point) -> dict[str, Any]:
    """Convert a point for JSON, which has no infinity: the PSNR of a lossless codec becomes null."""
    finite = {name: value if value is None or math.isfinite(value) else None for name, value in point.metrics.items()}
    return asdict(point) | {"metrics": finite}


def point_from(values: Mapping[str, Any]) -> Point:
    """Convert a point from JSON. The inverse of ``point_values``."""
    metrics = dict(values["metrics"])
    if metrics["psnr_db"] is None:  # it is always measured, so null is infinity
        metrics["psnr_db"] = math.inf
    return Point(**{**values, "metrics": metrics})
