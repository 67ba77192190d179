"""Train the packaged autoencoder as a variable-rate transform codec.

    python models/train_autoencoder.py --data PICTURES --out RUN --minutes 80
    python models/train_autoencoder.py --data PICTURES --out RUN --minutes 62 --start photo-1  # trained on from that
    python models/export.py --run RUN --name photo-2
    python models/train_autoencoder.py --data PICTURES --judge photo-1  # measure the packaged one

Every sample draws its own quantisation step, log-uniform over the network's range; its loss is
distortion / (75 step^2) + rate, times the step. The rate is that of the context model (``rate_model``), trained along.
Distortion is the squared error at first, later also MS-SSIM and, where features are given, a perceptual
distance. The run can be stopped and started again: it goes on from RUN/checkpoint.pt.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.codes.context_model import level_of, load_context_model
from unicorn_codec.codes.rate_model import WEIGHT_NAMES, RateModel
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder, ResidualBlock
from unicorn_codec.transform.distortion import STRUCTURES, distortion

NETWORK: dict[str, Any] = {
    "latent_channels": 64,
    "widths": [32, 64, 128, 160],
    "encoder_depths": [1, 2, 2, 1],
    "decoder_depths": [1, 2, 3, 2],
    "max_step": 12.0,
}
GROWN: dict[str, Any] = NETWORK | {"encoder_depths": [1, 2, 3, 2], "decoder_depths": [1, 3, 6, 6]}
"""What ``--start`` makes of an earlier network."""

HIDDEN = 16
"""Hidden values a channel of the context model."""

LEADING_CHANNELS = 16
"""What an index-only archive keeps: 16 channels at 1/16, as many values as 4 channels at 1/8."""

SLOPE = 75.0
"""Squared error (255 scale) that one bit per pixel is worth, over the squared step."""

STRUCTURES_WORTH = tuple(2 * weight for weight in STRUCTURES)
"""Weights of structure: twice those that pictures are refined with. Held-out pictures gained MS-SSIM by it, and lost
no PSNR and no SSIMULACRA2."""

PERCEPTUAL_WORTH = 200.0
"""Weight of the perceptual distance: without it there is more of everything else, and it grows by a tenth."""

RATE_MODEL_PACE = 1e-3
REVIVING = 300
"""Batches in which revived latents take no rate: they must be used before they are paid."""

SMALLEST_PART = 0.6
"""Half of the crops are made smaller, down to this: pictures of other cameras have more in fewer pixels."""

COMPILED = ("encode", "decode", "distortion", "perceptual")
"""Parts of a step that may be compiled, which takes the first minutes of a run."""

UNSEEN = 60
"""One picture in so many is not trained on."""

HELD_OUT = 4 * UNSEEN
"""A run is judged by one picture in so many."""

SILENT = 0.5
FINE = 1.5
"""Standard deviations of latents that say nothing at the finest step, and of those that coarse steps do not see."""

LEADING_PART = 0.1
"""Of the crops, that the decoder sees the leading channels of alone."""

LAST_CROP, LAST_CROPS_FROM = 256, 0.75
"""Side of the crops at the end, and the part of a run after which they come: edges weigh less then."""

SPIKE = 4.0
"""A batch whose loss is so many times the usual is left out."""


def load_pictures(folder: Path) -> list[np.ndarray]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})

    def load(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(load, paths))
    return [p for p in pictures if min(p.shape[:2]) >= 128]


def random_crops(pictures: Sequence[np.ndarray], batch: int, size: int, rng: np.random.Generator) -> Tensor:
    """(batch, size, size, 3) uint8; pictures too small for the size are left out by redrawing."""
    crops = np.empty((batch, size, size, 3), np.uint8)
    for slot in range(batch):
        picture = pictures[int(rng.integers(len(pictures)))]
        while min(picture.shape[:2]) < size:
            picture = pictures[int(rng.integers(len(pictures)))]
        smaller = rng.uniform(SMALLEST_PART, 1) if rng.random() < 0.5 else 1.0
        side = min(round(size / smaller), *picture.shape[:2])
        top = rng.integers(picture.shape[0] - side + 1)
        left = rng.integers(picture.shape[1] - side + 1)
        crop = picture[top : top + side, left : left + side]
        if side > size:
            crop = np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS))
        crops[slot] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return torch.from_numpy(crops)


class Crops(IterableDataset[Tensor]):
    """Batches of ``random_crops`` without end, others in each worker and from each seed."""

    def __init__(self, pictures: list[np.ndarray], batch: int, size: int, seed: int) -> None:
        self.pictures, self.batch, self.size, self.seed = pictures, batch, size, seed

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield random_crops(self.pictures, self.batch, self.size, rng)


def as_pictures(crops: Tensor, device: torch.device) -> Tensor:
    """(N, 3, H, W) in [-1, 1], channels last, of crops (N, H, W, 3)."""
    return crops.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1


class Replay:
    """A computation of tensors that a GPU is told of once and then repeats.

    A step is thousands of small kernels: to launch each of them takes a processor longer than the GPU to run it. What
    it returns, and the gradients that it leaves, lie at the same place each time.
    """

    def __init__(self, compute: Callable[..., Tensor], *tensors: Tensor) -> None:
        self._tensors = [tensor.clone() for tensor in tensors]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # the libraries choose their kernels before they are recorded
            for _ in range(3):
                compute(*self._tensors)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # others pin memory meanwhile
            self._result = compute(*self._tensors)

    def __call__(self, *tensors: Tensor) -> Tensor:
        for own, tensor in zip(self._tensors, tensors, strict=True):
            own.copy_(tensor)
        self._graph.replay()
        return self._result


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024): torch's own computes in bfloat16, which many processors only emulate."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, kind: torch.dtype) -> None:
        super().__init__(matrices, {"lr": lr})
        self._kind = kind

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrices in alike(group["params"]):
                momenta = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
                gradients = [m.grad for m in matrices if m.grad is not None]
                torch._foreach_lerp_(momenta, gradients, 0.05)
                updates = torch.stack(torch._foreach_lerp(gradients, momenta, 0.95))
                updates = orthogonalise(updates.to(self._kind)).to(updates.dtype)
                rows, columns = matrices[0].shape
                pace = group["lr"] * max(1, rows / columns) ** 0.5
                torch._foreach_add_([*matrices], list(updates), alpha=-pace)


def alike(matrices: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those of one shape together."""
    groups: dict[torch.Size, list[nn.Parameter]] = {}
    for matrix in matrices:
        groups.setdefault(matrix.shape, []).append(matrix)
    return list(groups.values())


def orthogonalise(matrices: Tensor) -> Tensor:
    """About the nearest matrices (N, rows, columns) with singular values of one.

    Five Newton-Schulz steps with Jordan's coefficients.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    wide = wide / wide.float().norm(dim=(1, 2), keepdim=True).clamp_min(1e-7).to(wide.dtype)
    for _ in range(5):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315), wide, beta=3.4445)
    return wide.mT if tall else wide


def counterparts(earlier: nn.Sequential, layers: nn.Sequential) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Pairs of layers with the same job; a stage's additional blocks, at its end, have none."""
    waiting = list(earlier)
    for layer in layers:
        if not isinstance(layer, ResidualBlock) or isinstance(waiting[0], ResidualBlock):
            yield waiting.pop(0), layer


def grow(earlier: CodingAutoencoder, network: CodingAutoencoder) -> None:
    """Make a network compute what an earlier one does: its additional blocks start as the identity."""
    for old, new in [*counterparts(earlier.encoder, network.encoder), *counterparts(earlier.decoder, network.decoder)]:
        new.load_state_dict(old.state_dict())


@torch.no_grad()
def revive(network: CodingAutoencoder, pictures: Tensor, size: float) -> Tensor:
    """Make latents that say nothing say something new.

    A channel whose values all round to zero gets no gradient but the rate's, which keeps it there.

    Args:
        size: standard deviation that these channels get.

    Returns:
        (C,) which ones they are.
    """
    last, first = network.encoder[-1], network.decoder[0]
    assert isinstance(last, nn.Conv2d) and last.bias is not None and isinstance(first, nn.Conv2d)
    silent = network.encode(pictures).std((0, 2, 3)) < SILENT
    last.weight[silent] = torch.randn_like(last.weight[silent])
    last.bias[silent] = 0.0
    latents = network.encode(pictures)[:, silent]
    scale = size / latents.std((0, 2, 3))
    last.weight[silent] *= scale.view(-1, 1, 1, 1)
    last.bias[silent] = -scale * latents.mean((0, 2, 3))
    first.weight[:, :-1][:, silent] = 0.0
    print(f"{silent.sum()} silent channels", flush=True)
    return silent


def without_unseen(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Those to train on."""
    return [picture for number, picture in enumerate(pictures) if number % UNSEEN]


def shown_channels(batch: int, channels: int, device: torch.device) -> Tensor:
    """(N, C, 1, 1) which latent channels the decoder sees: of some crops the leading ones alone."""
    leading = torch.rand(batch, 1, 1, 1, device=device) < LEADING_PART
    return ~leading | (torch.arange(channels, device=device).view(-1, 1, 1) < LEADING_CHANNELS)


class Trainer:
    """Networks, their averages and optimisers of one run."""

    def __init__(self, out: Path, pictures: list[np.ndarray], features: Path | None, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.out, self.args, self.device = out, args, torch.device(args.device)
        self.fast_bfloat16 = has_fast_bfloat16(self.device)
        torch.backends.cudnn.benchmark = True  # all batches have one shape
        self.validation, self.pictures = pictures[::HELD_OUT], without_unseen(pictures)
        self.shape = GROWN if args.start else NETWORK
        self.network = CodingAutoencoder(**self.shape).to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rate = RateModel(self.shape["latent_channels"], HIDDEN).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.perceptual: Callable[[Tensor, Tensor], Tensor] | None = None
        if features:
            perceptual = PerceptualDistance(features).to(self.device)
            perceptual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.perceptual = self._compiled("perceptual", perceptual)
        self.elapsed, self.step = 0.0, 0
        self.usual_loss: Tensor | None = None
        self.revived = torch.zeros(self.shape["latent_channels"], 1, 1, dtype=torch.bool, device=self.device)
        if args.start:
            self.start(args.start)
        self.optimizers = self._optimizers()
        self.encode = self._compiled("encode", self.network.encode)
        self.decode = self._compiled("decode", self.network.decode)
        self.distortion = self._compiled("distortion", distortion)
        self.replays: dict[tuple[torch.Size, bool, bool], Replay] = {}

    def _compiled(self, name: str, part: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return torch.compile(part, dynamic=False) if name in self.args.compile else part

    def start(self, name: str) -> None:
        """Take over a network of the package, which may have fewer blocks, and the context model of its latents."""
        grow(PackagedAutoencoder(self.device, name=name).network, self.network)
        model = load_context_model(name)
        self.rate.load_integers({name: getattr(model, name) for name in WEIGHT_NAMES})
        pictures = as_pictures(random_crops(self.pictures, 32, 128, np.random.default_rng(0)), self.device)
        self.revived = revive(self.network, pictures, FINE).view(-1, 1, 1)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        ends = {self.network.encoder[1].weight, self.network.encoder[-1].weight}
        ends |= {self.network.decoder[0].weight, self.network.decoder[-2].weight}
        hidden = [p for p in self.network.parameters() if p.ndim == 4 and p not in ends]
        rest = [p for p in self.network.parameters() if p.ndim != 4 or p in ends]
        # Muon wants matrices: each kernel's storage is given to it as (out, in * k * k).
        self.kernels = [(p, nn.Parameter(p.data.permute(0, 2, 3, 1).flatten(1))) for p in hidden]
        for kernel, matrix in self.kernels:
            assert matrix.data_ptr() == kernel.data_ptr(), "the optimiser must see the weights, not a copy"
        kind = torch.bfloat16 if self.fast_bfloat16 else torch.float32
        muon = Muon([m for _, m in self.kernels], lr=self.args.muon_lr, kind=kind)
        groups = [
            {"params": rest, "lr": self.args.other_lr},
            {"params": list(self.rate.parameters()), "lr": RATE_MODEL_PACE},
        ]
        adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
        for optimizer in (muon, adam):
            for group in optimizer.param_groups:
                group["peak_lr"] = group["lr"]
        return [muon, adam]

    def run(self) -> None:
        budget = self.args.minutes * 60
        logged = saved = validated = self.elapsed
        started = time.monotonic() - self.elapsed
        totals: list[Tensor] = []
        crops = self._crops(self.args.crop, self.args.batch)
        small = self.args.crop < LAST_CROP
        while self.elapsed < budget:
            progress = self.elapsed / budget
            if small and progress > LAST_CROPS_FROM:
                small, batch = False, max(1, int(self.args.batch * (self.args.crop / LAST_CROP) ** 2))
                crops = self._crops(LAST_CROP, batch)
            self._set_rates(progress)
            totals.append(self.train_step(as_pictures(next(crops), self.device), progress))
            self.step += 1
            self.elapsed = time.monotonic() - started
            if self.elapsed - logged > 60:
                means = torch.stack(totals).mean(0).tolist()
                print(f"{self.elapsed:6.0f}s step {self.step} loss {means[0]:.4f} mse {means[1]:.1f}", flush=True)
                totals, logged = [], self.elapsed
            if self.elapsed - saved > 300:
                self.save()
                saved = self.elapsed
            if self.elapsed - validated > budget / 4:
                self.validate()
                validated = self.elapsed
        self.save()
        self.validate()

    def _set_rates(self, progress: float) -> None:
        decay = max(0.0, min(1.0, (1 - progress) / (1 - self.args.decay_from)))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * decay * min(1.0, (self.step + 1) / 100)

    def _crops(self, size: int, batch: int) -> Iterator[Tensor]:
        """Batches that other processes cut, where there are some."""
        dataset, workers = Crops(self.pictures, batch, size, self.step), self.args.workers
        return iter(DataLoader(dataset, None, num_workers=workers, pin_memory=self.device.type == "cuda"))

    def train_step(self, pictures: Tensor, progress: float) -> Tensor:
        """One step on (N, 3, H, W); returns loss, squared error and bits per pixel, (3,).

        Nothing here waits for a GPU, which else would do nothing while it is told of the optimisers' kernels.
        """
        refine = progress > self.args.refine_from or bool(self.args.start)
        smooth = progress < 0.15 and not self.args.start
        if self.step >= REVIVING:
            self.revived.zero_()
        told = self._differentiate(pictures, smooth=smooth, refine=refine).clone()
        usual = told[0] if self.usual_loss is None else self.usual_loss
        spike = ~(told[0] < SPIKE * usual)  # one such batch can undo an hour; NaN is none either
        told[0] = torch.where(spike, usual, told[0])
        self.usual_loss = torch.lerp(usual, told[0], 0.02)
        parameters = [*self.network.parameters(), *self.rate.parameters()]
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.masked_fill_(spike, 0.0)
        for kernel, matrix in self.kernels:
            assert kernel.grad is not None
            matrix.grad = kernel.grad.permute(0, 2, 3, 1).flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), 1 - decay)
        return told

    def _differentiate(self, pictures: Tensor, *, smooth: bool, refine: bool) -> Tensor:
        """``_terms``, (3,); their gradients are those of the parameters afterwards."""
        compute = partial(self._differentiate_now, smooth=smooth, refine=refine)
        if self.device.type != "cuda":
            return compute(pictures)
        kind = (pictures.shape, smooth, refine)
        if kind not in self.replays:
            self.replays.clear()  # an earlier one is not needed again, its memory is
            self.replays[kind] = Replay(compute, pictures)
        return self.replays[kind](pictures)

    def _differentiate_now(self, pictures: Tensor, *, smooth: bool, refine: bool) -> Tensor:
        for module in (self.network, self.rate):  # not the optimisers: Muon's matrices are not the kernels
            module.zero_grad()
        terms = self._terms(pictures, smooth=smooth, refine=refine)
        terms[0].backward()
        return torch.stack(terms).detach()

    def _terms(self, pictures: Tensor, *, smooth: bool, refine: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, squared error (255 scale) and bits per pixel, means over pictures (N, 3, H, W).

        Args:
            smooth: the decoder gets noise instead of rounded latents, for smooth gradients.
            refine: distortion is more than the squared error.
        """
        fast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16)
        batch, channels = len(pictures), self.shape["latent_channels"]
        steps = self.shape["max_step"] ** torch.rand(batch, device=self.device)
        levels = torch.round(4 * torch.log2(steps)).long()  # as level_of, which would wait for the device
        mask = shown_channels(batch, channels, self.device)
        each_step = steps.view(-1, 1, 1, 1)
        with fast:
            latents = self.encode(pictures)
        scaled = latents.float() / each_step * mask
        noisy = scaled + (torch.rand_like(scaled) - 0.5) * mask
        shown = noisy if smooth else scaled + (scaled.round() - scaled).detach()
        with fast:
            decoded = self.decode(shown * each_step, steps)
        decoded = decoded.float()
        told, known = (torch.where(self.revived, symbols.detach(), symbols) for symbols in (noisy, shown))
        bits = (self.rate.bits(told, levels, context=known) * mask).sum((1, 2, 3)) / pictures[0, 0].numel()
        squared = (decoded - pictures).square().mean((1, 2, 3)) * 127.5**2
        worth = squared
        if refine:
            worth = self.distortion(decoded, pictures, structures=STRUCTURES_WORTH)
            if self.perceptual is not None:
                with fast:
                    seen = self.perceptual(decoded / 2 + 0.5, pictures / 2 + 0.5)
                worth = worth + self.args.perceptual * seen.float()
        # Times the step: else the finest steps, where both terms are largest, would own the gradient.
        loss = (worth / (SLOPE * steps) + bits * steps).mean()
        return loss, squared.detach().mean(), bits.detach().mean()

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "rate": self.rate.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "elapsed": self.elapsed,
            "step": self.step,
        }
        torch.save(state, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.rate.load_state_dict(state["rate"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.elapsed, self.step = state["elapsed"], state["step"]
        torch.manual_seed(self.step)

    def validate(self) -> None:
        network = CodingAutoencoder(**self.shape).to(self.device)
        network.load_state_dict(self.average)
        print(described(network, self.rate, self.validation), flush=True)


def described(network: CodingAutoencoder, rate: RateModel, pictures: list[np.ndarray]) -> str:
    """A line about what is reached on pictures."""
    pictures = [p[: p.shape[0] // 16 * 16, : p.shape[1] // 16 * 16] for p in pictures]
    report = []
    for step in (1.0, 2.0, 3.4, 6.0, 12.0):
        rows = [evaluate(network, rate, p, step) for p in pictures]
        bits, psnr, structure = np.mean(rows, axis=0)
        report.append(f"step {step:g}: {bits:.4f} bpp {psnr:.2f} dB {structure:.4f}")
    rows = [evaluate(network, rate, p, 1.0, LEADING_CHANNELS) for p in pictures]
    return " | ".join([*report, f"leading: {np.mean(rows, axis=0)[1]:.2f} dB"])


@torch.no_grad()
def evaluate(
    network: CodingAutoencoder, rate: RateModel, picture: np.ndarray, step: float, kept: int | None = None
) -> tuple[float, float, float]:
    """Bits per pixel (entropy of the rounded latents under the context model), PSNR in dB, MS-SSIM."""
    device = next(network.parameters()).device
    pixels = as_pictures(torch.from_numpy(picture.copy())[None], device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        symbols = (network.encode(pixels).float() / step).round()
        if kept is not None:
            symbols[:, kept:] = 0
        decoded = network.decode(symbols * step, torch.tensor([step], device=device)).float()
    bits = rate.bits(symbols, torch.tensor([level_of(step)], device=device)).sum()
    shown = ((decoded[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return float(bits) / pixels[0, 0].numel(), psnr_db(picture, shown), ms_ssim(picture, shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of training pictures")
    parser.add_argument("--out", type=Path, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument(
        "--start", metavar="NAME", choices=names(AUTOENCODER), help="grow the package's autoencoder of this name"
    )
    parser.add_argument("--crop", type=int, default=192, help=f"side of the crops, {LAST_CROP} in the last quarter")
    parser.add_argument("--batch", type=int, default=8, help="crops of a step; fewer once they are larger")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut the crops")
    parser.add_argument("--decay-from", type=float, default=0.3, help="part of the run after which the rates fall")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--features", type=Path, help="SqueezeNet 1.1 features (safetensors), for the perceptual term")
    parser.add_argument("--perceptual", type=float, default=PERCEPTUAL_WORTH, help="weight of the perceptual distance")
    parser.add_argument("--refine-from", type=float, default=0.6, help="part of a first run that heeds squares alone")
    parser.add_argument("--muon-lr", type=float, default=0.005)
    parser.add_argument("--compile", nargs="*", choices=COMPILED, default=COMPILED, help="parts of a step")
    parser.add_argument("--other-lr", type=float, default=5e-4)
    parser.add_argument(
        "--judge",
        metavar="NAME",
        choices=names(AUTOENCODER),
        help="do not train: tell what the package's own reaches",
    )
    args = parser.parse_args()
    if args.out is None and not args.judge:
        parser.error("--out is needed")
    if args.data is None:
        parser.error("--data is needed")
    if args.judge:
        network = PackagedAutoencoder(torch.device("cpu"), name=args.judge).network
        rate = RateModel.of(load_context_model(args.judge))
        print(described(network, rate, load_pictures(args.data)[::HELD_OUT]))
        return None
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "settings.json").write_text(
        json.dumps({"network": GROWN if args.start else NETWORK, **vars(args)}, default=str, indent=2)
    )
    trainer = Trainer(args.out, load_pictures(args.data), args.features, args)
    if (args.out / "checkpoint.pt").exists():
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
