"""The embedded autoencoder as a transform codec: rate and distortion, beside AVIF on the same pictures.

    python benchmarks/autoencoder_rate.py --data cats-1000 grocery-1000 --context models/context_model.safetensors

Latents are rounded to the step; the rate is their entropy under the context model of the training. AVIF is
measured on the bytes of files really written. Both are read off their curves at the rates that are asked for.
"""

import argparse
import io
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from ssimulacra2 import compute_ssimulacra2

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.metrics import ms_ssim, psnr_db

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from train_autoencoder import MAX_STEP, ContextModel

STEPS = (1.5, 2.2, 3.2, 4.7, 7.0)
QUALITIES = (20, 30, 40, 50, 60)
RATES = {"cats-1000": (0.12, 0.16, 0.21), "grocery-1000": (0.155, 0.21, 0.27)}
Point = dict[str, float]


def ssimulacra2_of(original: np.ndarray, decoded: np.ndarray) -> float:
    """SSIMULACRA2 of two pictures in memory."""
    files = []
    for pixels in (original, decoded):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=0)
        files.append(file)
    return float(compute_ssimulacra2(*files))


def code_with_autoencoder(
    network: torch.nn.Module, context: ContextModel, step: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    @torch.inference_mode()
    def code(picture: np.ndarray) -> tuple[float, np.ndarray]:
        image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        symbols = (network.encode(image) / step).round()
        level = torch.log(torch.tensor([step])) / np.log(MAX_STEP)
        bits = float(context.bits(symbols, symbols, level).sum())
        decoded = network.decode(symbols * step, torch.tensor([step]))[0]
        pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return bits / 8, pixels.permute(1, 2, 0).numpy()

    return code


def code_with_avif(quality: int) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def code(picture: np.ndarray) -> tuple[float, np.ndarray]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "AVIF", quality=quality, speed=4)
        return file.tell(), np.asarray(Image.open(file).convert("RGB"))

    return code


def measure(pictures: list[np.ndarray], code: Callable[[np.ndarray], tuple[float, np.ndarray]], judge: bool) -> Point:
    rows = []
    for picture in pictures:
        size, decoded = code(picture)
        row = [8 * size / picture[..., 0].size, psnr_db(picture, decoded), ms_ssim(picture, decoded)]
        rows.append([*row, ssimulacra2_of(picture, decoded)] if judge else row)
    return dict(
        zip(("bits_per_pixel", "psnr_db", "ms_ssim", "ssimulacra2"), np.mean(rows, axis=0).tolist(), strict=False)
    )


def at_rate(curve: list[Point], rate: float, metric: str) -> float:
    """Read a curve at a rate: linear in the logarithm of the rate; NaN outside the curve."""
    points = sorted(curve, key=lambda p: p["bits_per_pixel"])
    rates = np.log([p["bits_per_pixel"] for p in points])
    values = [p[metric] for p in points]
    return float(np.interp(np.log(rate), rates, values, left=np.nan, right=np.nan))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--context", type=Path, required=True, help="weights of the training's context model")
    parser.add_argument("--every", type=int, default=10, help="one picture in so many is also judged beside AVIF")
    parser.add_argument("--limit", type=int, default=None, help="pictures of each folder")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "autoencoder_rate.json")
    args = parser.parse_args()

    network = EmbeddedAutoencoder(torch.device("cpu")).network
    context = ContextModel(network.latent_channels)
    context.load_state_dict({k: v.float() for k, v in load_file(args.context).items()})
    results: dict[str, object] = {"torch": torch.__version__, "machine": platform.machine(), "sets": {}}
    for folder in args.data:
        paths = sorted(folder.glob("*.jpg"))[: args.limit]
        pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
        some = pictures[:: args.every]
        started = time.monotonic()
        curves = {
            "all": [measure(pictures, code_with_autoencoder(network, context, s), False) for s in STEPS],
            "some": [measure(some, code_with_autoencoder(network, context, s), True) for s in STEPS],
            "avif": [measure(some, code_with_avif(q), True) for q in QUALITIES],
        }
        results["sets"][folder.name] = {"pictures": len(pictures), "judged": len(some), **curves}  # type: ignore[index]
        print(
            f"\n{folder.name}: {len(pictures)} pictures, {len(some)} beside AVIF; {time.monotonic() - started:.0f} s\n"
        )
        print(
            "| bits/pixel | all: PSNR | MS-SSIM | some: PSNR | MS-SSIM | SSIMULACRA2 | AVIF: PSNR | MS-SSIM | SSIMULACRA2 |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for rate in RATES.get(folder.name, (0.1, 0.15, 0.2)):
            cells = [f"{at_rate(curves['all'], rate, 'psnr_db'):.2f}", f"{at_rate(curves['all'], rate, 'ms_ssim'):.4f}"]
            for curve in (curves["some"], curves["avif"]):
                cells += [f"{at_rate(curve, rate, 'psnr_db'):.2f}", f"{at_rate(curve, rate, 'ms_ssim'):.4f}"]
                cells += [f"{at_rate(curve, rate, 'ssimulacra2'):.1f}"]
            print(f"| {rate} | " + " | ".join(cells) + " |")
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
