"""Measure what one picture of a very large archive costs, and what it costs to add one.

    python benchmarks/large_archive.py --pictures 1000000 --work /tmp/large

The archive is written by the library's writer from the real codes of a few pictures, repeated. An archive of ten
pictures is the yardstick. Every figure is of a process of its own: seconds, peak memory, and for reading the bytes and
the number of reads that the archive's file takes.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.pages import psnr_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.packing.add import add
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.demo_pictures import make_demo_pictures

SOURCES = 64
SIDE = 64
YARDSTICK = 10


class CountedFile(FileSource):
    """Counts what is read of a file."""

    reads = 0
    bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        found = super().read(offset, length)
        self.reads += 1
        self.bytes_read += len(found)
        return found


def write_archive(path: Path, source: Path, count: int) -> dict[str, Any]:
    """Write an archive of ``count`` pictures with the codes of another one, repeated."""
    started = time.perf_counter()
    reader = ContainerReader(FileSource(source))
    codes = [reader.record(reader.row(index)).code for index in range(reader.footer.pictures)]
    indices = index_of_position(0, count)
    with open(path, "wb") as file:
        writer = ContainerWriter(file, b"a large1")
        number = writer.add_decoder(reader.footer.decoders[0])
        for position in range(count):
            record = record_of_code(int(indices[position]), SIDE, SIDE, number, codes[position % len(codes)])
            writer.add(record, f"folder {position // 1000:04}/{position:07}.jpg", psnr=psnr_code(30.0))
        writer.commit()
    return {"seconds": time.perf_counter() - started, "file_bytes": path.stat().st_size, **peak()}


def unpack_one(path: Path, index: int) -> dict[str, Any]:
    """Decode one picture, as ``unicorn unpack --index`` does."""
    started = time.perf_counter()
    source = CountedFile(path)
    with Archive.open(path, device="cpu") as archive:
        archive.reader = ContainerReader(source)
        archive[index].load()
        code_bytes = archive.reader.row(index).length
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "reads": source.reads,
        "bytes_besides_the_code": source.bytes_read - code_bytes,
        **peak(),
    }


def add_one(path: Path, folder: Path) -> dict[str, Any]:
    """Add one picture."""
    started = time.perf_counter()
    report = add(path, folder, CodesOptions(effort=0, device="cpu"))
    return {"seconds": time.perf_counter() - started, "added_bytes": report.added_bytes, **peak()}


def peak() -> dict[str, float]:
    """Return the peak memory of this process since it was started."""
    kilobytes = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return {"peak_mb": int(kilobytes[1]) / 1024 if kilobytes else float("nan")}


def in_process(*arguments: object) -> dict[str, Any]:
    """Run one step of this script in a process of its own."""
    command = [sys.executable, __file__, "--step", *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def run_step(name: str, *arguments: str) -> dict[str, Any]:
    """Run a step by its name."""
    if name == "write":
        return write_archive(Path(arguments[0]), Path(arguments[1]), int(arguments[2]))
    if name == "unpack":
        return unpack_one(Path(arguments[0]), int(arguments[1]))
    return add_one(Path(arguments[0]), Path(arguments[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=Path("large"), help="folder for the archives")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(run_step(*args.step)))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    source, small, large = (args.work / name for name in ("source.uni", "small.uni", "large.uni"))
    make_demo_pictures(args.work / "pictures", SOURCES, SIDE, 0)
    pack(args.work / "pictures", source, CodesOptions(target=Target(Goal.STEP, 3.0), effort=0, device="cpu"))
    make_demo_pictures(args.work / "more" / "new", 1, SIDE, 1)
    found: dict[str, Any] = {"pictures": args.pictures, "write": in_process("write", large, source, args.pictures)}
    in_process("write", small, source, YARDSTICK)
    found["unpack_of_ten"] = in_process("unpack", small, 3)
    found["unpack"] = in_process("unpack", large, args.pictures // 3)
    found["add"] = in_process("add", large, args.work / "more")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "unicorn_cli", "inspect", str(large)], check=True, capture_output=True)
    found["inspect_seconds"] = time.perf_counter() - started
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
