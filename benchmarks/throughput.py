"""Pictures a second that a ``DataLoader`` delivers: from archives, WebDataset and a folder of JPEG files.

    python benchmarks/throughput.py --data FOLDER --count 200 --output throughput.md

The first JPEG files of the folder, all of one size, are packed without refinement, packed with ``--exact``, and written
into tar shards. Each source then delivers uint8 tensors in batches, without other work on them. The folder is read file
by file with Pillow, as ``ImageFolder`` of torchvision does. Every process has one thread. Sources take turns; the
fastest epoch of each counts.
"""

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import webdataset
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from unicorn_codec import __version__
from unicorn_codec.torch import PictureDataset, pixels_of

BATCH, SHARDS = 32, 4
WORKERS = (0, 2)


class JpegFolder(Dataset[Any]):
    """The JPEG files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, position: int) -> torch.Tensor:
        with Image.open(self._paths[position]) as image:
            return pixels_of(image.convert("RGB"))


def decode_jpeg(data: bytes) -> torch.Tensor:
    """Decode a JPEG file of a shard."""
    return pixels_of(Image.open(io.BytesIO(data)).convert("RGB"))


@dataclass(frozen=True, slots=True)
class Source:
    """A source of pictures: its name, its bytes on disk, and a function that makes its loader for some workers."""

    name: str
    bytes: int
    loader: Callable[[int], Iterable[Any]]


def unicorn(*arguments: object) -> None:
    """Run a command of the command line."""
    command = [sys.executable, "-m", "unicorn_cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bytes_below(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())


def sources(folder: Path, work: Path) -> list[Source]:
    """Write all sources of a folder's pictures."""
    codes, exact, shards = work / "codes.uni", work / "exact.uni", work / "shards"
    unicorn("pack", folder, codes, "--effort", 0, "--learn", "off", "--no-sequences", "--device", "cpu")
    unicorn("pack", folder, exact, "--exact", "--device", "cpu")
    shards.mkdir()
    files = sorted(folder.iterdir())
    for number in range(SHARDS):
        with webdataset.TarWriter(str(shards / f"{number}.tar")) as tar:
            for file in files[number::SHARDS]:
                tar.write({"__key__": file.stem, "jpg": file.read_bytes()})

    def of_dataset(dataset: Dataset[Any]) -> Callable[[int], Iterable[Any]]:
        return lambda workers: DataLoader(dataset, batch_size=BATCH, num_workers=workers)

    def of_shards(workers: int) -> Iterable[Any]:
        urls = [str(path) for path in sorted(shards.iterdir())]
        pipeline = webdataset.WebDataset(urls, shardshuffle=False).map_dict(jpg=decode_jpeg).to_tuple("jpg")
        return DataLoader(pipeline, batch_size=BATCH, num_workers=workers)

    together = PictureDataset(codes, batch_decode=True, device="cpu")
    return [
        Source("folder of JPEG files", bytes_below(folder), of_dataset(JpegFolder(folder))),
        Source("WebDataset of JPEG files", bytes_below(shards), of_shards),
        Source("archive, `--exact`", bytes_below(exact), of_dataset(PictureDataset(exact))),
        Source("archive", bytes_below(codes), of_dataset(PictureDataset(codes))),
        Source("archive, `batch_decode`", bytes_below(codes), of_dataset(together)),
    ]


def seconds_of_epoch(source: Source, workers: int, count: int) -> float:
    """Return the seconds of a second epoch, once all is loaded and workers have started."""
    loader = source.loader(workers)
    if workers:
        loader = DataLoader(
            loader.dataset,  # type: ignore[attr-defined]
            batch_size=BATCH,
            num_workers=workers,
            persistent_workers=True,
            multiprocessing_context="spawn",  # threads of the decoder of exact pictures do not survive a fork
        )
    for _ in range(2):
        started = time.monotonic()
        delivered = sum(len(batch[0] if isinstance(batch, (tuple, list)) else batch) for batch in loader)
        seconds = time.monotonic() - started
        assert delivered == count, f"{source.name}: {delivered} pictures of {count}"
    return seconds


def table(found: list[Source], best: dict[tuple[str, int], float], count: int, size: tuple[int, int]) -> str:
    """Return the page of results."""
    head = (
        f"{count} JPEG files of {size[0]}x{size[1]}, batches of {BATCH}, uint8 tensors, one thread a process; "
        f"{os.cpu_count()} cores of {platform.machine()}, PyTorch {torch.__version__}, unicorn-codec {__version__}. "
        "Pictures a second:"
    )
    columns = " | ".join(f"{workers} workers" for workers in WORKERS)
    lines = [
        "# Throughput of sources of training pictures",
        "",
        head,
        "",
        f"| source | bytes a picture | {columns} |",
        "|---|---|" + "---|" * len(WORKERS),
    ]
    for source in found:
        rates = " | ".join(f"{count / best[source.name, workers]:.1f}" for workers in WORKERS)
        lines.append(f"| {source.name} | {source.bytes / count:,.0f} | {rates} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as in the workers of a DataLoader
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        folder.mkdir()
        for path in sorted(arguments.data.glob("*.jpg"))[: arguments.count]:
            shutil.copy(path, folder)
        count = len(list(folder.iterdir()))
        size = Image.open(next(folder.iterdir())).size
        found = sources(folder, Path(name))
        best: dict[tuple[str, int], float] = {}
        for _ in range(arguments.repeats):
            for workers in WORKERS:
                for source in found:
                    seconds = seconds_of_epoch(source, workers, count)
                    best[source.name, workers] = min(seconds, best.get((source.name, workers), seconds))
                    print(f"{source.name}, {workers} workers: {count / seconds:.1f} a second", flush=True)
    text = table(found, best, count, size)
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
