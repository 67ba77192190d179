"""Processor time of packing and unpacking, relative to another checkout and to AVIF by Pillow.

    python benchmarks/speed_ratios.py unpack --data cats-1000 --count 100 --against OTHER_CHECKOUT --work speed
    python benchmarks/speed_ratios.py pack --data cats-1000 --count 60 --effort 0 --against OTHER_CHECKOUT --work speed

Each measurement is a process of its own, start-up included, with as many threads as OMP_NUM_THREADS says. The ways take
turns; the median of the runs counts. Archives have 0.1 bits per pixel; AVIF files have speed 4 and the quality at which
they take about as many bytes. Unpacking writes PNG files, Pillow by its own settings.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

MODELS = ("photo-1", "light-1")
AVIF_QUALITY = 12

TO_AVIF = """
import sys
from pathlib import Path
from PIL import Image
for path in sorted(Path(sys.argv[1]).iterdir()):
    with Image.open(path) as picture:
        file = Path(sys.argv[2], path.stem + ".avif")
        picture.convert("RGB").save(file, quality=int(sys.argv[3]), speed=4, max_threads=1)
"""
FROM_AVIF = """
import sys
from pathlib import Path
from PIL import Image
for path in sorted(Path(sys.argv[1]).iterdir()):
    with Image.open(path) as picture:
        picture.save(Path(sys.argv[2], path.stem + ".png"))
"""
UNICORN = "import sys; from unicorn_cli.main import cli; cli(sys.argv[1:])"


def processor_seconds(program: str, *arguments: object, library: Path | None = None) -> float:
    """Run a program as a new process, with the library of a checkout, and return its processor time.

    Args:
        library: whose command line lies in ``cli``; None: the installed one.
    """
    environment = dict(os.environ)
    if library is not None:
        link = library / "unicorn_cli"
        if not link.exists():
            link.symlink_to("cli")
        environment["PYTHONPATH"] = str(library)
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    printed = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, printed
    return used.ru_utime + used.ru_stime


class Bench:
    """A folder of pictures, and what is written from it."""

    def __init__(self, data: Path, count: int, against: Path | None, work: Path) -> None:
        self.against, self.work, self.pictures, self.avif = against, work, work / f"{count} pictures", work / "avif"
        for folder in (self.pictures, self.avif, work / "png"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for path in sorted(data.iterdir())[:count]:
            shutil.copy(path, self.pictures)

    def to_avif(self) -> float:
        """Write AVIF files of all pictures."""
        return processor_seconds(TO_AVIF, self.pictures, self.avif, AVIF_QUALITY)

    def from_avif(self) -> float:
        """Write PNG files of the AVIF files."""
        return processor_seconds(FROM_AVIF, self.avif, self.work / "png")

    def pack(self, model: str, *options: object, library: Path | None = None) -> float:
        """Pack the pictures."""
        fixed = ("--autoencoder", model, "--bpp", 0.1, "--device", "cpu", "--overwrite")
        return processor_seconds(
            UNICORN, "pack", self.pictures, self.archive(model, library), *fixed, *options, library=library
        )

    def unpack(self, model: str, *options: object, library: Path | None = None) -> float:
        """Unpack an archive that this checkout has packed."""
        fixed = ("--all", "-o", self.work / "png", "--device", "cpu", "--overwrite")
        return processor_seconds(UNICORN, "unpack", self.archive(model), *fixed, *options, library=library)

    def archive(self, model: str, library: Path | None = None) -> Path:
        """Return the path of an archive."""
        return self.work / f"{model}{'-before' if library else ''}.uni"


def measure_unpacking(bench: Bench, runs: int) -> dict[str, list[float]]:
    """Return the processor seconds of each way of unpacking."""
    bench.to_avif()
    seconds: dict[str, list[float]] = {}
    for model in MODELS:
        bench.pack(model, "--effort", 0, "--learn", "off", "--measure", "none")
    for _ in range(runs):
        seconds.setdefault("Pillow, from AVIF", []).append(bench.from_avif())
        for model in MODELS:
            if bench.against is not None:
                seconds.setdefault(f"{model}, before", []).append(bench.unpack(model, library=bench.against))
            seconds.setdefault(f"{model}, now", []).append(bench.unpack(model))
            seconds.setdefault(f"{model}, --fast", []).append(bench.unpack(model, "--fast"))
    return seconds


def measure_packing(bench: Bench, runs: int, effort: int | None) -> dict[str, list[float]]:
    """Return the processor seconds of each way of packing."""
    seconds: dict[str, list[float]] = {}
    options = () if effort is None else ("--effort", effort)
    for _ in range(runs):
        seconds.setdefault("Pillow, to AVIF", []).append(bench.to_avif())
        for model in MODELS:
            if bench.against is not None:
                before = bench.pack(model, *options, library=bench.against)
                seconds.setdefault(f"{model}, before", []).append(before)
            seconds.setdefault(f"{model}, now", []).append(bench.pack(model, *options))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures of 256x256")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--effort", type=int, help="of packing; the default one if it is left out")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and archives")
    args = parser.parse_args()
    bench = Bench(args.data, args.count, args.against and args.against.resolve(), args.work.resolve())
    if args.what == "unpack":
        seconds = measure_unpacking(bench, args.runs)
    else:
        seconds = measure_packing(bench, args.runs, args.effort)
    medians = {way: round(statistics.median(some), 2) for way, some in seconds.items()}
    archives = {path.stem: path.stat().st_size for path in sorted(bench.work.glob("*.uni"))}
    of_avif = sum(path.stat().st_size for path in bench.avif.iterdir())
    print(json.dumps({"processor_s": medians, "bytes": archives | {"avif": of_avif}}, indent=1))


if __name__ == "__main__":
    main()
