"""Train the integer model of quantised latents that ships with the package.

    python models/train_code_model.py --data PICTURES --minutes 10

The network of ``unicorn_codec.code_model`` in floating point: trained on the embedded autoencoder's latents at
steps drawn log-uniformly, then rounded to integers and written into the package.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn
from train_autoencoder import load_pictures

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import FEATURE_BITS, MAX_SYMBOL, MEAN_BITS, PASSES, SCALES, WEIGHT_BITS, level_of
from unicorn_codec.codes import REACH
from unicorn_codec.config import MAX_LEVEL
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.rans import PRECISION

HIDDEN = 12
FAST_BFLOAT16 = has_fast_bfloat16(torch.device("cpu"))
CROP = 16
BATCH = 16
SMALLEST_SCALE = 0.06
LOG_RATIO = 1 / 7
"""Scale class k stands for a logistic density of scale SMALLEST_SCALE * exp(k / 7): 0.06 to 49."""


WEIGHTS = ("earlier", "same", "bias", "linear", "mean", "scale", "mean_bias", "scale_bias")


def fraction_bits(name: str) -> int:
    """Bits after the binary point of an integer weight; biases are added to products with features."""
    return WEIGHT_BITS + FEATURE_BITS * name.endswith("bias")


class FloatCodeModel(nn.Module):
    """The integer network's shadow; weights in the same order, activations in units of 1."""

    earlier_mask: Tensor
    same_mask: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.earlier = nn.Parameter(torch.randn(channels, 18, channels, HIDDEN) * 0.01)
        self.same = nn.Parameter(torch.randn(4, channels, 18, HIDDEN) * 0.1)
        self.bias = nn.Parameter(torch.rand(MAX_LEVEL, 4, channels, HIDDEN) * 0.2)
        self.linear = nn.Parameter(torch.zeros(4, channels, 9))
        self.mean = nn.Parameter(torch.randn(channels, HIDDEN) * 0.05)
        self.scale = nn.Parameter(torch.rand(channels, HIDDEN) * 1.0)
        self.mean_bias = nn.Parameter(torch.zeros(MAX_LEVEL, 4, channels))
        self.scale_bias = nn.Parameter(torch.full((MAX_LEVEL, 4, channels), 8.0))
        order = torch.arange(channels)
        self.register_buffer("earlier_mask", (order[:, None] < order[None, :]).float()[:, None, :, None])
        self.register_buffer("same_mask", known_neighbours())

    @torch.no_grad()
    def start(self, integers: dict[str, np.ndarray], level_shift: int) -> None:
        """Take over a model of fewer channels, whose level l is ``l + level_shift`` here."""
        floats = {name: torch.from_numpy(integers[name]).float() / 2.0 ** fraction_bits(name) for name in WEIGHTS}
        channels = len(floats["mean"])
        self.earlier[:channels, :, :channels] = floats["earlier"]
        for name in ("same", "linear"):
            getattr(self, name)[:, :channels] = floats[name]
        for name in ("mean", "scale"):
            getattr(self, name)[:channels] = floats[name]
        levels = (torch.arange(MAX_LEVEL) - level_shift).clamp(0, len(floats["bias"]) - 1)
        for name in ("bias", "mean_bias", "scale_bias"):
            getattr(self, name)[:, :, :channels] = floats[name][levels]

    def masked(self) -> dict[str, Tensor]:
        """Weights with what a causal coder does not know taken out."""
        pairs = torch.cat([self.same_mask, self.same_mask], dim=1)
        return {
            "earlier": self.earlier * self.earlier_mask,
            "same": self.same * pairs[:, None, :, None],
            "linear": self.linear * self.same_mask[:, None],
        }

    def forward(self, symbols: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) symbols -> means and scale classes (real numbers), (N, C, h, w) each."""
        count, channels, height, width = symbols.shape
        weights = self.masked()
        sizes = torch.asinh(symbols.abs().clamp_max(MAX_SYMBOL))
        pairs = torch.stack([sizes * symbols.sign(), sizes], dim=2).flatten(1, 2)  # (N, 2C, h, w)
        kernel = weights["earlier"].view(channels, 2, 3, 3, channels * HIDDEN).permute(4, 0, 1, 2, 3)
        kernel = kernel.reshape(channels * HIDDEN, 2 * channels, 3, 3)
        with torch.autocast("cpu", torch.bfloat16, enabled=FAST_BFLOAT16):  # most of the work
            sums = F.conv2d(pairs, kernel, padding=1)
        sums = sums.float()
        own = weights["same"].view(4, channels, 2, 3, 3, HIDDEN).permute(0, 1, 5, 2, 3, 4)
        plain = symbols.clamp(-MAX_SYMBOL, MAX_SYMBOL)
        means, scales = torch.zeros_like(symbols), torch.zeros_like(symbols)
        for step, (row, column) in enumerate(PASSES):
            kernel = own[step].reshape(channels * HIDDEN, 2, 3, 3)
            here = sums + F.conv2d(pairs, kernel, padding=1, groups=channels)
            here = here.view(count, channels, HIDDEN, height, width)[..., row::2, column::2]
            hidden = F.relu(here + self.bias[levels, step][..., None, None])
            linear = F.conv2d(plain, weights["linear"][step].view(channels, 1, 3, 3), padding=1, groups=channels)
            mean = (hidden * self.mean[..., None, None]).sum(2) + linear[..., row::2, column::2]
            means[..., row::2, column::2] = mean + self.mean_bias[levels, step][..., None, None]
            scale = (hidden * self.scale[..., None, None]).sum(2)
            scales[..., row::2, column::2] = scale + self.scale_bias[levels, step][..., None, None]
        return means, scales

    def bits(self, symbols: Tensor, levels: Tensor) -> Tensor:
        """Bits of every symbol under a logistic density."""
        means, classes = self(symbols, levels)
        scale = SMALLEST_SCALE * torch.exp(LOG_RATIO * classes.clamp(-2, SCALES + 1))
        distance = (symbols - means).abs()
        mass = torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)
        return -torch.log2(mass.clamp_min(2.0**-16))

    def to_integers(self) -> dict[str, np.ndarray]:
        """The weights as the package holds them."""
        weights = {name: getattr(self, name) for name in WEIGHTS} | self.masked()
        integers = {}
        for name, tensor in weights.items():
            rounded = torch.round(tensor.detach().double() * 2.0 ** fraction_bits(name))
            assert rounded.abs().max() < 2**31, name
            wide = rounded.abs().max() >= 2**15
            integers[name] = rounded.numpy().astype(np.int32 if wide else np.int16)
        magnitudes = np.rint(np.arcsinh(np.arange(MAX_SYMBOL + 1)) * 2**FEATURE_BITS)
        return integers | {"magnitudes": magnitudes.astype(np.int16), "frequencies": frequency_tables()}


def frequency_tables() -> np.ndarray:
    """(SCALES, 8, 2 REACH + 2) frequencies: the residuals -REACH..REACH, then all that are further away."""
    total, fractions = 1 << PRECISION, 1 << MEAN_BITS
    scales = SMALLEST_SCALE * np.exp(LOG_RATIO * np.arange(SCALES))[:, None, None]
    edges = np.arange(-REACH, REACH + 2) - 0.5 - (np.arange(fractions) / fractions)[:, None]
    below = 0.5 * (1 + np.tanh(edges / (2 * scales)))
    masses = np.concatenate([np.diff(below), below[..., :1] + 1 - below[..., -1:]], axis=-1)
    frequencies = 1 + np.floor(masses * (total - masses.shape[-1])).astype(np.int64)
    most = frequencies.argmax(-1)[..., None]
    rest = total - frequencies.sum(-1, keepdims=True)
    np.put_along_axis(frequencies, most, np.take_along_axis(frequencies, most, -1) + rest, -1)
    assert (frequencies > 0).all() and (frequencies.sum(-1) == total).all()
    return frequencies.astype(np.int16)


def known_neighbours() -> Tensor:
    """(4, 9): which of the 3x3 neighbours in its own channel a pass knows from the passes before."""
    known = torch.zeros(4, 9)
    for step, (row, column) in enumerate(PASSES):
        earlier = PASSES[:step]
        for place in range(9):
            parity = ((row + place // 3 - 1) % 2, (column + place % 3 - 1) % 2)
            known[step, place] = float(parity in earlier)
    return known


def encode_all(pictures: list[np.ndarray]) -> list[Tensor]:
    """All latent channels of every picture, cut to multiples of the grid."""
    network = EmbeddedAutoencoder(torch.device("cpu")).network
    latents = []
    with torch.inference_mode():
        for picture in pictures:
            height, width = (side // 16 * 16 for side in picture.shape[:2])
            image = torch.from_numpy(picture[:height, :width].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            latents.append(network.encode(image)[0])
    return [one for one in latents if min(one.shape[1:]) >= CROP]


def draw_batch(latents: list[Tensor], rng: np.random.Generator, max_step: float) -> tuple[Tensor, Tensor]:
    """Crops of quantised latents, and the level of each one's step."""
    symbols, levels = [], []
    for _ in range(BATCH):
        one = latents[rng.integers(len(latents))]
        top, left = (int(rng.integers(side - CROP + 1)) for side in one.shape[1:])
        step = float(max_step ** rng.random())
        symbols.append(torch.round(one[:, top : top + CROP, left : left + CROP] / step))
        levels.append(level_of(step))
    return torch.stack(symbols), torch.tensor(levels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--start", type=Path, help="an earlier model's file, which may have fewer channels")
    parser.add_argument("--level-shift", type=int, default=0, help="levels that the earlier model's unit is coarser")
    parser.add_argument("--limit", type=int, help="training pictures")
    default = Path(__file__).parents[1] / "unicorn_codec" / "pretrained" / "code_model.safetensors"
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    latents = encode_all(load_pictures(args.data)[: args.limit])
    max_step = EmbeddedAutoencoder(torch.device("cpu")).network.max_step
    model = FloatCodeModel(latents[0].shape[0])
    if args.start:
        model.start(load_file(args.start), args.level_shift)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0)
    started, step, totals = time.monotonic(), 0, []
    while (progress := (time.monotonic() - started) / (60 * args.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 100) * min(1.0, (1 - progress) / 0.7)
        symbols, levels = draw_batch(latents, rng, max_step)
        rates = model.bits(symbols, levels).sum((1, 2, 3)) / (CROP * 16) ** 2
        # Relative to its own rate: a coarse step's few bits matter as much as a fine step's many.
        loss = torch.log(rates + 0.02).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(float(rates.detach().mean()))
        step += 1
        if step % 100 == 0:
            print(f"{time.monotonic() - started:5.0f} s, step {step}: {np.mean(totals):.4f} bits/pixel", flush=True)
            totals = []
    args.out.parent.mkdir(exist_ok=True)
    save_file(model.to_integers(), args.out)


if __name__ == "__main__":
    main()
