"""Measure one codec at one setting on one set of pictures, picture by picture, with processor times.

Nothing is averaged here: tables and their noise are made from the values of single pictures.
"""

import os
import resource
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from unicorn_codec.bench.anchors import bare_bytes
from unicorn_codec.bench.judge import kernel_distance
from unicorn_codec.bench.own_codec import Unicorn
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.quality_metrics import PictureQuality, measure_pair
from unicorn_codec.bench.rivals import Codec, OneFileEach
from unicorn_codec.bench.trial import folder_bytes
from unicorn_codec.inspection import describe
from unicorn_codec.pictures.pixels import Pixels

METRICS = ("psnr_db", "ms_ssim", "ssimulacra2", "judge_distance")
"""Measured of every picture. KID is one value of all."""

DECIMALS = {"psnr_db": 3, "ms_ssim": 6, "ssimulacra2": 2, "judge_distance": 5, "bytes": 1, "bare_bytes": 0}

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Coded:
    """What a codec made of a set: its bytes picture by picture, and the decoded pictures.

    Args:
        bytes, bare_bytes: of every picture, with and without containers. Their sums are those of the real files.
    """

    bytes: list[float]
    bare_bytes: list[float]
    decoded: list[Pixels]
    encode_s: float
    decode_s: float


def begin_process() -> None:
    """Compute with one thread in each process: as many processes run as there are cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def measure_point(codec: Codec, setting: str, pictures: PictureSet, judged: Collection[str] | None = None) -> Values:
    """Encode and decode pictures, and return bytes, qualities and processor seconds.

    Args:
        judged: names of the pictures whose quality is measured, which takes longer than coding; None: all.

    Raises:
        UnicornError: the codec failed.
    """
    with tempfile.TemporaryDirectory(prefix="unicorn-results-") as name:
        coded = _code(codec, setting, pictures, Path(name))
        archive = _archive_values(Path(name)) if isinstance(codec, Unicorn) else {}
    names = [one.name for one in pictures.folder.pictures]
    rows = [
        measure_pair(original, decoded, None) if judged is None or name in judged else None
        for name, original, decoded in zip(names, pictures, coded.decoded, strict=True)
    ]
    columns: dict[str, Sequence[float | None]] = {
        metric: [None if row is None else row.values[metric] for row in rows] for metric in METRICS
    }
    columns |= {"bytes": coded.bytes, "bare_bytes": coded.bare_bytes}
    return {
        "codec": codec.name,
        "title": codec.title,
        "setting": setting,
        "pixels": [width * height for width, height in pictures.sizes],
        **{name: [_rounded(name, value) for value in values] for name, values in columns.items()},
        "kid": _kid([row for row in rows if row is not None]),
        "encode_s": round(coded.encode_s, 2),
        "decode_s": round(coded.decode_s, 2),
        **archive,
    }


def _rounded(name: str, value: float | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS[name])


def _kid(rows: Sequence[PictureQuality]) -> float | None:
    pairs = [(row.original_windows, row.decoded_windows) for row in rows]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(known) < len(rows) or sum(len(a) for a, _ in known) < 2:
        return None
    return round(kernel_distance([a for a, _ in known], [b for _, b in known]), 5)


def _code(codec: Codec, setting: str, pictures: PictureSet, files: Path) -> Coded:
    started = _processor_s()
    codec.encode(pictures, setting, files)
    encoded = _processor_s()
    decoded = list(codec.decode(files, pictures.sizes))
    decode_s = _processor_s() - encoded
    with_containers, bare = _bytes_of(codec, pictures, files)
    return Coded(with_containers, bare, decoded, encoded - started, decode_s)


def _processor_s() -> float:
    """Return the processor seconds of this process and of encoders that it ran."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _bytes_of(codec: Codec, pictures: PictureSet, files: Path) -> tuple[list[float], list[float]]:
    """Return the bytes of every picture. What a file holds for all pictures is shared out evenly."""
    if isinstance(codec, Unicorn):
        of_picture = list(_archive_bytes(pictures, files / Unicorn.file_name))
        return of_picture, of_picture
    if isinstance(codec, OneFileEach):
        paths = [files / f"{position:06d}{codec.suffix}" for position in range(len(pictures))]
        return [float(path.stat().st_size) for path in paths], [float(bare_bytes(path)) for path in paths]
    shared = [folder_bytes(files) / len(pictures)] * len(pictures)
    return shared, shared


def _archive_bytes(pictures: PictureSet, archive: Path) -> Iterator[float]:
    """Yield the bytes of every picture's record and its share of everything else in the file."""
    description = describe(archive, entries=True)
    records = {entry["name"]: entry["record_bytes"] for entry in description["entries"]}
    rest = description["file_bytes"] - sum(records.values())
    for picture in pictures.folder.pictures:
        yield records[picture.name] + rest / len(records)


def _archive_values(files: Path) -> Values:
    description = describe(files / Unicorn.file_name)
    parts = {part["part"]: part["pictures"] for part in description["parts"] if part["pictures"]}
    weights = sum(part["bytes"] for part in description["parts"] if part["part"] == "weights")
    return {
        "file_bytes": description["file_bytes"],
        "update_bytes": weights,
        "stored_as": parts,
        "model": description["autoencoder"]["name"],
    }
