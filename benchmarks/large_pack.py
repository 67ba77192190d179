"""Measure the memory that packing a very large folder takes.

    python benchmarks/large_pack.py --pictures 1000000 --work /tmp/large

Everything of packing runs that keeps something of each picture: the listing of the folder, codes on their way to the
archive with checkpoints of them, near-duplicates, records with names, the measured distortion, index and report. What
computes is replaced: the codes are random bytes of the length that 256x256 pixels take at 0.3 bits per pixel, and no
picture is read or decoded. Memory is that of the whole process. Its growth with the number of pictures is measured
between a tenth of them and all.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from unicorn_codec.archive import Archive
from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.checkpoints import CodesCheckpoint, checkpoint_path
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, MetadataOptions, ReadOptions
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.measurement import Matching, Measured, PictureDistortion
from unicorn_codec.packing import pack
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.into_codes import PackedCodes, container_of, new_encoder
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import OriginalMetadata
from unicorn_codec.packing.picture_source import LatentSource, PictureSource
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.pictures.picture_table import Picture, PictureTable
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

SIDE = 256
CODE_BYTES = 2458
"""Of a picture at 0.3 bits per pixel."""

STEP, ROUNDS = 3.0, 1


class NoLatents(LatentSource):
    """Latents of no channels, a batch at a time."""

    def of(
        self, positions: Sequence[int], progress: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[tuple[list[int], Tensor]]:
        for start in range(0, len(positions), SIDE):
            batch = list(positions[start : start + SIDE])
            yield batch, torch.empty(len(batch), 0, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCodes(FolderEncoder):
    """Gives every picture random bytes as a code."""

    def encode_batch(
        self,
        batch: Sequence[int],
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[int, bytes]]:
        for position in batch:
            yield position, b"\0" + random.Random(position).randbytes(CODE_BYTES - 1)
        progress(len(batch))


def list_pictures(count: int) -> Folder:
    """Return the listing of a folder of this many pictures, which are not there."""
    table = PictureTable()
    for position in range(count):
        digest = random.Random(position).randbytes(32).hex()
        table.append(Picture(f"folder {position // 1000:04}/{position:07}.jpg", SIDE, SIDE, digest))
    return Folder(root=Path("nowhere"), pictures=table)


def measure_nothing(
    _: Archive, __: Folder, ___: ReadOptions, ____: object, matching: Matching, *_____: object
) -> Measured:
    """Return distortions of all pictures as ``measure_chosen`` does, drawn at random."""

    def rows() -> Iterator[PictureDistortion]:
        for part in matching.parts():
            for index, picture in part.items():
                yield PictureDistortion(index=index, name=picture.name, psnr_db=20 + index % 977 / 100, ms_ssim=0.95)

    return Measured.of(rows())


def pack_stubs(output: Path, count: int, autoencoder: PackagedAutoencoder) -> int:
    """Pack a folder of stubs, and return the bytes of the archive."""
    options, observer = CodesOptions(metadata=MetadataOptions(keep=False)), Observer()
    pictures = PictureSource(list_pictures(count), ReadOptions())
    checkpoint = CodesCheckpoint(checkpoint_path(output), "stubs", resume=False)
    plain = new_encoder(pictures, autoencoder, load_context_model(), output.parent, checkpoint)
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    encoder = RandomCodes(**fields | {"latents": NoLatents(pictures, autoencoder)})
    codes = encoder.encode(STEP, observer.of_stage("coding"), rounds=ROUNDS)
    made = PackedCodes(container=container_of(encoder, STEP, codes, 0), rounds=ROUNDS)
    with (
        patch.multiple(pack, measure_chosen=measure_nothing, first_of_codecs=lambda _: []),
        open_atomic(output) as file,
    ):
        metadata = OriginalMetadata(pictures, options.metadata)
        measured = pack.write_and_measure(file, made.container, metadata, autoencoder, observer)
    checkpoint.path.unlink(missing_ok=True)
    with Archive.of(ContainerReader(FileSource(output)), autoencoder) as written:
        report = pack.report_on(written, pictures, options, measured, rounds=0, learned=None, taken_over=0, seconds=0.0)
    return report.file_bytes


def run_step(output: Path, count: int) -> dict[str, Any]:
    """Pack in this process, and return what it took."""
    autoencoder = PackagedAutoencoder(torch.device("cpu"))
    before, started = peak_mb(), time.perf_counter()
    file_bytes = pack_stubs(output, count, autoencoder)
    return {
        "pictures": count,
        "file_bytes": file_bytes,
        "seconds": time.perf_counter() - started,
        "loaded_mb": before,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Return the peak memory of this process since it was started."""
    kilobytes = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes[1]) / 1024 if kilobytes else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=Path("large"), help="folder for the archive")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    output = args.work / "stubs.uni"
    if args.here:
        print(json.dumps(run_step(output, args.pictures)))
        return
    found = []
    for count in (args.pictures // 10, args.pictures):
        command = [sys.executable, __file__, "--here", "--pictures", str(count), "--work", str(args.work)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        output.unlink()
    grown = (found[1]["peak_mb"] - found[0]["peak_mb"]) * 2**20 / (found[1]["pictures"] - found[0]["pictures"])
    print(json.dumps({"runs": found, "bytes_per_picture": round(grown)}, indent=1))


if __name__ == "__main__":
    main()
