"""Train the embedded autoencoder's decoder on refined codes, which are what archives hold.

    python models/train_decoder.py --data PICTURES --features FEATURES --start embedded-6 --out RUN
    python models/train_autoencoder.py --out RUN --export autoencoder-7

``train_autoencoder.py`` shows the decoder what the encoder makes of a picture. Refinement moves latents to where the
decoder of then gives a better picture, and this teaches the decoder what it is shown since. The encoder, and with it
the code model, stay as they are. Squares that RUN holds already are taken instead of new ones.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from refined_squares import Square, refined_squares
from torch import Tensor, nn
from torch.func import functional_call
from train_autoencoder import (
    SLOPE,
    as_images,
    load_pictures,
    quantised,
    shown_channels,
    without_unseen,
)

from unicorn_codec.autoencoder import FILES, SCALE, EmbeddedAutoencoder, weights_of
from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.code_model import load_code_model
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.distortion import STRUCTURES, distortion
from unicorn_codec.header import EMBEDDED_AUTOENCODERS
from unicorn_codec.rate_model import RateModel
from unicorn_codec.resampling import double

PACE = 5e-5
"""Of Adam at its fastest; it falls evenly to nothing."""

STRUCTURES_WORTH = tuple(2 * weight for weight in STRUCTURES)
"""Weights of structure: twice those that pictures are refined with. Held-out pictures gained MS-SSIM by it, and lost
no PSNR and no SSIMULACRA2."""

TOLD_EVERY = 50
"""Batches."""


class DecoderTrainer:
    """The decoder of an embedded autoencoder, trained as the package will hold it: large kernels are rounded.

    Args:
        perceptual: (N,) distances of pictures (N, 3, H, W) in [0, 1], twice.
        weight: of these beside ``distortion``.
    """

    def __init__(self, autoencoder: EmbeddedAutoencoder, perceptual: nn.Module, weight: float) -> None:
        self.device, self.network = autoencoder.device, autoencoder.network
        self.fast_bfloat16 = has_fast_bfloat16(self.device)
        self.perceptual, self.weight = perceptual.to(self.device), weight
        self.decoder: nn.Module = self.network.decoder.requires_grad_(requires_grad=True)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=PACE, betas=(0.9, 0.99))

    def train_step(self, squares: Sequence[Square], pace: float) -> float:
        """One step on squares that are all whole or all halves, at a part of the pace; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = PACE * pace
        self.optimizer.zero_grad()
        loss = self.loss(squares)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def loss(self, squares: Sequence[Square]) -> Tensor:
        """Mean distortion, in what a bit is worth at each one's step, times the step, as in ``train_autoencoder``."""
        images = as_images(torch.stack([square.pixels for square in squares]), self.device)
        symbols = torch.stack([square.symbols for square in squares]).to(self.device).float()
        symbols *= shown_channels(*symbols.shape[:2], self.device)
        steps, own_steps = (
            torch.tensor(told, device=self.device)
            for told in zip(*((square.step, square.own_step) for square in squares), strict=True)
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16):
            planes = self.network.with_step(symbols * own_steps.view(-1, 1, 1, 1), own_steps)
            planes = planes.contiguous(memory_format=torch.channels_last)
            decoded = functional_call(self.decoder, self.rounded(), (planes,)).float()
            decoded = double(decoded) if squares[0].half else decoded
            seen = self.perceptual(decoded / 2 + 0.5, images / 2 + 0.5)
        worth = distortion(decoded, images, structures=STRUCTURES_WORTH) + self.weight * seen.float()
        return (worth / (SLOPE * steps)).mean()

    def rounded(self) -> dict[str, Tensor]:
        """The decoder's weights as the package holds them; gradients pass unchanged."""
        weights = dict(self.decoder.named_parameters())
        for name, weight in weights.items():
            if (found := quantised(f"decoder.{name}", weight.detach())) is not None:
                stored = weights_of({name: found[0], name + SCALE: found[1]})[name]
                weights[name] = weight + (stored - weight).detach()
        return weights


def batches(squares: Sequence[Square], batch: int, rng: np.random.Generator) -> Iterator[list[Square]]:
    """All squares again and again, in an order of chance; a batch has whole ones alone, or halves."""
    waiting: dict[bool, list[Square]] = {False: [], True: []}
    while True:
        for number in rng.permutation(len(squares)):
            alike = waiting[squares[number].half]
            alike.append(squares[number])
            if len(alike) == batch:
                yield alike.copy()
                alike.clear()


def squares_of_run(args: argparse.Namespace, autoencoder: EmbeddedAutoencoder) -> list[Square]:
    """Those that the run's folder holds, or new ones, which are put there."""
    path = args.out / "squares.pt"
    if not path.exists():
        pictures = without_unseen(load_pictures(args.data))
        rate = RateModel.of(load_code_model(args.start)).to(autoencoder.device)
        rng = np.random.default_rng(args.seed)
        found = refined_squares(autoencoder, pictures, rate, rng, minutes=args.refining, together=args.batch)
        torch.save([tuple(square) for square in found], path)
    return [Square(*square) for square in torch.load(path, weights_only=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--features", type=Path, required=True, help="SqueezeNet 1.1 features (safetensors)")
    parser.add_argument("--perceptual", type=float, default=200.0, help="weight of the perceptual distance")
    parser.add_argument("--start", metavar="NAME", choices=EMBEDDED_AUTOENCODERS, default=EMBEDDED_AUTOENCODERS[-1])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--refining", type=float, default=20, help="minutes in which squares are refined")
    parser.add_argument("--minutes", type=float, default=20, help="of training")
    parser.add_argument("--batch", type=int, default=8, help="squares of a step, and refined together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    autoencoder = EmbeddedAutoencoder(torch.device(args.device), name=args.start)
    squares = squares_of_run(args, autoencoder)
    print(f"{len(squares)} squares", flush=True)
    trainer = DecoderTrainer(autoencoder, PerceptualDistance(args.features), args.perceptual)
    started, losses = time.monotonic(), list[float]()
    for number, some in enumerate(batches(squares, args.batch, np.random.default_rng(args.seed)), start=1):
        elapsed = time.monotonic() - started
        if elapsed >= 60 * args.minutes:
            break
        left = 1 - elapsed / (60 * args.minutes)
        losses.append(trainer.train_step(some, left * min(1.0, number / 20)))
        if number % TOLD_EVERY == 0:
            mean = np.mean(losses[-TOLD_EVERY:])
            print(f"{elapsed:6.0f}s step {number} loss {mean:.4f}", flush=True)
    torch.save({"average": autoencoder.network.state_dict()}, args.out / "checkpoint.pt")
    network = json.loads((resources.files("unicorn_codec") / "pretrained" / f"{FILES[args.start]}.json").read_text())
    settings = {"network": network, **vars(args)}
    (args.out / "settings.json").write_text(json.dumps(settings, default=str, indent=2))


if __name__ == "__main__":
    main()
