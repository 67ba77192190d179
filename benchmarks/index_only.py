"""Index-only archives: how near the network comes to the autoencoder's own reconstruction, and at what size.

    python benchmarks/index_only.py --data cats-1000 --run small      # 256 pictures at 64 pixels, 10 minutes
    python benchmarks/index_only.py --data cats-1000 --run large      # 64 pictures at 256 pixels, 15 minutes
    python benchmarks/index_only.py --data cats-1000 --run frontier   # five network sizes
    python benchmarks/index_only.py --data cats-1000 --run weights    # bits per weight, 8 to 32
    python benchmarks/index_only.py --data cats-1000 --run paper      # 1000 pictures, H = 144, W = 16; needs a GPU

Every row is measured on a file that was written and read back. Results go to results/index_only_RUN.json.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from unicorn_codec.archive import Archive
from unicorn_codec.config import ReadOptions
from unicorn_codec.measurement import measure
from unicorn_codec.model_registry import default_name
from unicorn_codec.network.planning import fit_network
from unicorn_codec.network.training import Progress
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, load_autoencoder
from unicorn_codec.weights.minifloat import fit_format
from unicorn_codec.weights.weight_section import parse_weights, serialize_weights

Row = dict[str, float | int | str]
LATENT_VALUES_PER_PIXEL = 1 / 16
FRONTIER = (0.25, 0.5, 1.0, 1.6, 2.4)
WEIGHT_FORMATS = ((3, 4), (3, 6), (4, 7), (4, 9), (4, 11), (5, 14), (8, 23))


class Lines(Observer):
    """Prints progress now and then, for a log."""

    def __init__(self) -> None:
        self.shown = 0.0

    def training(self, progress: Progress) -> None:
        if progress.fraction >= self.shown:
            print(f"  {progress.seconds:5.0f} s, step {progress.step}: loss {progress.loss:.5f}", flush=True)
            self.shown += 0.1

    def preview(self, psnr_db: float) -> None:
        print(f"  a few pictures: {psnr_db:.2f} dB", flush=True)


def pack_some(
    data: Path,
    work: Path,
    count: int,
    max_side: int,
    seconds: float,
    *,
    parameters_per_latent: float,
    device: str,
    autoencoder: str | None = None,
    weight_format: str = "float",
    weight_bits: int | None = None,
    exponent_bits: int | None = None,
) -> Row:
    """Pack the first ``count`` pictures with a limited number of parameters per latent value.

    Args:
        autoencoder: hub name or folder of one of diffusers; None: that of the package, of which 16 channels are kept.
    """
    folder, output = work / "pictures", work / "out.uni"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(data.glob("*.jpg"))[:count]:
        shutil.copy(path, folder)
    read = ReadOptions(max_side=max_side)
    pixels = sum(p.width * p.height for p in list_folder(folder, read).pictures)
    values = pixels * LATENT_VALUES_PER_PIXEL  # of 16 channels at 1/16 of the size, and of 4 at 1/8
    channels, downsampling = (LEADING_CHANNELS, 16) if autoencoder is None else shape_of(autoencoder)
    network = fit_network(parameters_per_latent * values, None, channels, downsampling, pictures=count)
    options = NetworkOptions(
        autoencoder=autoencoder or default_name(),
        read=read,
        train=TrainConfig(seconds=seconds),
        hidden_size=network.hidden_size,
        depth=network.depth,
        device=device,
        weight_format=weight_format,
        weight_bits=weight_bits,
        exponent_bits=exponent_bits,
        overwrite=True,
    )
    report = pack(folder, output, options, Lines())
    assert report.network is not None
    measured = report.network
    return {
        "pictures": report.pictures,
        "max_side": max_side,
        "training_s": seconds,
        "hidden_size": network.hidden_size,
        "depth": network.depth,
        "parameters": measured.parameters,
        "parameters_per_latent": round(measured.parameters / values, 3),
        "file_bytes": report.file_bytes,
        "weight_bytes": next(part.bytes for part in report.parts if part.part == "weights"),
        "bits_per_pixel": round(report.bits_per_pixel, 4),
        "psnr_db": round(report.measured.psnr_db.mean, 2),
        "ceiling_db": round(measured.ceiling_psnr_db, 2),
        "gap_db": round(measured.ceiling_psnr_db - report.measured.psnr_db.mean, 2),
        "ms_ssim": round(report.measured.ms_ssim.mean, 4),
        "other_noise_db": round(measured.other_noise_psnr_db - measured.stored_noise_psnr_db, 3),
        "steps": measured.steps,
    }


def shape_of(autoencoder: str) -> tuple[int, int]:
    """Return latent channels and downsampling of an autoencoder."""
    reference = load_autoencoder(autoencoder, torch.device("cpu")).reference
    return reference.latent_channels, reference.downsampling


def small(args: argparse.Namespace, work: Path) -> Iterator[Row]:
    """256 pictures at 64 pixels, at most 1.6 parameters per latent value. Bar: within 0.5 dB."""
    seconds, settings = args.minutes * 60, {"device": args.device, "autoencoder": args.autoencoder}
    yield pack_some(args.data, work, args.pictures, 64, seconds, parameters_per_latent=1.6, **settings)


def large(args: argparse.Namespace, work: Path) -> Iterator[Row]:
    """64 pictures at 256 pixels, at most 2.1 parameters per latent value. Bar: within 0.5 dB."""
    yield pack_some(args.data, work, 64, 256, args.minutes * 60, parameters_per_latent=2.1, device=args.device)


def paper(args: argparse.Namespace, work: Path) -> Iterator[Row]:
    """The paper's CAT-1000 at H = 144 and W = 16: 0.97 bits per pixel. Bar on a GPU: within 2 dB in 10 minutes."""
    seconds = args.minutes * 60
    yield pack_some(args.data, work, 1000, 256, seconds, parameters_per_latent=0.98, device=args.device, weight_bits=16)


def frontier(args: argparse.Namespace, work: Path) -> Iterator[Row]:
    """PSNR against file size: 256 pictures at 64 pixels, five network sizes."""
    for ratio in FRONTIER:
        yield pack_some(args.data, work, 256, 64, args.minutes * 60, parameters_per_latent=ratio, device=args.device)


def weights(args: argparse.Namespace, work: Path) -> Iterator[Row]:
    """One trained network, stored with ever fewer bits per weight."""
    seconds = args.minutes * 60
    exact = partial(pack_some, weight_bits=32, exponent_bits=8)
    exact(args.data, work, 256, 64, seconds, parameters_per_latent=1.6, device=args.device)
    container = read_packed(work / "out.uni")
    assert container.weights is not None, "an archive of indices has weights"
    read = ReadOptions(max_side=64)
    _, values = parse_weights(container.weights)
    listed = list_folder(work / "pictures", read)
    for exponent_bits, mantissa_bits in WEIGHT_FORMATS:
        chosen = fit_format(values, exponent_bits, mantissa_bits)
        written = work / f"{chosen.bits}.uni"
        write_packed(written, replace(container, weights=serialize_weights(values, chosen)), overwrite=True)
        with Archive.open(written, device=args.device) as archive:
            measured = measure(archive, listed, read)
        yield {
            "bits_per_weight": chosen.bits,
            "exponent_bits": exponent_bits,
            "mantissa_bits": mantissa_bits,
            "file_bytes": written.stat().st_size,
            "psnr_db": round(measured.psnr_db.mean, 3),
        }


RUNS: dict[str, tuple[Callable[[argparse.Namespace, Path], Iterator[Row]], float]] = {
    "small": (small, 10.0),
    "large": (large, 15.0),
    "paper": (paper, 10.0),
    "frontier": (frontier, 4.0),
    "weights": (weights, 3.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--run", choices=RUNS, required=True)
    parser.add_argument("--minutes", type=float, help="training time of each network")
    parser.add_argument("--pictures", type=int, default=256, help="of the run small")
    parser.add_argument("--autoencoder", help="hub name or folder of one of diffusers, for the run small")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    function, minutes = RUNS[args.run]
    args.minutes = args.minutes or minutes
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        for row in function(args, Path(work)):
            rows.append(row)
            print(json.dumps(row), flush=True)
    environment = {"torch": torch.__version__, "machine": platform.machine(), "processors": os.cpu_count()}
    args.out.mkdir(parents=True, exist_ok=True)
    name = args.run if args.autoencoder is None else f"{args.run}_{Path(args.autoencoder).name}"
    result = {"run": name, "data": args.data.name, **environment, "rows": rows}
    (args.out / f"index_only_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(str(v) for v in row.values()) + " |")


if __name__ == "__main__":
    main()
