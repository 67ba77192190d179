"""Whether several samples a round refine better at equal time (MS-NIC): the cost of refined codes.

    python benchmarks/multi_sample.py --data PICTURES --rounds 48 --samples 1 2 4

K samples of the random rounding are drawn in each of ROUNDS / K rounds. Their mean cost is minimised, or with
``--bound`` the negative logarithm of the mean likelihood (the multiple-sample bound). Printed is the cost in bits
relative to that of codes that are not refined, the mean over crops of some pictures.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import ReadOptions
from unicorn_codec.packing.refinement import (
    RANDOM_HARDEST,
    RANDOM_PATH,
    RANDOM_SOFTEST,
    SMALL_GRADIENT,
    Objective,
    softly_rounded,
)
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

READ = ReadOptions()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=6, help="pictures, evenly from the folder")
    parser.add_argument("--crop", type=int, default=128, help="side of the middle of each picture")
    parser.add_argument("--step", type=float, default=2.2)
    parser.add_argument("--rounds", type=int, default=48, help="decodings and gradients in all")
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--bound", action="store_true", help="minimise the multiple-sample bound instead of the mean")
    args = parser.parse_args()
    autoencoder = PackagedAutoencoder(torch.device("cpu"))
    rate = RateModel.of(load_context_model())
    objective = Objective(autoencoder=autoencoder, rate=rate, step=args.step, half=False)
    crops = crops_of(args.data, args.count, args.crop)
    for samples in args.samples:
        found = [refined_cost(objective, crop, args.rounds, samples, bound=args.bound) for crop in crops]
        print(f"{args.rounds // samples} rounds of {samples}: {sum(found) / len(found):.4f}", flush=True)


def crops_of(folder: Path, count: int, side: int) -> list[Pixels]:
    """Return the middle of some pictures, evenly from a folder."""
    listed, crops = list_folder(folder, READ), []
    for number in range(count):
        pixels = read_picture(listed, listed.pictures[number * len(listed.pictures) // count], READ)
        top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
        crops.append(pixels[top : top + side, left : left + side].copy())
    return crops


def refined_cost(objective: Objective, pixels: Pixels, rounds: int, samples: int, *, bound: bool) -> float:
    """Return the cost after refinement, relative to that before it."""
    symbols = objective.quantised(objective.autoencoder.encode_pictures([pixels], 16))
    picture = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        before = objective.cost(picture, symbols.round())
    moved = symbols.clone().requires_grad_()
    optimizer = torch.optim.Adam([moved], betas=(0.8, 0.99), eps=SMALL_GRADIENT)
    random = torch.Generator().manual_seed(0)
    taken = rounds // samples
    path = RANDOM_PATH * math.sqrt(taken)
    for number in range(taken):
        progress = number / taken
        optimizer.zero_grad()
        softness = RANDOM_SOFTEST * (RANDOM_HARDEST / RANDOM_SOFTEST) ** progress
        costs = torch.stack([
            objective.cost(picture, softly_rounded(moved, softness, random)) for _ in range(samples)
        ])  # fmt: skip
        combined(costs, bound=bound).sum().backward()
        optimizer.param_groups[0]["lr"] = path / (taken + 2) * (1 - progress)
        optimizer.step()
    with torch.no_grad():
        after = objective.cost(picture, moved.round())
    return float((torch.minimum(after, before) / before).mean())


def combined(costs: Tensor, *, bound: bool) -> Tensor:
    """Return (N,) what is minimised of costs (K, N) in bits."""
    if not bound:
        return costs.mean(0)
    return -(torch.logsumexp(-costs * math.log(2), 0) - math.log(len(costs))) / math.log(2)


if __name__ == "__main__":
    main()
