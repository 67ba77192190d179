"""Measure the stages of packing in portions that one process does for all pictures: search and joining.

    python benchmarks/scale_stages.py --counts 5000 20000 --work stages

search: near-duplicates among random thumbnails, none of which is like another, which takes longest. With usearch
installed, its approximate index of the same thumbnails is timed for comparison, on one thread, so that it is the same
index every time. joining: archives of 1000 codes of random bytes, of the length that 256x256 pixels take at 0.3 bits
per pixel, are written and joined. Times are of the processor, memory is what the process had at most.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.header import OWN_CLASS, ModelReference
from unicorn_codec.format.joining import join
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.packing.thumbnail_search import THUMBNAIL, group_alike

CODE_BYTES = 2458
PART_PICTURES = 1000
MODEL = ModelReference(
    name="stub",
    class_name=OWN_CLASS,
    fingerprint=bytes(16),
    weight_bytes=1,
    latent_channels=64,
    downsampling=16,
)


def thumbnails_of(count: int) -> NDArray[np.float32]:
    """Return random thumbnails."""
    drawn = np.random.default_rng(0).normal(0, 50, (count, 3 * THUMBNAIL**2)).astype(np.float32)
    centred: NDArray[np.float32] = drawn - drawn.mean(1, keepdims=True)
    return centred


def search(count: int, _: Path) -> dict[str, Any]:
    """Search for near-duplicates."""
    found, started = thumbnails_of(count), time.process_time()
    groups = len(set(group_alike(iter(found), 32)))
    assert groups == count, "random thumbnails are not alike"
    return {"processor_s": time.process_time() - started}


def usearch(count: int, _: Path) -> dict[str, Any]:
    """Build an approximate index, and search it for the neighbours of each thumbnail."""
    from usearch.index import Index

    found = thumbnails_of(count)
    index, started = Index(ndim=found.shape[1], metric="l2sq", dtype="f32"), time.process_time()
    index.add(np.arange(count), found, threads=1)
    index.search(found, 2, threads=1)
    return {"processor_s": time.process_time() - started}


def joining(count: int, work: Path) -> dict[str, Any]:
    """Join archives."""
    paths = []
    for first in range(0, count, PART_PICTURES):
        paths.append(work / f"{first}.uni")
        with open(paths[-1], "wb") as file:
            writer = ContainerWriter(file, first.to_bytes(8, "little"))
            decoder = writer.add_decoder(Decoder(model=MODEL, latent_step=3.0))
            for index in range(PART_PICTURES):
                code = b"\24" + random.Random(first + index).randbytes(CODE_BYTES - 1)
                name = f"folder {first:09}/{index:09}.jpg"
                writer.add(record_of_code(index, 256, 256, decoder, code), name)
            writer.commit()
    before, started = peak_mb(), time.process_time()
    join(paths, work / "joined.uni")
    values = {"processor_s": time.process_time() - started, "before_mb": before, "peak_mb": peak_mb()}
    values["file_bytes"] = (work / "joined.uni").stat().st_size
    for path in (*paths, work / "joined.uni"):
        path.unlink()
    return values


def peak_mb() -> float:
    """Return the peak memory of this process since it was started."""
    kilobytes = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes[1]) / 1024 if kilobytes else float("nan")


STAGES = {"search": search, "usearch": usearch, "joining": joining}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--work", type=Path, default=Path("stages"), help="folder for archives")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.here:
        print(json.dumps(STAGES[args.stages[0]](args.counts[0], args.work)))
        return
    for stage in args.stages:
        for count in args.counts:
            command = [sys.executable, __file__, "--here", "--counts", count, "--stages", stage, "--work", args.work]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
            values = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.splitlines()[-1]}
            print(json.dumps({"stage": stage, "pictures": count, **values}), flush=True)


if __name__ == "__main__":
    main()
