"""A trial: one codec at one setting, run in a process of its own so that its memory can be measured.

Does not import torch. Unpickling an instance of this project's codec does.
"""

import multiprocessing
import resource
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Codec
from unicorn_codec.concurrency import end_with_parent
from unicorn_codec.errors import RivalFailed
from unicorn_codec.pictures.pixels import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of storing a set of pictures.

    Args:
        bytes: of the files on disk.
        pack_s, unpack_s: seconds from picture files to stored files, and from stored files to pixels in memory.
        peak_mb: peak resident memory of the process, or of an encoder that it ran, interpreter included, in 10^6 bytes.
            GPU memory does not count.
    """

    bytes: int
    pack_s: float
    unpack_s: float
    peak_mb: float


def run_trial(codec: Codec, setting: str, pictures: PictureSet, files: Path, decoded: Path) -> Cost:
    """Encode pictures into the folder ``files`` and decode them into the folder ``decoded``. Both are emptied before.

    Raises:
        UnicornError: the codec failed.
    """
    for folder in (files, decoded):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, end_with_parent) as pool:
        try:
            return pool.submit(_measure, codec, setting, pictures, files, decoded).result()
        except BrokenProcessPool as error:
            raise RivalFailed("its process was killed, perhaps for lack of memory") from error


def read_decoded(decoded: Path, position: int) -> Pixels:
    """Read a picture that a trial decoded."""
    pixels: Pixels = np.load(_decoded_path(decoded, position), allow_pickle=False)
    return pixels


def folder_bytes(folder: Path) -> int:
    """Return the total size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _measure(codec: Codec, setting: str, pictures: PictureSet, files: Path, decoded: Path) -> Cost:
    started = time.perf_counter()
    codec.encode(pictures, setting, files)
    pack_s = time.perf_counter() - started

    unpack_s, count = 0.0, 0
    started = time.perf_counter()
    for position, pixels in enumerate(codec.decode(files, pictures.sizes)):
        unpack_s += time.perf_counter() - started
        width, height = pictures.sizes[position]
        assert pixels.shape == (height, width, 3), f"{codec.name}: {pixels.shape} instead of {height}x{width}"
        np.save(_decoded_path(decoded, position), pixels)
        count = position + 1
        started = time.perf_counter()
    assert count == len(pictures), f"{codec.name}: {count} pictures of {len(pictures)} came back"
    return Cost(bytes=folder_bytes(files), pack_s=pack_s, unpack_s=unpack_s, peak_mb=_peak_mb())


def _decoded_path(decoded: Path, position: int) -> Path:
    return decoded / f"{position:06d}.npy"


def _peak_mb() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return max(_own_peak_bytes(), children) / 1e6


def _own_peak_bytes() -> int:
    """Return the peak resident memory since this program started.

    On Linux a child inherits ``ru_maxrss``, so a small program started by a large one would look large.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
