"""Measure what SSIMULACRA2 each quantisation step, and each quality of AVIF, reaches: the tables behind ``--quality``.

    python models/calibrate_quality.py --data PICTURES

On the training pictures that the autoencoder's training held out; prints the lines of ``unicorn_codec/quality.py``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from training_pictures import UNSEEN, load_pictures

from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.effort import SHORT_EFFORT
from unicorn_codec.model_registry import AUTOENCODER, default_name, names
from unicorn_codec.packing.refinement import Objective
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

STEPS = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 12.0)
AVIF_QUALITIES = (0, 10, 20, 30, 40, 49, 50, 60, 70, 80, 90, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--name", choices=names(AUTOENCODER), default=default_name(), help="of the model")
    args = parser.parse_args()
    held_out = load_pictures(args.data)[::UNSEEN]
    autoencoder = PackagedAutoencoder(torch.device("cpu"), name=args.name)
    chosen = held_out[:: max(1, len(held_out) // args.pictures)]
    steps = np.mean([reached_by_latents(autoencoder, args.name, picture) for picture in chosen], axis=0)
    qualities = np.mean([reached_by_avif(picture) for picture in chosen], axis=0)
    for name, places, means in (("STEP", STEPS, steps), ("AVIF", AVIF_QUALITIES, qualities)):
        print(f"QUALITY_OF_{name} = (")
        print("".join(f"    ({place}, {mean:.1f}),\n" for place, mean in zip(places, means, strict=True)) + ")")


def reached_by_latents(autoencoder: PackagedAutoencoder, name: str, picture: np.ndarray) -> list[float]:
    """SSIMULACRA2 of a picture at each step, refined as usual, at full size."""
    height, width = picture.shape[:2]
    latents, rate = autoencoder.encode_pictures([picture], 16), RateModel.of(load_context_model(name))
    pixels, found = torch.from_numpy(picture.copy())[None], list[float]()
    for step in STEPS:
        objective = Objective(autoencoder=autoencoder, rate=rate, step=step, half=False)
        refined = objective.refine(pixels, latents, SHORT_EFFORT)
        (decoded,) = autoencoder.decode_pictures((refined / step).round() * step, height, width, step)
        found.append(judged(picture, decoded))
    return found


def judged(picture: np.ndarray, decoded: np.ndarray) -> float:
    """SSIMULACRA2 of a picture that is large enough for it, as all training pictures are."""
    value = ssimulacra2(picture, decoded)
    assert value is not None
    return value


def reached_by_avif(picture: np.ndarray) -> list[float]:
    """SSIMULACRA2 of a picture at each of Pillow's qualities."""
    return [judged(picture, encode_avif(picture, quality)[1]) for quality in AVIF_QUALITIES]


if __name__ == "__main__":
    main()
