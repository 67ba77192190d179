"""Speed of opening and decoding archives, its breakdown, and the memory of packing.

    python benchmarks/speed.py --data cats-1000
    python benchmarks/speed.py --data cats-1000 --large
    python benchmarks/speed.py --data cats-1000 --shares --pictures 64

All figures are measured on archives written from the first pictures of the folder. Commands are timed as whole
processes, cold (median of five), decoding through the API, warm (best of three). ``--large`` packs and unpacks one
picture of 12 megapixels, a mosaic of the folder's pictures, and prints its memory. ``--shares`` runs the parts of
packing and unpacking one after the other and prints the processor time of each.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.code_writer import encode_latents
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

COMMAND = [sys.executable, "-m", "unicorn_cli"]


def cold(*arguments: str) -> float:
    """Return the seconds that a command takes as a new process, median of five."""
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


def warm(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes, best of three after a warm-up."""
    work()
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def take(data: Path, work: Path, count: int) -> Path:
    """Return a folder of the first pictures."""
    folder = work / f"{count} pictures"
    folder.mkdir()
    for path in sorted(data.glob("*.jpg"))[:count]:
        shutil.copy(path, folder)
    return folder


def peak_megabytes(*arguments: str) -> float:
    """Return the peak memory of a command as a new process."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{arguments} failed"
    return usage.ru_maxrss / 1000


def mosaic(data: Path, width: int, height: int) -> np.ndarray:
    """Return a large picture (height, width, 3), a mosaic of a folder's pictures."""
    folder = list_folder(data, ReadOptions())
    side = folder.pictures[0].width
    columns = -(-width // side)
    tiles = [
        read_picture(folder, picture, ReadOptions()) for picture in folder.pictures[: columns * -(-height // side)]
    ]
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows)[:height, :width]


def measure_large(data: Path, work: Path, record: Callable[[str, float], None]) -> None:
    """Measure the peak memory of packing and unpacking one picture of 12 megapixels."""
    folder = work / "large"
    folder.mkdir()
    write_picture(mosaic(data, 4000, 3000), folder / "large.png")
    packed = ("pack", str(folder), f"{work}/large.uni", "--max-side", "0", "--bpp", "0.2")
    record("pack_12_megapixels_peak_mb", peak_megabytes(*packed))
    record("unpack_12_megapixels_peak_mb", peak_megabytes("unpack", f"{work}/large.uni", "--all", "-o", f"{work}/out"))


class Stopwatch:
    """Processor seconds of the parts of some work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[name] += time.process_time() - started

    def record(self, what: str, pictures: int, record: Callable[[str, float], None]) -> None:
        for name, seconds in self.seconds.items():
            record(f"{what}_{name}_ms_per_picture", 1000 * seconds / pictures)
            record(f"{what}_{name}_share", seconds / sum(self.seconds.values()))


def measure_shares(folder: Path, work: Path, record: Callable[[str, float], None]) -> None:
    """Measure the processor time of the parts of packing a folder at 0.1 bits per pixel, and of unpacking it."""
    report = pack(folder, work / "shares.uni", CodesOptions(target=Target(Goal.RATE, 0.1)))
    watch, model = Stopwatch(), load_context_model()
    autoencoder = PackagedAutoencoder(torch.device("cpu"))
    with watch.part("reading"):
        listed = list_folder(folder, ReadOptions())
    for batch in batches_by_size([(p.width, p.height) for p in listed.pictures]):
        with watch.part("reading"):
            pixels = [read_picture(listed, listed.pictures[place], ReadOptions()) for place in batch]
        with watch.part("autoencoder"):
            latents = autoencoder.encode_pictures(pixels, autoencoder.reference.downsampling)
        with watch.part("entropy_coding"):
            encode_latents(model, latents, report.latent_step)
    watch.record("pack", report.pictures, record)
    watch = Stopwatch()
    with Archive.open(work / "shares.uni") as archive:
        for batch in batches_by_size([archive.size(index) for index in range(len(archive))]):
            size = archive.size(batch[0])
            with watch.part("entropy_decoding"):
                make = archive.decoder(0).read(batch, *size)
            with watch.part("autoencoder"):
                decoded = list(make())
            with watch.part("writing"):
                for index, picture in zip(batch, decoded, strict=True):
                    write_picture(picture, work / f"{index}.png")
    watch.record("unpack", report.pictures, record)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures of 256x256")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "speed.json")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--large", action="store_true", help="measure only the memory of one large picture; write no file"
    )
    only.add_argument("--shares", action="store_true", help="measure only the breakdown of the time; write no file")
    args = parser.parse_args()
    found: dict[str, float | str | int | None] = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }

    def record(what: str, value: float) -> None:
        found[what] = round(value, 4)
        print(f"{what}: {value:.4g}", flush=True)

    if args.large or args.shares:
        with tempfile.TemporaryDirectory() as name:
            if args.large:
                measure_large(args.data, Path(name), record)
            else:
                measure_shares(take(args.data, Path(name), args.pictures), Path(name), record)
        return

    autoencoder = PackagedAutoencoder(torch.device("cpu"))
    latents = torch.randn(1, autoencoder.network.latent_channels, 16, 16) * 3
    record("autoencoder_decode_ms", 1000 * warm(lambda: autoencoder.decode_pictures(latents, 256, 256, 2.0)))
    network = autoencoder.network.to(torch.bfloat16)
    step = torch.tensor([2.0])
    with torch.inference_mode():
        record("autoencoder_decode_bfloat16_ms", 1000 * warm(lambda: network.decode(latents.bfloat16(), step)))

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        few, many = take(args.data, work, 32), take(args.data, work, args.pictures)
        options = NetworkOptions(hidden_size=144, depth=12, sampling_steps=4, train=TrainConfig(epochs=1))
        pack(few, work / "network.uni", options)
        with Archive.open(work / "network.uni") as archive:
            record("network_h144_d12_4_steps_pictures_per_s", 32 / warm(lambda: archive.decode(range(32))))
        one = ("--index", "3", "-o", f"{work}/one.png", "--overwrite")
        record("unpack_one_from_network_cold_s", cold("unpack", f"{work}/network.uni", *one))
        report = pack(many, work / "codes.uni", CodesOptions())
        record("pack_codes_s", report.seconds)
        record("pack_codes_pictures", report.pictures)
        record("peak_memory_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        record("inspect_cold_s", cold("inspect", f"{work}/codes.uni"))
        record("unpack_one_code_cold_s", cold("unpack", f"{work}/codes.uni", *one))
        started = time.monotonic()
        everything = ["unpack", f"{work}/codes.uni", "--all", "-o", f"{work}/all"]
        subprocess.run([*COMMAND, *everything], check=True, capture_output=True)
        record("unpack_all_codes_s", time.monotonic() - started)
        measure_shares(many, work, record)
        measure_large(args.data, work, record)
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
