"""Measure what SSIMULACRA2 each quantisation step reaches: the table behind ``--quality``.

    python models/calibrate_quality.py --data PICTURES

On the training pictures that the autoencoder's training held out; prints the lines of
``unicorn_codec.quality.QUALITY_OF_STEP``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from train_autoencoder import load_pictures

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.bench.qualities import ssimulacra2

STEPS = (1.0, 1.5, 2.0, 3.0, 4.5, 6.5, 9.5, 14.0, 20.0, 28.0, 36.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--pictures", type=int, default=30)
    args = parser.parse_args()
    held_out = load_pictures(args.data)[::60]
    autoencoder = EmbeddedAutoencoder(torch.device("cpu"))
    qualities = np.array([
        reached(autoencoder, picture) for picture in held_out[:: max(1, len(held_out) // args.pictures)]
    ])  # fmt: skip
    for step, mean, low in zip(STEPS, qualities.mean(0), np.quantile(qualities, 0.1, axis=0), strict=True):
        print(f"    ({step:g}, {mean:.1f}),  # 10th percentile {low:.1f}")


def reached(autoencoder: EmbeddedAutoencoder, picture: np.ndarray) -> list[float]:
    """SSIMULACRA2 of a picture at each step."""
    height, width = picture.shape[:2]
    latents = autoencoder.encode_pictures([picture], 16)
    return [
        ssimulacra2(picture, autoencoder.decode_pictures((latents / step).round() * step, height, width, step)[0])
        for step in STEPS
    ]


if __name__ == "__main__":
    main()
