"""How fast archives open and decode, and what packing takes in memory.

    python benchmarks/speed.py --data cats-1000

Every figure is of a file really written from the first pictures of the folder; commands are timed as whole
processes, cold (median of five), decoding through the API, warm (best of three).
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
from collections.abc import Callable
from pathlib import Path

import torch

from unicorn_codec.archive import Archive, pack
from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.config import PackOptions, TrainConfig

COMMAND = [sys.executable, "-m", "unicorn_cli"]


def cold(*arguments: str) -> float:
    """Seconds of a command as a new process, median of five."""
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


def warm(work: Callable[[], object]) -> float:
    """Seconds of a call, best of three after one that does not count."""
    work()
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def take(data: Path, work: Path, count: int) -> Path:
    """A folder of the first pictures."""
    folder = work / f"{count} pictures"
    folder.mkdir()
    for path in sorted(data.glob("*.jpg"))[:count]:
        shutil.copy(path, folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures of 256x256")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "speed.json")
    args = parser.parse_args()
    found: dict[str, float | str | int | None] = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }

    def tell(what: str, value: float) -> None:
        found[what] = round(value, 4)
        print(f"{what}: {value:.4g}", flush=True)

    autoencoder = EmbeddedAutoencoder(torch.device("cpu"))
    latents = torch.randn(1, 64, 16, 16) * 3
    tell("autoencoder_decode_ms", 1000 * warm(lambda: autoencoder.decode_pictures(latents, 256, 256, 2.0)))
    network = autoencoder.network.to(torch.bfloat16)
    step = torch.tensor([2.0])
    with torch.inference_mode():
        tell("autoencoder_decode_bfloat16_ms", 1000 * warm(lambda: network.decode(latents.bfloat16(), step)))

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        few, many = take(args.data, work, 32), take(args.data, work, args.pictures)
        options = PackOptions(index_only=True, hidden_size=144, depth=12, steps=4, train=TrainConfig(epochs=1))
        pack(few, work / "network.uni", options)
        with Archive.open(work / "network.uni") as archive:
            tell("network_h144_d12_4_steps_pictures_per_s", 32 / warm(lambda: archive.decode(range(32))))
        one = ("--index", "3", "-o", f"{work}/one.png", "--overwrite")
        tell("unpack_one_from_network_cold_s", cold("unpack", f"{work}/network.uni", *one))
        report = pack(many, work / "codes.uni", PackOptions())
        tell("pack_codes_s", report.seconds)
        tell("pack_codes_pictures", report.images)
        tell("peak_memory_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        tell("inspect_cold_s", cold("inspect", f"{work}/codes.uni"))
        tell("unpack_one_code_cold_s", cold("unpack", f"{work}/codes.uni", *one))
        started = time.monotonic()
        everything = ["unpack", f"{work}/codes.uni", "--all", "-o", f"{work}/all"]
        subprocess.run([*COMMAND, *everything], check=True, capture_output=True)
        tell("unpack_all_codes_s", time.monotonic() - started)
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
