"""Rate and distortion of the packaged autoencoder as a transform codec, compared with AVIF on the same pictures.

    python benchmarks/autoencoder_rate.py --data cats-1000 grocery-1000

Latents are rounded to a step and coded with the package's context model; the rate counts the bytes of all codes. AVIF
(speed 4) is measured on the bytes of its files, on a subset of the pictures, on which this codec is measured too.
Values at given rates are interpolated linearly in the logarithm of the rate. Points in the results file are not
measured again.
"""

import argparse
import io
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

from unicorn_codec.codes.context_model import level_of, load_context_model
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.packing.code_writer import quantise_latents
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

STEPS = {"cats-1000": (2.0, 2.9, 4.4), "grocery-1000": (2.0, 2.9, 4.4, 5.6)}
FINE_STEPS = (1.4,)
"""Measured only on the subset."""

QUALITIES = (0, 5, 10, 20, 30, 40, 50)
RATES = {"cats-1000": (0.12, 0.16, 0.21), "grocery-1000": (0.155, 0.21, 0.27)}
TOGETHER = 200

Coded = list[tuple[int, np.ndarray]]
"""Sizes in bytes and decoded pixels of the pictures."""


def ssimulacra2_of(original: np.ndarray, decoded: np.ndarray) -> float:
    """Return SSIMULACRA2 of two pictures in memory."""
    files = []
    for pixels in (original, decoded):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=0)
        files.append(file)
    return float(compute_ssimulacra2(*files))


def code_with_autoencoder(pictures: Sequence[np.ndarray], autoencoder: PackagedAutoencoder, step: float) -> Coded:
    """Encode pictures of one size as codes and decode them again."""
    model, level = load_context_model(), level_of(step)
    coded: Coded = []
    for start in range(0, len(pictures), TOGETHER):
        batch = pictures[start : start + TOGETHER]
        latents = autoencoder.encode_pictures(batch, 16)
        codes = encode_symbols(model, level, quantise_latents(latents, step))
        symbols = decode_symbols(model, level, codes, *latents.shape[2:], short=True)
        height, width = batch[0].shape[:2]
        decoded = autoencoder.decode_pictures(torch.from_numpy(symbols).float() * step, height, width, step)
        coded += zip(map(len, codes), decoded, strict=True)
    return coded


def code_with_avif(pictures: Sequence[np.ndarray], quality: float) -> Coded:
    """Encode pictures as AVIF files and decode them again."""
    coded: Coded = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "AVIF", quality=int(quality), speed=4)
        coded.append((file.tell(), np.asarray(Image.open(file).convert("RGB"))))
    return coded


def mean_point(pictures: Sequence[np.ndarray], coded: Coded, *, judge: bool) -> dict[str, float]:
    """Return means over the pictures. SSIMULACRA2 is slow and measured on few."""
    pairs = list(zip(pictures, [decoded for _, decoded in coded], strict=True))
    point = {
        "bits_per_pixel": 8 * sum(size for size, _ in coded) / sum(picture[..., 0].size for picture in pictures),
        "psnr_db": float(np.mean([psnr_db(a, b) for a, b in pairs])),
        "ms_ssim": float(np.mean([ms_ssim(a, b) for a, b in pairs])),
    }
    return point | ({"ssimulacra2": float(np.mean([ssimulacra2_of(a, b) for a, b in pairs]))} if judge else {})


def at_rate(curve: Sequence[dict[str, float]], rate: float, metric: str) -> float:
    """Return a curve's value at a rate, NaN outside the curve."""
    points = sorted(curve, key=lambda point: point["bits_per_pixel"])
    rates = np.log([point["bits_per_pixel"] for point in points])
    return float(np.interp(np.log(rate), rates, [p[metric] for p in points], left=np.nan, right=np.nan))


def missing(settings: Sequence[float], curve: Sequence[dict[str, float]], name: str) -> list[float]:
    """Return the settings for which the curve has no point."""
    return [setting for setting in settings if setting not in {point[name] for point in curve}]


def text_at(curve: Sequence[dict[str, float]], rate: float, metric: str, digits: int) -> str:
    """Format a curve's value at a rate, with a dash outside the curve."""
    value = at_rate(curve, rate, metric)
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--every", type=int, default=10, help="compare every n-th picture with AVIF")
    parser.add_argument("--limit", type=int, help="largest number of pictures of each folder")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "autoencoder_rate.json")
    args = parser.parse_args()
    autoencoder = PackagedAutoencoder(torch.device("cpu"))
    known = json.loads(args.out.read_text())["sets"] if args.out.exists() else {}
    sets = dict(known)
    for folder in args.data:
        paths = sorted(folder.glob("*.jpg"))[: args.limit]
        pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
        some = pictures[:: args.every]
        curves = known.get(folder.name) or {"all": [], "some": [], "avif": []}
        for step in missing(STEPS.get(folder.name, (2.0, 2.9, 4.4)), curves["all"], "step"):
            coded = code_with_autoencoder(pictures, autoencoder, step)
            curves["all"].append({"step": step} | mean_point(pictures, coded, judge=False))
            curves["some"].append({"step": step} | mean_point(some, coded[:: args.every], judge=True))
        for step in missing(FINE_STEPS, curves["some"], "step"):
            coded = code_with_autoencoder(some, autoencoder, step)
            curves["some"].append({"step": step} | mean_point(some, coded, judge=True))
        for quality in missing(QUALITIES, curves["avif"], "quality"):
            curves["avif"].append({"quality": quality} | mean_point(some, code_with_avif(some, quality), judge=True))
        sets[folder.name] = curves | {"pictures": len(pictures), "judged": len(some)}
        print(f"\n{folder.name}: {len(pictures)} pictures, {len(some)} of them compared with AVIF\n")
        columns = ["bits/pixel", "all: PSNR", "MS-SSIM"]
        for codec in ("some:", "AVIF:"):
            columns += [f"{codec} PSNR", "MS-SSIM", "SSIMULACRA2"]
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
        for rate in RATES.get(folder.name, (0.1, 0.15, 0.2)):
            cells = [text_at(curves["all"], rate, "psnr_db", 2), text_at(curves["all"], rate, "ms_ssim", 4)]
            for curve in (curves["some"], curves["avif"]):
                cells += [text_at(curve, rate, "psnr_db", 2), text_at(curve, rate, "ms_ssim", 4)]
                cells += [text_at(curve, rate, "ssimulacra2", 1)]
            print(f"| {rate} | " + " | ".join(cells) + " |", flush=True)
    results = {"torch": torch.__version__, "machine": platform.machine(), "sets": sets}
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
