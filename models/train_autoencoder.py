"""Train the embedded autoencoder as a variable-rate transform codec.

    python models/train_autoencoder.py --data PICTURES --out RUN --minutes 80
    python models/train_autoencoder.py --data PICTURES --out RUN2 --minutes 70 --start RUN --decoder-alone
    python models/train_autoencoder.py --out RUN2 --export autoencoder-2  # that of the package

Every sample draws its own quantisation step, log-uniform over the network's range; its loss is
distortion / step^2 + rate. The rate comes from a causal context model that exists in training only.
Distortion is the squared error at first, later also MS-SSIM and, where features are given, a perceptual
distance. The run can be stopped and started again: it goes on from RUN/checkpoint.pt.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unicorn_codec.autoencoder import SCALE, weights_of
from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.coding_autoencoder import CodingAutoencoder, ResidualBlock
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.distortion import ms_ssim

NETWORK: dict[str, Any] = {
    "latent_channels": 64,
    "widths": [32, 64, 128, 160],
    "encoder_depths": [1, 2, 2, 1],
    "decoder_depths": [1, 2, 3, 2],
    "max_step": 12.0,
}
DEEPER: dict[str, Any] = NETWORK | {"decoder_depths": [1, 2, 4, 4]}
"""What ``--decoder-alone`` makes of it: a better decoder of the same latents, so that their code model stays."""

GROWN: dict[str, Any] = NETWORK | {
    "latent_channels": 96,
    "encoder_depths": [1, 2, 2, 2],
    "decoder_depths": [1, 2, 3, 4],
    "max_step": 36.0,
}
"""What ``--start`` alone makes of an earlier network; what came of it stands in the model card."""

LEADING_CHANNELS = 16
"""What an index-only archive keeps: 16 channels at 1/16, as many values as 4 channels at 1/8."""

SLOPE = 55.0
"""Squared error (255 scale) that one bit per pixel is worth at the coarsest step's twelfth; with the step squared."""


CONTEXT_RATE = 2e-3
REVIVING = 300
"""Batches of a grown network that see fine steps alone, and no rate: new latents must be used before they are paid."""

LARGE = 200_000
"""Weights of a kernel that is stored as int8: those of the decoder's coarsest blocks."""

SILENT = 1.0
SPIKE = 4.0
"""A batch whose loss is so many times the usual is left out."""


class MaskedConv2d(nn.Conv2d):
    """A convolution whose fixed mask keeps it causal."""

    mask: Tensor

    def __init__(self, mask: Tensor, inputs: int, outputs: int) -> None:
        kernel = mask.shape[-1]
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.register_buffer("mask", mask)
        with torch.no_grad():
            self.weight.mul_(mask)

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.weight * self.mask, self.bias, padding=self.padding)


def causal_mask(inputs: Tensor, outputs: Tensor, kernel: int, *, strict: bool) -> Tensor:
    """Mask of a convolution between features that belong to latent channels.

    Positions before the centre in raster order are seen in full; at the centre a feature of channel b
    sees those of channels a < b (a <= b unless strict).
    """
    mask = torch.zeros(len(outputs), len(inputs), kernel, kernel)
    middle = kernel // 2
    mask[:, :, :middle, :] = 1
    mask[:, :, middle, :middle] = 1
    before = inputs[None, :] < outputs[:, None] if strict else inputs[None, :] <= outputs[:, None]
    mask[:, :, middle, middle] = before.float()
    return mask


class ContextModel(nn.Module):
    """Causal model of quantised latents: a logistic density for each value, given those before it."""

    def __init__(self, channels: int, features: int = 8) -> None:
        super().__init__()
        of_channel = torch.arange(channels)
        of_pair = of_channel.repeat_interleave(2)
        of_feature = of_channel.repeat_interleave(features)
        hidden = channels * features
        self.predictor = MaskedConv2d(causal_mask(of_channel, of_channel, 3, strict=True), channels, channels)
        self.spread = MaskedConv2d(causal_mask(of_pair, of_feature, 3, strict=True), channels * 2, hidden)
        self.mix = MaskedConv2d(causal_mask(of_feature, of_feature, 1, strict=False), hidden, hidden)
        self.head = MaskedConv2d(causal_mask(of_feature, of_pair, 1, strict=False), hidden, channels * 2)
        self.level = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, hidden))
        nn.init.zeros_(self.predictor.weight)

    def bits(self, symbols: Tensor, context: Tensor, levels: Tensor) -> Tensor:
        """Bits of every value.

        Args:
            symbols: (N, C, h, w) latents in units of their step, rounded or with noise.
            context: (N, C, h, w) what the decoder knows of them.
            levels: (N,) log step / log of the coarsest step.
        """
        squeezed = torch.asinh(context)
        pairs = torch.stack([squeezed, squeezed.abs()], dim=2).flatten(1, 2)
        hidden = F.silu(self.spread(pairs) + self.level(levels[:, None])[:, :, None, None])
        hidden = F.silu(self.mix(hidden))
        shift, log_scale = self.head(hidden).unflatten(1, (-1, 2)).unbind(2)
        mean = self.predictor(context) + shift
        scale = torch.exp(log_scale.clamp(-6, 8))
        distance = (symbols - mean).abs()
        # The upper tail of both ends: keeps its precision where the two sigmoids are nearly equal.
        mass = torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)
        return -torch.log2(mass.clamp_min(1e-7))


def shape_of(args: argparse.Namespace) -> dict[str, Any]:
    """Of the network that a run trains."""
    if args.decoder_alone:
        return DEEPER
    return GROWN if args.start else NETWORK


def load_pictures(folder: Path) -> list[np.ndarray]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})

    def load(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB"))

    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(load, paths))
    return [p for p in pictures if min(p.shape[:2]) >= 128]


def random_crops(pictures: list[np.ndarray], batch: int, size: int, rng: np.random.Generator) -> Tensor:
    """(batch, 3, size, size) in [-1, 1]; pictures too small for the size are left out by redrawing."""
    crops = np.empty((batch, size, size, 3), np.uint8)
    for slot in range(batch):
        picture = pictures[rng.integers(len(pictures))]
        while min(picture.shape[:2]) < size:
            picture = pictures[rng.integers(len(pictures))]
        top = rng.integers(picture.shape[0] - size + 1)
        left = rng.integers(picture.shape[1] - size + 1)
        crop = picture[top : top + size, left : left + size]
        crops[slot] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) in float32: torch's own computes in bfloat16, which many processors only emulate."""

    def __init__(self, matrices: list[nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 0.05)
                update = orthogonalise(matrix.grad.lerp(momentum, 0.95))
                rows, columns = matrix.shape
                matrix.sub_(update, alpha=group["lr"] * max(1, rows / columns) ** 0.5)


def orthogonalise(matrix: Tensor) -> Tensor:
    """About the nearest matrix with singular values of one: five Newton-Schulz steps with Jordan's coefficients."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(5):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=-4.775, alpha=2.0315), wide, beta=3.4445)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide


def counterparts(earlier: nn.Sequential, layers: nn.Sequential) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Pairs of layers with the same job; a stage's additional blocks, at its end, have none."""
    waiting = list(earlier)
    for layer in layers:
        if not isinstance(layer, ResidualBlock) or isinstance(waiting[0], ResidualBlock):
            yield waiting.pop(0), layer


@torch.no_grad()
def grow(earlier: CodingAutoencoder, network: CodingAutoencoder) -> None:
    """Make a network compute what an earlier one does: more blocks start as the identity, more latents unread.

    The earlier latents keep their precision in units of the new finest step.
    """
    old_last, new_last = earlier.encoder[-1], network.encoder[-1]
    old_first, new_first = earlier.decoder[0], network.decoder[0]
    for old, new in [*counterparts(earlier.encoder, network.encoder), *counterparts(earlier.decoder, network.decoder)]:
        if old is not old_last and old is not old_first:
            new.load_state_dict(old.state_dict())
    channels, ratio = earlier.latent_channels, network.max_step / earlier.max_step
    new_last.weight[:channels], new_last.bias[:channels] = ratio * old_last.weight, ratio * old_last.bias
    new_first.weight.zero_()
    new_first.weight[:, :channels] = old_first.weight[:, :channels] / ratio
    # The plane told log(step) / log(max_step), in the earlier unit of the step.
    span = math.log(earlier.max_step)
    new_first.weight[:, -1] = old_first.weight[:, -1] * (math.log(network.max_step) / span)
    new_first.bias.copy_(old_first.bias - old_first.weight[:, -1].sum((1, 2)) * (math.log(ratio) / span))


@torch.no_grad()
def revive(network: CodingAutoencoder, images: Tensor, size: float) -> None:
    """Make latents that say nothing say something new.

    A channel whose values all round to zero gets no gradient but the rate's, which keeps it there.

    Args:
        size: standard deviation that these channels get.
    """
    last, first = network.encoder[-1], network.decoder[0]
    silent = (network.encode(images).std((0, 2, 3)) < SILENT).nonzero()[:, 0]
    last.weight[silent] = torch.randn_like(last.weight[silent])
    last.bias[silent] = 0.0
    latents = network.encode(images)[:, silent]
    scale = size / latents.std((0, 2, 3))
    last.weight[silent] *= scale.view(-1, 1, 1, 1)
    last.bias[silent] = -scale * latents.mean((0, 2, 3))
    first.weight[:, silent] = 0.0
    print(f"{len(silent)} silent channels", flush=True)


class Trainer:
    """Networks, their averages and optimisers of one run."""

    def __init__(self, out: Path, pictures: list[np.ndarray], features: Path | None, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.out, self.args, self.device = out, args, torch.device(args.device)
        self.fast_bfloat16 = has_fast_bfloat16(self.device)
        self.validation, self.pictures = pictures[::240], [p for i, p in enumerate(pictures) if i % 60]
        self.shape = shape_of(args)
        self.network = CodingAutoencoder(**self.shape).to(self.device).to(memory_format=torch.channels_last)
        self.context = ContextModel(self.shape["latent_channels"]).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.perceptual = PerceptualDistance(features).to(self.device) if features else None
        self.rng = np.random.default_rng(0)
        self.elapsed, self.step, self.usual_loss = 0.0, 0, 0.0
        if args.start:
            self.start(args.start)
        self.optimizers = self._optimizers()
        self.encode, self.decode = torch.compile(self.network.encode), torch.compile(self.network.decode)

    def start(self, folder: Path) -> None:
        """Take over an earlier network, which may have fewer blocks and latents and another finest step."""
        from safetensors.torch import load_file

        config = json.loads((folder / "autoencoder.json").read_text())
        earlier = CodingAutoencoder(**config)
        earlier.load_state_dict(weights_of(load_file(folder / "autoencoder.safetensors")))
        grow(earlier, self.network)
        if not self.args.decoder_alone:
            self.revive()
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def revive(self) -> None:
        """Give the silent latents something to say."""
        size = self.shape["max_step"] ** 0.1  # that of a fine step, which coarse ones do not see
        revive(self.network, random_crops(self.pictures, 32, 128, self.rng).to(self.device), 2 * size)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        ends = {self.network.encoder[1].weight, self.network.encoder[-1].weight}
        ends |= {self.network.decoder[0].weight, self.network.decoder[-2].weight}
        trained = list((self.network.decoder if self.args.decoder_alone else self.network).parameters())
        hidden = [p for p in trained if p.ndim == 4 and p not in ends]
        rest = [p for p in trained if p.ndim != 4 or p in ends]
        # Muon wants matrices: each kernel's storage is given to it as (out, in * k * k).
        self.kernels = [(p, nn.Parameter(p.data.permute(0, 2, 3, 1).flatten(1))) for p in hidden]
        for kernel, matrix in self.kernels:
            assert matrix.data_ptr() == kernel.data_ptr(), "the optimiser must see the weights, not a copy"
        muon = Muon([m for _, m in self.kernels], lr=self.args.muon_lr)
        groups = [
            {"params": rest, "lr": self.args.other_lr},
            {"params": list(self.context.parameters()), "lr": CONTEXT_RATE},
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
        totals: list[tuple[float, ...]] = []
        while self.elapsed < budget:
            progress = self.elapsed / budget
            self._set_rates(progress)
            totals.append(self.train_step(progress))
            self.step += 1
            self.elapsed = time.monotonic() - started
            if self.elapsed - logged > 60:
                means = np.mean(totals, axis=0)
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

    def train_step(self, progress: float) -> tuple[float, ...]:
        refine = progress > self.args.refine_from or self.args.decoder_alone
        size, batch = (192, 7) if progress > 0.75 or self.args.start else (128, 16)
        smooth = progress < 0.15 and not self.args.start
        alone = self.args.decoder_alone
        images = random_crops(self.pictures, batch, size, self.rng).to(self.device)
        images = images.contiguous(memory_format=torch.channels_last)
        reviving = bool(self.args.start) and not alone and self.step < REVIVING
        levels = torch.from_numpy(self.rng.random(batch, dtype=np.float32)).to(self.device)
        if reviving:
            levels = levels / 3
        steps = self.shape["max_step"] ** levels
        kept = torch.from_numpy(
            np.where(self.rng.random(batch) < 0.15, LEADING_CHANNELS, self.shape["latent_channels"])
        )
        mask = (torch.arange(self.shape["latent_channels"]) < kept[:, None])[:, :, None, None].to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16):
            with torch.set_grad_enabled(not alone):
                latents = self.encode(images).float()
            scaled = latents / steps[:, None, None, None] * mask
            noisy = scaled + (torch.rand_like(scaled) - 0.5) * mask
            rounded = scaled + (scaled.round() - scaled).detach()
            # Noise alone at first, for smooth gradients; then the decoder sees what it will get.
            shown = noisy if smooth else rounded
            images_out = self.decode(shown * steps[:, None, None, None], steps).float()
        rate = torch.zeros(batch, device=self.device)
        if not alone:
            bits = self.context.bits(noisy.detach() if reviving else noisy, shown.detach(), levels) * mask
            rate = bits.sum((1, 2, 3)) / size**2
        squared = (images_out - images).square().mean((1, 2, 3)) * 127.5**2
        distortion = squared
        if refine:
            a, b = images_out / 2 + 0.5, images / 2 + 0.5
            # A decoder alone is a matter of steps: of what takes long and says little, it gets less.
            distortion = 0.7 * distortion + self.args.structure * (1 - ms_ssim(a, b, without=int(alone)))
            if self.perceptual is not None:
                some = batch // 2 if alone else batch
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16):
                    found = self.perceptual(a[:some], b[:some]).float()
                distortion = distortion + F.pad(self.args.perceptual * batch / some * found, (0, batch - some))
        # Times the step: else the finest steps, where both terms are largest, would own the gradient.
        relative = 12 * steps / self.shape["max_step"]
        loss = (distortion / (SLOPE * relative) + rate * relative).mean()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        usual = self.usual_loss or float(loss.detach())
        if not float(loss.detach()) < SPIKE * usual:  # one such batch can undo an hour; NaN is none either
            return usual, float(squared.detach().mean()), float(rate.detach().mean())
        self.usual_loss = 0.98 * usual + 0.02 * float(loss.detach())
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*self.network.parameters(), *self.context.parameters()], 5.0)
        for kernel, matrix in self.kernels:
            assert kernel.grad is not None
            matrix.grad = kernel.grad.permute(0, 2, 3, 1).flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach()), float(squared.detach().mean()), float(rate.detach().mean())

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "context": self.context.state_dict(),
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
        self.context.load_state_dict(state["context"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.elapsed, self.step = state["elapsed"], state["step"]
        self.rng = np.random.default_rng(self.step)
        torch.manual_seed(self.step)

    def validate(self) -> None:
        network = CodingAutoencoder(**self.shape)
        network.load_state_dict(self.average)
        context = ContextModel(self.shape["latent_channels"])
        context.load_state_dict(self.context.state_dict())
        pictures = [p[: p.shape[0] // 16 * 16, : p.shape[1] // 16 * 16] for p in self.validation]
        report = []
        for step in (self.shape["max_step"] / part for part in (12, 6, 3.5, 2, 1)):
            rows = [evaluate(network, context, p, step) for p in pictures]
            rate, psnr, structure = np.mean(rows, axis=0)
            report.append(f"step {step:g}: {rate:.3f} bpp {psnr:.2f} dB {structure:.4f}")
        rows = [evaluate(network, context, p, 1.0, LEADING_CHANNELS) for p in pictures]
        report.append(f"leading: {np.mean(rows, axis=0)[1]:.2f} dB")
        print(" | ".join(report), flush=True)


@torch.no_grad()
def evaluate(
    network: CodingAutoencoder, context: ContextModel, picture: np.ndarray, step: float, kept: int | None = None
) -> tuple[float, float, float]:
    """Bits per pixel (entropy of the rounded latents under the context model), PSNR in dB, MS-SSIM."""
    image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    steps = torch.tensor([step])
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16(torch.device("cpu"))):
        symbols = (network.encode(image).float() / step).round()
        if kept is not None:
            symbols[:, kept:] = 0
        decoded = network.decode(symbols * step, steps).float()
    bits = context.bits(symbols, symbols, torch.log(steps) / math.log(network.max_step)).sum()
    shown = ((decoded.clamp(-1, 1) + 1) * 127.5).round()
    squared = float((shown - (image + 1) * 127.5).square().mean())
    structure = float(ms_ssim(shown / 255, image / 2 + 0.5))
    return float(bits) / image[0, 0].numel(), 10 * math.log10(255**2 / max(squared, 1e-9)), structure


def export(run: Path, name: str) -> None:
    """Write the averaged weights and the network's shape into the package, below a name.

    As float16, but large kernels of the decoder as int8: that costs no quality, and the package carries at most 8 MB.
    """
    from safetensors.torch import save_file

    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    folder = Path(__file__).parents[1] / "unicorn_codec" / "pretrained"
    folder.mkdir(exist_ok=True)
    weights = {name: tensor.half().contiguous() for name, tensor in state["average"].items()}
    for kernel in [name for name, tensor in weights.items() if tensor.numel() >= LARGE and "decoder" in name]:
        scales = (state["average"][kernel].abs().amax((1, 2, 3)) / 127).half()
        weights[kernel] = (
            (state["average"][kernel] / scales.float().view(-1, 1, 1, 1)).round().to(torch.int8).contiguous()
        )
        weights[kernel + SCALE] = scales
    save_file(weights, folder / f"{name}.safetensors")
    settings = json.loads((run / "settings.json").read_text())
    (folder / f"{name}.json").write_text(json.dumps(settings["network"]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of training pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument(
        "--start", type=Path, help="folder of an earlier autoencoder.json and .safetensors to grow from"
    )
    parser.add_argument("--decoder-alone", action="store_true", help="with --start: deepen and train its decoder only")
    parser.add_argument("--decay-from", type=float, default=0.3, help="part of the run after which the rates fall")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--features", type=Path, help="SqueezeNet 1.1 features (safetensors), for the perceptual term")
    parser.add_argument("--structure", type=float, default=600.0, help="weight of 1 - MS-SSIM in the last part")
    parser.add_argument("--perceptual", type=float, default=150.0, help="weight of the perceptual distance there")
    parser.add_argument("--refine-from", type=float, default=0.6, help="part of the run after which it begins")
    parser.add_argument("--muon-lr", type=float, default=0.005)
    parser.add_argument("--other-lr", type=float, default=5e-4)
    parser.add_argument("--export", metavar="NAME", help="do not train: write RUN's weights into the package, as NAME")
    args = parser.parse_args()
    if args.export:
        return export(args.out, args.export)
    if args.data is None:
        parser.error("--data is needed to train")
    if args.decoder_alone and not args.start:
        parser.error("--decoder-alone goes on from an autoencoder that --start names")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "settings.json").write_text(
        json.dumps({"network": shape_of(args), **vars(args)}, default=str, indent=2)
    )
    trainer = Trainer(args.out, load_pictures(args.data), args.features, args)
    if (args.out / "checkpoint.pt").exists():
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
