"""Whether bits of single pictures may move into the weights: a token for each picture, which the decoder is given.

    python benchmarks/index_tokens.py --data PICTURES --count 24 --tokens 4 16 --out index_tokens.json

The paper's decoder knows a picture by its index alone. Here the decoder of codes is given the index as well: a token of
a few numbers for each picture sets gains and shifts of the decoder's channels, by directions that all pictures share.
Codes are refined for the shipped networks and then stay. The shared update, the directions and the tokens are trained
on the pictures that are measured. An update without tokens is trained as long, so that what tokens gain is told from
what learning gains. Tokens are rounded and counted by their empirical entropy. Directions are stored once an archive:
the result says from how many pictures on their bytes are paid for. Trained on few pictures they gain more than they
could for so many, so that this flatters tokens.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from multi_sample import crops_of
from torch import Tensor, nn

from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.codes.stored_update import serialize_update
from unicorn_codec.packing.learned_cost import LearnedCost
from unicorn_codec.packing.learning import BITS_PER_VALUE
from unicorn_codec.packing.learning_windows import LearningWindows
from unicorn_codec.packing.update_training import copied, rate_of, start_update
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels, quantise_update

SIDE = 256
TOKEN_RATE = 0.1
BATCH = 4
ROUNDINGS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Steps of tokens, in units of the root mean square of all; the best one is taken."""

SEED = 0


class Tokens(nn.Module):
    """An update of the decoder for each picture: a shared one, plus directions weighted by the picture's token.

    Args:
        shared: an update that changes nothing; only its tensors of the decoder are trained.
    """

    def __init__(self, shared: Mapping[str, Tensor], pictures: int, length: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        self.fixed = {name: tensor for name, tensor in shared.items() if not name.startswith("decoder.")}
        self.names = [name for name in shared if name not in self.fixed]
        self.shared = nn.ParameterList(shared[name] for name in self.names)
        # The tokens start at random and the directions at zero: nothing is changed, but there is a gradient.
        self.directions = nn.ParameterList(torch.zeros(length, *shared[name].shape) for name in self.names)
        self.tokens = nn.Parameter(torch.randn(pictures, length, generator=generator))

    def update_of(self, token: Tensor) -> dict[str, Tensor]:
        """Return the update of a picture with a token (K,)."""
        update = dict(self.fixed)
        for name, shared, directions in zip(self.names, self.shared, self.directions, strict=True):
            update[name] = shared + torch.einsum("k,kij->ij", token, directions)
        return update

    def optimizer(self, pace: float) -> torch.optim.Adam:
        """Return an optimizer with the rates of learning; those of the directions times ``pace``."""
        groups = [{"params": [self.tokens], "lr": TOKEN_RATE}]
        for name, shared, directions in zip(self.names, self.shared, self.directions, strict=True):
            groups.append({"params": [shared], "lr": rate_of(name)})
            groups.append({"params": [directions], "lr": pace * rate_of(name)})
        return torch.optim.Adam(groups, betas=(0.9, 0.98))


def trained(cost: LearnedCost, windows: LearningWindows, length: int, steps: int, pace: float) -> Tokens:
    """Return tokens of a length, trained with their shared update."""
    tokens = Tokens(copied(start_update(cost.models, 0, SEED)), len(windows), length)
    optimizer, generator = tokens.optimizer(pace), np.random.default_rng(SEED)
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / 10) * (1 - step / steps) ** 0.7
        optimizer.zero_grad()
        for picture in generator.choice(len(windows), min(BATCH, len(windows)), replace=False).tolist():
            _, worth = cost.parts(windows.some([picture]), tokens.update_of(tokens.tokens[picture]))
            (worth.mean() / BATCH).backward()
        nn.utils.clip_grad_norm_(tokens.parameters(), 1.0)
        optimizer.step()
    return tokens


@torch.no_grad()
def distortion_bits(cost: LearnedCost, windows: LearningWindows, tokens: Tokens, values: Tensor) -> float:
    """Return the mean distortion of a picture, in the bits that it is worth.

    Args:
        values: (N, K) tokens.
    """
    pixels = windows.pixels[0, 0].numel()
    parts = [cost.parts(windows.some([n]), tokens.update_of(values[n]))[1].mean() for n in range(len(windows))]
    return pixels * float(torch.stack(parts).mean())


def rounded(values: Tensor, rounding: float) -> tuple[Tensor, float]:
    """Return tokens (N, K) rounded to multiples of a step, and the bits of one by their empirical entropy."""
    if not values.numel():
        return values, 0.0
    step = rounding * values.square().mean().sqrt()
    symbols = (values / step).round()
    _, counts = symbols.unique(return_counts=True)
    shares = counts / counts.sum()
    return symbols * step, values.shape[1] * float(-(shares * shares.log2()).sum())


def compare(
    cost: LearnedCost, windows: LearningWindows, lengths: Sequence[int], steps: int, pace: float
) -> list[dict[str, Any]]:
    """Return what tokens of each length cost and gain; a length of 0 is the shared update alone."""
    rows = list[dict[str, Any]]()
    for length in (0, *lengths):
        tokens = trained(cost, windows, length, steps, pace)
        found = []
        for rounding in ROUNDINGS if length else ROUNDINGS[:1]:
            values, bits = rounded(tokens.tokens.detach(), rounding)
            found.append((distortion_bits(cost, windows, tokens, values) + bits, bits, rounding))
        total, bits, rounding = min(found)
        numbers = sum(directions.numel() for directions in tokens.directions)
        gain = (rows[0]["distortion_bits"] if rows else total) - total
        rows.append({
            "token_numbers": length,
            "rounding": rounding,
            "token_bits": bits,
            "distortion_bits": total - bits,
            "gain_bits": gain,
            "numbers_of_directions": numbers,
            "pictures_to_pay": math.ceil(BITS_PER_VALUE * numbers / gain) if gain > 0 else None,
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=24, help="pictures, evenly from the folder")
    parser.add_argument("--step", type=float, default=3.0)
    parser.add_argument("--effort", type=int, default=6, help="rounds of refinement of the codes")
    parser.add_argument("--tokens", type=int, nargs="+", default=[4, 16], help="numbers of a token")
    parser.add_argument("--steps", type=int, default=200, help="of training")
    parser.add_argument("--pace", type=float, default=0.2, help="factor of the learning rates of directions")
    parser.add_argument("--autoencoder", help="model of the package")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    command = shlex.join(["python", *sys.argv]).replace(str(args.data), args.data.name)
    torch.manual_seed(SEED)
    autoencoder = PackagedAutoencoder(torch.device("cpu"), name=args.autoencoder)
    context = load_context_model()
    models = UpdatedModels(autoencoder, context)
    cost = LearnedCost(models=models, rate=RateModel.of(context), step=args.step)
    plain = serialize_update(quantise_update(start_update(models, 0, SEED), 0.5), 0)
    (windows,) = cost.refined([windows_of(args.data, args.count)], plain, args.effort)
    bits, worth = cost.measure([windows], start_update(models, 0, SEED))
    pixels = windows.pixels[0, 0].numel()
    print(f"{bits * pixels:.0f} bits a picture, distortion worth {(worth - bits) * pixels:.0f}", flush=True)
    values = {
        **provenance(command, SEED, "cpu"),
        "models_sha256": package_models_sha256(),
        "pictures": len(windows),
        "step": args.step,
        "code_bits": bits * pixels,
        "distortion_bits": (worth - bits) * pixels,
        "rows": compare(cost, windows, args.tokens, args.steps, args.pace),
    }
    args.out.write_text(json.dumps(values, indent=1) + "\n")


def windows_of(folder: Path, count: int) -> LearningWindows:
    """Return the middle of some pictures, evenly from a folder, as windows."""
    crops = torch.from_numpy(np.stack(crops_of(folder, count, SIDE)))
    return LearningWindows(crops.permute(0, 3, 1, 2).contiguous(), half=False)


if __name__ == "__main__":
    main()
