"""Compare the packaged models on the same pictures: BD-rate by three measures, and times.

    python benchmarks/packaged_models.py --data cats-1000 kodak-24 --pictures 40 --out results.json

Every model packs the same folder, at the same quantisation steps and effort, without learning and without AVIF, and its
file is unpacked; the bytes are those of whole files. AVIF is that of speed 4, without the bytes of its containers.
Points that the results file holds already are not measured again, so that the run can be stopped and started again. The
processor time of the decoders, on one thread each, is measured in the end.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from unicorn_codec.bench.bd_rate import RatePoint, bd_rate
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.provenance import provenance
from unicorn_codec.bench.quality_metrics import METRICS, ssimulacra2
from unicorn_codec.bench.rivals import BareAvif
from unicorn_codec.config import ReadOptions
from unicorn_codec.effort import SHORT_EFFORT
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

STEPS = (1.4, 2.2, 3.5, 5.5, 9.0)
AVIF_QUALITIES = (3, 10, 20, 30, 40, 50)
COMPARED = ("psnr_db", "ms_ssim", "ssimulacra2")
AVIF = "avif"

Point = dict[str, float]


def decoder_milliseconds(model: str) -> list[float]:
    """Return the least processor time of a picture of 256x256 in float32 and in bfloat16, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    autoencoder, latents = PackagedAutoencoder(torch.device("cpu"), name=model), torch.randn(4, 64, 16, 16)
    found = []
    for bfloat16 in (False, True):
        seconds = []
        for _ in range(12):
            started = time.process_time()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                autoencoder.decode(latents, 2.0)
            seconds.append(time.process_time() - started)
        found.append(1000 * min(seconds) / len(latents))
    torch.set_num_threads(threads)
    return found


def run_command(*arguments: str) -> float:
    """Run the command-line program; returns its processor seconds. Raises ``CalledProcessError``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "cli", *arguments], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(pairs: Iterator[tuple[Pixels, Pixels]], size: int) -> Point:
    """Bits per pixel and mean qualities of originals and what came back."""
    rows, pixels = [], 0
    for original, decoded in pairs:
        score = ssimulacra2(original, decoded)
        assert score is not None, "SSIMULACRA2 needs pictures of at least 8 pixels a side"
        rows.append((psnr_db(original, decoded), ms_ssim(original, decoded), score))
        pixels += original[..., 0].size
    return {"bits_per_pixel": 8 * size / pixels, **dict(zip(COMPARED, np.mean(rows, axis=0).tolist(), strict=True))}


def through_files(model: str, pictures: PictureSet, step: float, effort: int) -> Point:
    """Pack and unpack a folder of pictures with a model."""
    with tempfile.TemporaryDirectory() as work:
        archive, out = Path(work) / "pictures.uni", Path(work) / "out"
        options = ["--autoencoder", model, "--step", str(step), "--effort", str(effort), "--learn", "off", "--no-avif"]
        packing = run_command("pack", str(pictures.folder.root), str(archive), *options)
        unpacking = run_command("unpack", str(archive), "--all", "-o", str(out))

        def pairs() -> Iterator[tuple[Pixels, Pixels]]:
            for position, original in enumerate(pictures):
                name = Path(pictures.folder.pictures[position].name).with_suffix(".png")
                yield original, np.asarray(Image.open(out / name).convert("RGB"))

        point = measure(pairs(), archive.stat().st_size)
    return point | {"setting": step, "pack_seconds": packing, "unpack_seconds": unpacking}


def through_avif(pictures: PictureSet, quality: int) -> Point:
    """Encode every picture by AVIF, without container."""
    codec, size, decoded = BareAvif(), 0, []
    for original in pictures:
        data = codec.encode_picture(original, quality)
        size += len(data)
        decoded.append(codec.decode_picture(data, (original.shape[1], original.shape[0])))
    return measure(zip(pictures, decoded, strict=True), size) | {"setting": quality}


def gain(anchor: Sequence[Point], test: Sequence[Point], metric: str) -> str:
    """BD-rate of a curve to another one as text; a dash where they share too little."""
    first, second = (
        [RatePoint(point["bits_per_pixel"], METRICS[metric].quality(point[metric])) for point in curve]
        for curve in (anchor, test)
    )
    found = bd_rate(first, second, METRICS[metric].least_overlap / 2)
    return "-" if found is None else f"{found.percent:+.1f} %"


def table(sets: Mapping[str, Mapping[str, Sequence[Point]]]) -> str:
    """BD-rates of each curve to the ones before it."""
    lines = ["| set | of | to | PSNR | MS-SSIM | SSIMULACRA2 |", "|---" * 6 + "|"]
    for name, curves in sets.items():
        for anchor, test in combinations(curves, 2):
            cells = [gain(curves[anchor], curves[test], metric) for metric in COMPARED]
            lines.append(f"| {name} | {test} | {anchor} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures")
    parser.add_argument("--pictures", type=int, default=40, help="of each folder, drawn by chance")
    parser.add_argument("--effort", type=int, default=SHORT_EFFORT)
    parser.add_argument("--steps", type=float, nargs="+", default=STEPS)
    parser.add_argument("--models", nargs="+", choices=names(AUTOENCODER), default=names(AUTOENCODER))
    parser.add_argument("--out", type=Path, required=True, help="results, JSON")
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {"sets": {}}
    results["provenance"] = provenance(" ".join(sys.argv), 0, "cpu")
    for folder in args.data:
        curves = results["sets"].setdefault(folder.name, {})
        with tempfile.TemporaryDirectory() as copies:
            pictures = PictureSet.open(folder, ReadOptions()).copy_sample(Path(copies), args.pictures, 0)
            for codec in (AVIF, *args.models):
                known = curves.setdefault(codec, [])
                for setting in AVIF_QUALITIES if codec == AVIF else args.steps:
                    if setting in {point["setting"] for point in known}:
                        continue
                    if codec == AVIF:
                        known.append(through_avif(pictures, setting))
                    else:
                        known.append(through_files(codec, pictures, setting, args.effort))
                    args.out.write_text(json.dumps(results, indent=1) + "\n")
    results["decoder_milliseconds"] = {model: decoder_milliseconds(model) for model in args.models}
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results["sets"]))
    for model, (plain, fast) in results["decoder_milliseconds"].items():
        print(f"decoder of {model}: {plain:.2f} ms a picture of 256x256 in float32, {fast:.2f} in bfloat16")


if __name__ == "__main__":
    main()
