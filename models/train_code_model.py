"""Train the integer model of quantised latents that ships with the package.

    python models/train_code_model.py --data PICTURES --start RUN --minutes 10 --refining 6 --export code_model-3

The network of ``unicorn_codec.code_model`` in floating point (``rate_model``), as a run of ``train_autoencoder.py``
left it or as the package holds it: trained on the embedded autoencoder's latents at steps drawn log-uniformly, and on
those that refinement makes of them, which are what archives hold; then rounded to integers and written into the
package.
"""

import argparse
import copy
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from refined_squares import Square, refined_squares
from safetensors.numpy import save_file
from torch import Tensor
from train_autoencoder import HIDDEN, as_images, load_pictures, without_unseen

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import FEATURE_BITS, FILES, MAX_SYMBOL, SCALES, level_of, load_code_model
from unicorn_codec.rans import PRECISION
from unicorn_codec.rate_model import LOG_RATIO, SMALLEST_SCALE, WEIGHTS, RateModel, fraction_bits

CROP = 16
PACE = 1e-3

FRACTIONS = 16
REACH = 63
"""Of the tables: parts of one that means are told in, and how far from them values have symbols of their own. Eight
parts and a reach of 24 were measured too: they cost more bytes at every step, most at fine ones."""

RAREST = 2e-7
"""Probability of residuals that are still worth a slot."""

Batch = tuple[Tensor, Tensor]


def to_integers(model: RateModel, coarsest: int) -> dict[str, np.ndarray]:
    """The weights as the package holds them; levels over the coarsest one that was trained are as that one."""
    weights = {name: getattr(model, name) for name in WEIGHTS} | model.masked()
    for name in ("bias", "mean_bias", "scale_bias"):
        weights[name] = weights[name][torch.arange(len(weights[name])).clamp_max(coarsest)]
    integers = {}
    for name, tensor in weights.items():
        rounded = torch.round(tensor.detach().double() * 2.0 ** fraction_bits(name))
        assert rounded.abs().max() < 2**31, name
        wide = rounded.abs().max() >= 2**15
        integers[name] = rounded.numpy().astype(np.int32 if wide else np.int16)
    magnitudes = np.rint(np.arcsinh(np.arange(MAX_SYMBOL + 1)) * 2**FEATURE_BITS)
    return integers | {"magnitudes": magnitudes.astype(np.int16), "frequencies": frequency_tables()}


def frequency_tables() -> np.ndarray:
    """(SCALES, FRACTIONS, 2 REACH + 2) frequencies: the residuals -REACH..REACH, then all others.

    Residuals that hardly occur get none: a slot for each would make the many values that are as predicted dearer.
    """
    masses = logistic_masses()
    total, alone = 1 << PRECISION, masses >= RAREST
    alone[..., -1] = True
    frequencies = np.where(alone, 1 + np.floor(masses * (total - masses.shape[-1])), 0).astype(np.int64)
    most = frequencies.argmax(-1)[..., None]
    rest = total - frequencies.sum(-1, keepdims=True)
    np.put_along_axis(frequencies, most, np.take_along_axis(frequencies, most, -1) + rest, -1)
    assert (frequencies >= 0).all() and (frequencies.sum(-1) == total).all()
    return frequencies.astype(np.int16)


def logistic_masses() -> np.ndarray:
    """(SCALES, FRACTIONS, 2 REACH + 2) probabilities that the rate model knows."""
    scales = SMALLEST_SCALE * np.exp(LOG_RATIO * np.arange(SCALES))[:, None, None]
    edges = np.arange(-REACH, REACH + 2) - 0.5 - (np.arange(FRACTIONS) / FRACTIONS)[:, None]
    below = 0.5 * (1 + np.tanh(edges / (2 * scales)))
    return np.concatenate([np.diff(below), below[..., :1] + 1 - below[..., -1:]], axis=-1)


def encode_all(autoencoder: EmbeddedAutoencoder, pictures: list[np.ndarray]) -> list[Tensor]:
    """All latent channels of every picture, cut to multiples of the grid."""
    latents = []
    with torch.inference_mode():
        for picture in pictures:
            height, width = (side // 16 * 16 for side in picture.shape[:2])
            image = as_images(torch.from_numpy(picture[:height, :width].copy())[None], autoencoder.device)
            latents.append(autoencoder.network.encode(image)[0].cpu())
    return [one for one in latents if min(one.shape[1:]) >= CROP]


def draw_batch(
    latents: list[Tensor], refined: Sequence[Square], batch: int, rng: np.random.Generator, max_step: float
) -> Batch:
    """Quantised latents, of crops or of refined squares that all have one size, and the level of each one's step."""
    if refined and rng.random() < 0.5:
        drawn = [refined[number] for number in rng.integers(len(refined), size=4 * batch)]
        alike = [square for square in drawn if square.half == drawn[0].half][:batch]
        return torch.stack([square.symbols for square in alike]).float(), torch.tensor([one.level for one in alike])
    symbols, levels = [], []
    for _ in range(batch):
        one = latents[rng.integers(len(latents))]
        top, left = (int(rng.integers(side - CROP + 1)) for side in one.shape[1:])
        step = float(max_step ** rng.random())
        symbols.append(torch.round(one[:, top : top + CROP, left : left + CROP] / step))
        levels.append(level_of(step))
    return torch.stack(symbols), torch.tensor(levels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--start", required=True, help="folder of the autoencoder's run, or the autoencoder's name")
    parser.add_argument("--minutes", type=float, default=10, help="of training; after none the tables are new alone")
    parser.add_argument("--refining", type=float, default=6, help="minutes in which pictures are refined to train on")
    parser.add_argument("--limit", type=int, help="training pictures")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a step; half as many are refined together")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--export", metavar="NAME", required=True, help="the model's name in the package")
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures = without_unseen(load_pictures(args.data))[: args.limit]
    device = torch.device(args.device)
    autoencoder = EmbeddedAutoencoder(device)
    max_step = autoencoder.network.max_step
    latents = encode_all(autoencoder, pictures)
    model = RateModel(latents[0].shape[0], HIDDEN).to(device)
    if args.start in FILES:
        integers = load_code_model(args.start)
        model.take_over({name: getattr(integers, name) for name in WEIGHTS})
    else:
        state = torch.load(Path(args.start) / "checkpoint.pt", map_location=device, weights_only=True)
        model.load_state_dict(state["rate"])
    fixed = copy.deepcopy(model).requires_grad_(requires_grad=False)
    together = args.batch // 2
    refined = list(refined_squares(autoencoder, pictures, fixed, rng, minutes=args.refining, together=together))
    print(f"{len(refined)} squares refined", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PACE, betas=(0.9, 0.98), weight_decay=0.0)
    started, step, totals = time.monotonic(), 0, []
    while (elapsed := time.monotonic() - started) < 60 * args.minutes:
        for group in optimizer.param_groups:
            group["lr"] = PACE * min(1.0, (step + 1) / 100) * (1 - elapsed / (60 * args.minutes))
        symbols, levels = (drawn.to(device) for drawn in draw_batch(latents, refined, args.batch, rng, max_step))
        rates = model.bits(symbols, levels).sum((1, 2, 3)) / (symbols[0, 0].numel() * 256)
        # Relative to its own rate: a coarse step's few bits matter as much as a fine step's many.
        loss = torch.log(rates + 0.02).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(rates.detach().mean())
        step += 1
        if step % 100 == 0:
            mean = torch.stack(totals).mean()
            print(f"{time.monotonic() - started:5.0f} s, step {step}: {mean:.4f} bits/pixel", flush=True)
            totals = []
    package = Path(__file__).parents[1] / "unicorn_codec" / "pretrained"
    save_file(to_integers(model.cpu(), level_of(max_step)), package / f"{args.export}.safetensors")


if __name__ == "__main__":
    main()
