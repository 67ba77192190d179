"""Train the integer model of quantised latents that ships with the package.

    python models/train_code_model.py --data PICTURES --minutes 10

The network of ``unicorn_codec.code_model`` in floating point (``rate_model``): trained on the embedded autoencoder's
latents at steps drawn log-uniformly, then rounded to integers and written into the package.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from train_autoencoder import load_pictures

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import FEATURE_BITS, MAX_SYMBOL, MEAN_BITS, SCALES, level_of
from unicorn_codec.codes import REACH
from unicorn_codec.rans import PRECISION
from unicorn_codec.rate_model import LOG_RATIO, SMALLEST_SCALE, WEIGHTS, RateModel, fraction_bits

HIDDEN = 12
CROP = 16
BATCH = 16


def to_integers(model: RateModel) -> dict[str, np.ndarray]:
    """The weights as the package holds them."""
    weights = {name: getattr(model, name) for name in WEIGHTS} | model.masked()
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
    model = RateModel(latents[0].shape[0], HIDDEN)
    if args.start:
        model.take_over(load_file(args.start), args.level_shift)
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
    save_file(to_integers(model), args.out)


if __name__ == "__main__":
    main()
