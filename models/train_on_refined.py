"""Train the autoencoder's decoder and its context model on refined codes, which are what archives hold.

    python models/train_on_refined.py --data PICTURES --features FEATURES --start RUN --out REFINED
    python models/export.py --run REFINED --name light-1

``train_autoencoder.py`` shows the decoder what the encoder makes of a picture. Refinement moves latents to where the
decoder of then gives a better picture of fewer bits; this teaches decoder and context model what they are shown since.
Then squares are refined again, for these. The encoder stays as it is. Each pass ends with RUN/checkpoint.pt.
"""

import argparse
import copy
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from export import quantised, rate_model_of
from gradients import Gradients, gradients_on
from refined_squares import SIDE, Squares, all_of, refined, refined_squares
from torch import Tensor, nn
from torch.func import functional_call
from train_autoencoder import (
    PERCEPTUAL_WORTH,
    RD_LAMBDA,
    STRUCTURES_WORTH,
    partly_perceived,
    shown_channels,
)
from training_pictures import (
    Crops,
    Photos,
    as_pictures,
    judged_pictures,
    load_drawn,
    load_pictures,
    training_pictures,
)

from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.effort import SHORT_EFFORT
from unicorn_codec.model_registry import AUTOENCODER, get_model, names
from unicorn_codec.packing.refinement import Objective
from unicorn_codec.transform.autoencoder import SCALE_SUFFIX, PackagedAutoencoder, weights_of
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.distortion import distortion
from unicorn_codec.transform.resampling import double

PACE = 5e-5
RATE_PACE = 1e-3
"""Of Adam at its fastest, for the decoder and for the context model."""

WARMING = 50
"""Steps in which a pass reaches its pace."""

TOLD_EVERY = 30
"""Seconds."""

JUDGED_STEPS = (2.0, 4.0, 8.0)


class RefinedTrainer:
    """Decoder and context model of the autoencoder, the decoder as the package will hold it: kernels are rounded.

    Args:
        perceptual: (N,) distances of pictures (N, 3, H, W) in [0, 1], twice.
        weight: of these, added to ``distortion``.
        pace: of Adam at its fastest, for the decoder.
    """

    def __init__(
        self,
        autoencoder: PackagedAutoencoder,
        rate: RateModel,
        perceptual: nn.Module,
        weight: float,
        gradients: Gradients,
        pace: float = PACE,
    ) -> None:
        self.device, self.network = autoencoder.device, autoencoder.network
        self.fast_bfloat16 = has_fast_bfloat16(self.device)
        self.perceptual, self.weight, self.gradients = perceptual.to(self.device), weight, gradients
        self.decoder: nn.Module = self.network.decoder.requires_grad_(requires_grad=True)
        self.rate = rate.requires_grad_(requires_grad=True)
        self.paces = pace, RATE_PACE
        self.optimizers = (
            torch.optim.Adam(self.decoder.parameters(), betas=(0.9, 0.99)),
            torch.optim.Adam(self.rate.parameters(), betas=(0.9, 0.98)),
        )
        self._threads = threading.local()
        self.trained = [*self.decoder.parameters(), *self.rate.parameters()]

    def train_step(self, squares: Squares, pace: float) -> Tensor:
        """One step at a part of the pace; returns the decoder's and the context model's loss, (2,)."""

        compute = self._losses_of_halves if squares.half else self._losses_of_whole
        losses = self.gradients.differentiate(compute, self.trained, squares.tensors)[1:]
        for optimizer, fastest in zip(self.optimizers, self.paces, strict=True):
            optimizer.param_groups[0]["lr"] = fastest * pace
            optimizer.step()
        return losses

    def _losses_of_whole(self, *tensors: Tensor) -> Tensor:
        return self._losses(Squares.of(tensors, half=False))

    def _losses_of_halves(self, *tensors: Tensor) -> Tensor:
        return self._losses(Squares.of(tensors, half=True))

    def _losses(self, squares: Squares) -> Tensor:
        """The sum of the losses, the decoder's and the context model's, (3,)."""
        losses = torch.stack([self.decoder_loss(squares), self.rate_loss(squares)])
        return torch.cat([losses.sum(0, keepdim=True), losses])

    def decoder_loss(self, squares: Squares) -> Tensor:
        """Mean distortion, in what a bit is worth at each one's step, times the step, as in ``train_autoencoder``."""
        pictures = as_pictures(squares.pixels, self.device)
        symbols = squares.symbols.float() * shown_channels(len(squares.symbols), squares.symbols.shape[1], self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16):
            planes = self.network.with_step(symbols * squares.own_steps.view(-1, 1, 1, 1), squares.own_steps)
            planes = planes.contiguous(memory_format=torch.channels_last)
            decoded = functional_call(self._own_decoder(), self.rounded(), (planes,)).float()
            decoded = double(decoded) if squares.half else decoded
            seen = partly_perceived(self.perceptual, decoded, pictures)
        worth = distortion(decoded, pictures, structures=STRUCTURES_WORTH) + self.weight * seen
        return (worth / (RD_LAMBDA * squares.steps)).mean()

    def _own_decoder(self) -> nn.Module:
        """The decoder's layers for the calling thread alone: ``functional_call`` changes a module while it runs."""
        if not hasattr(self._threads, "decoder"):
            self._threads.decoder = copy.deepcopy(self.decoder)
        decoder: nn.Module = self._threads.decoder
        return decoder

    def rate_loss(self, squares: Squares) -> Tensor:
        """Mean logarithm of the rates, refined and plain: a coarse step's few bits matter as much as a fine one's."""
        plain = (squares.latents.float() / squares.own_steps.view(-1, 1, 1, 1)).round()
        symbols = torch.cat([squares.symbols.float(), plain])
        bits = self.rate.bits(symbols, squares.levels.repeat(2)).sum((1, 2, 3))
        return torch.log(bits / (symbols[0, 0].numel() * 256) + 0.02).mean()

    def rounded(self) -> dict[str, Tensor]:
        """The decoder's weights as the package holds them; gradients pass unchanged."""
        weights: dict[str, Tensor] = dict(self.decoder.named_parameters())
        for name, weight in weights.items():
            if (found := quantised(f"decoder.{name}", weight.detach())) is not None:
                stored = weights_of({name: found[0], name + SCALE_SUFFIX: found[1]})[name]
                weights[name] = weight + (stored - weight).detach()
        return weights


def batches(squares: Sequence[Squares], batch: int, rng: np.random.Generator) -> Iterator[Squares]:
    """All squares again and again, in an order of chance; a batch has those of one sequence."""
    while True:
        chosen = []
        for some in squares:
            order = torch.from_numpy(rng.permutation(len(some.pixels)))
            chosen += [(some, numbers) for numbers in order.split(batch) if len(numbers) == batch]
        if not chosen:
            raise ValueError(f"there are fewer than {batch} squares of a kind: refine for longer")
        for number in rng.permutation(len(chosen)):
            some, numbers = chosen[number]
            yield some.picked(numbers.to(some.pixels.device))


def fixed(autoencoder: PackagedAutoencoder, rate: RateModel) -> tuple[PackagedAutoencoder, RateModel]:
    """Copies that are not trained."""
    frozen = copy.copy(autoencoder)
    frozen.network, rate = copy.deepcopy((autoencoder.network, rate))
    frozen.network.requires_grad_(requires_grad=False)
    return frozen, rate.requires_grad_(requires_grad=False)


def judged(autoencoder: PackagedAutoencoder, rate: RateModel, crops: Tensor) -> str:
    """What refined codes of squares cost, in a line."""
    told = []
    for step in JUDGED_STEPS:
        objective = Objective(autoencoder=autoencoder, rate=rate, step=step, half=False)
        squares = refined(autoencoder, rate, crops, step, SHORT_EFFORT, half=False)
        pictures, symbols = as_pictures(squares.pixels, autoencoder.device), squares.symbols.float()
        with torch.no_grad():
            decoded = autoencoder.decode(symbols * step, step)
            errors = (decoded.clamp(-1, 1) - pictures).square().mean((1, 2, 3)) * 127.5**2
            cost = objective.cost(pictures, symbols).mean() / pictures[0, 0].numel()
            bits = rate.bits(symbols, squares.levels).sum() / pictures[:, 0].numel()
        told.append(
            f"step {step:g}: {bits:.4f} bpp {(10 * torch.log10(255**2 / errors)).mean():.3f} dB cost {cost:.4f}"
        )
    return " | ".join(told)


def beginning(start: str, device: torch.device) -> tuple[PackagedAutoencoder, RateModel, dict[str, object]]:
    """An autoencoder of the package, its context model and its shape, by name, or those of a run in a folder."""
    if start in names(AUTOENCODER):
        rate = RateModel.of(load_context_model(start)).to(device)
        return PackagedAutoencoder(device, name=start), rate, dict(get_model(AUTOENCODER, start).config)
    shape = json.loads((Path(start) / "settings.json").read_text())["network"]
    autoencoder = PackagedAutoencoder(device)
    autoencoder.network = CodingAutoencoder(**shape).to(device)
    autoencoder.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = torch.load(Path(start) / "checkpoint.pt", map_location=device, weights_only=True)
    autoencoder.network.load_state_dict(state["average"])
    return autoencoder, rate_model_of(state["rate"]).to(device), shape


def by_kind(refined: Iterable[Squares]) -> list[Squares]:
    """Whole ones and halves."""
    kinds: dict[bool, list[Squares]] = {}
    for some in refined:
        kinds.setdefault(some.half, []).append(some)
    return [all_of(parts) for parts in kinds.values()]


def pace_of_pass(done: int, passes: int, part: float) -> float:
    """What is left of all passes after a part of one: it falls evenly to nothing."""
    return 1 - (done + part) / passes


def train(trainer: RefinedTrainer, drawn: Iterator[Squares], minutes: float, pace: Callable[[float], float]) -> None:
    """Train for so long; ``pace`` says how fast after which part of it."""
    started, told, losses = time.monotonic(), 0.0, list[Tensor]()
    for number, squares in enumerate(drawn, start=1):
        elapsed = time.monotonic() - started
        if elapsed >= 60 * minutes:
            break
        losses.append(trainer.train_step(squares, pace(elapsed / (60 * minutes)) * min(1.0, number / WARMING)))
        if elapsed - told >= TOLD_EVERY:
            means = torch.stack(losses).mean(0).tolist()
            print(f"{elapsed:6.0f}s step {number} losses {means[0]:.4f} {means[1]:.4f}", flush=True)
            told, losses = elapsed, []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--drawn", type=Path, help="folder of drawn pictures, instead of drawing them")
    parser.add_argument("--features", type=Path, required=True, help="SqueezeNet 1.1 features (safetensors)")
    parser.add_argument("--perceptual", type=float, default=PERCEPTUAL_WORTH, help="weight of the perceptual distance")
    parser.add_argument("--start", required=True, help="folder of the autoencoder's run, or the autoencoder's name")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--passes", type=int, default=2, help="squares are refined, and trained on, so many times")
    parser.add_argument("--refining", type=float, default=20, help="minutes of a pass in which squares are refined")
    parser.add_argument("--rounds", type=int, default=SHORT_EFFORT, help="of refinement")
    parser.add_argument("--minutes", type=float, default=20, help="of training in a pass")
    parser.add_argument("--pace", type=float, default=PACE, help="of Adam at its fastest, for the decoder")
    parser.add_argument("--batch", type=int, default=8, help="squares of a step")
    parser.add_argument("--together", type=int, default=8, help="squares that are refined together")
    parser.add_argument("--judged", type=int, default=8, help="squares, not trained on, that the progress is told of")
    parser.add_argument("--parts", type=int, default=2, help="of a step's squares, each worked on by a CPU thread")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    args.out.mkdir(parents=True, exist_ok=True)
    autoencoder, rate, shape = beginning(args.start, torch.device(args.device))
    (args.out / "settings.json").write_text(json.dumps({**vars(args), "network": shape}, default=str, indent=2))
    pictures, rng = Photos(load_pictures(args.data), load_drawn(args.drawn)), np.random.default_rng(args.seed)
    unseen = next(iter(Crops(judged_pictures(pictures), args.judged, SIDE, torch.device("cpu"))))
    crops = iter(Crops(training_pictures(pictures), args.together, SIDE, autoencoder.device))
    gradients = gradients_on(autoencoder.device, args.parts)
    perceptual = PerceptualDistance(args.features)
    trainer = RefinedTrainer(autoencoder, rate, perceptual, args.perceptual, gradients, args.pace)
    print(judged(*fixed(autoencoder, rate), unseen), flush=True)
    for done in range(args.passes):
        squares = by_kind(
            refined_squares(
                *fixed(autoencoder, rate), crops, rng, minutes=args.refining, rounds=args.rounds, threads=args.parts
            )
        )
        print(f"{sum(len(some.pixels) for some in squares)} squares", flush=True)
        pace = partial(pace_of_pass, done, args.passes)
        train(trainer, batches(squares, args.batch, rng), args.minutes, pace)
        print(judged(*fixed(autoencoder, rate), unseen), flush=True)
        torch.save({"average": autoencoder.network.state_dict(), "rate": rate.state_dict()}, args.out / "checkpoint.pt")


if __name__ == "__main__":
    main()
