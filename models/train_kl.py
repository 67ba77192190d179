"""Train a small autoencoder of the Stable Diffusion kind (AutoencoderKL of diffusers: 8x, 4 channels) for benchmarks.

    python models/train_kl.py --data PICTURES --out kl-8x4 --minutes 30

The package does not ship it. It gives ``pack --overfit --autoencoder kl-8x4`` and ``--index-only`` latents of that kind
where no weights can be downloaded. The folder is written every few minutes, in float16, and a later run continues from
it.
"""

import argparse
import copy
import random
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from muon import Muon
from torch import Tensor, nn

from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.pictures.picture_folder import Folder, list_folder, read_picture
from unicorn_codec.transform.distortion import as_ycbcr

WIDTHS = (16, 32, 64, 128)
CROP, LARGE_CROP, LARGE_PART = 64, 128, 0.3
"""Side of the crops, and of those of the last part of training: at first many small steps teach more."""

BATCH = 8
KERNEL_RATE, DECAY, RATE = 0.01, 0.1, 1e-3
"""Learning rate and weight decay of Muon, which trains the kernels between the first and the last ones, and learning
rate of Adam, which trains the rest. With Adam alone, colours came after thousands of steps."""

DIVERGENCE_WEIGHT = 1e-6
"""Weight of the latents' divergence from a normal distribution, as in latent diffusion (Rombach et al., 2022)."""

CHANNEL_WEIGHTS = (1.0, 1.5, 1.5)
"""Of the absolute errors of Y, Cb and Cr."""

BLURRED_PART = 0.12
"""Part of training in which pictures turn from means of 8x8 pixels, one a latent position, into what they are. Without
it, three of the four latent channels went to luma and one to chroma for good, so that green came out gray: of sharp
pictures, two gradients of luma are worth more than the second axis of colour."""

PERCEPTUAL_WEIGHT = 0.1
PSNRS = ("Y", "Cb", "Cr", "RGB")
SAVE_SECONDS = 120


def new_autoencoder() -> Any:
    """Return the autoencoder, untrained."""
    return diffusers.AutoencoderKL(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        latent_channels=4,
        norm_num_groups=8,
        layers_per_block=1,
        mid_block_add_attention=False,
    )


def cutter(listed: Folder, seed: int) -> Callable[[int], Tensor]:
    """Return a function that cuts a batch of random crops (N, 3, side, side) in [0, 1]."""
    rng = random.Random(seed)
    large = [picture for picture in listed.pictures if min(picture.width, picture.height) >= LARGE_CROP]

    def cut(side: int) -> Tensor:
        crops = []
        for picture in rng.sample(large, min(BATCH, len(large))):
            pixels = read_picture(listed, picture, ReadOptions())
            top, left = rng.randint(0, picture.height - side), rng.randint(0, picture.width - side)
            crop = pixels[top : top + side, left : left + side]
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        return torch.from_numpy(np.stack(crops).astype(np.float32) / 255).permute(0, 3, 1, 2)

    return cut


class Optimizers:
    """Muon for the kernels between the first and the last ones, and Adam for all else."""

    def __init__(self, model: Any) -> None:
        outer = (model.encoder.conv_in, model.encoder.conv_out, model.decoder.conv_in, model.decoder.conv_out)
        ends = {id(layer.weight) for layer in (*outer, model.quant_conv, model.post_quant_conv)}
        kernels = [p for p in model.parameters() if p.ndim == 4 and id(p) not in ends]
        chosen = {id(kernel) for kernel in kernels}
        # Muon wants matrices: each kernel's storage is given to it as (out, in * k * k).
        self._matrices = [(kernel, nn.Parameter(as_matrix(kernel.data))) for kernel in kernels]
        kind = torch.bfloat16 if has_fast_bfloat16(kernels[0].device) else torch.float32
        self._muon = Muon([matrix for _, matrix in self._matrices], lr=KERNEL_RATE, decay=DECAY, kind=kind)
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self._adam = torch.optim.AdamW(rest, RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, share: float) -> None:
        """Step by the gradients, at a share of the learning rates, and clear them."""
        for optimizer, rate in ((self._muon, KERNEL_RATE), (self._adam, RATE)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        for kernel, matrix in self._matrices:
            assert kernel.grad is not None, "the loss depends on all kernels"
            matrix.grad, kernel.grad = as_matrix(kernel.grad), None
        self._muon.step()
        self._adam.step()
        self._adam.zero_grad()


def as_matrix(kernels: Tensor) -> Tensor:
    """Return kernels (out, in, k, k), channels last in memory, as (out, k * k * in)."""
    return kernels.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(1)


def blurred(pictures: Tensor, sharpness: float) -> Tensor:
    """Return pictures (N, 3, H, W) between their interpolated means of 8x8 pixels (0) and themselves (1)."""
    if sharpness >= 1:
        return pictures
    means = F.avg_pool2d(pictures, 2 ** (len(WIDTHS) - 1))
    return torch.lerp(F.interpolate(means, size=pictures.shape[-2:], mode="bilinear"), pictures, sharpness)


def loss_of(model: Any, pictures: Tensor, features: PerceptualDistance | None) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch, and its squared errors of Y, Cb and Cr, and of RGB (4,)."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        posterior = model.encode(2 * pictures - 1).latent_dist
        decoded = model.decode(posterior.sample()).sample
    decoded = (decoded.float() + 1) / 2
    errors = as_ycbcr(decoded - pictures)
    absolute = errors.abs().mean((0, 2, 3))
    loss = (absolute * absolute.new_tensor(CHANNEL_WEIGHTS)).sum() + DIVERGENCE_WEIGHT * posterior.kl().float().mean()
    if features is not None:
        loss = loss + PERCEPTUAL_WEIGHT * features(decoded, pictures).mean()
    squared = torch.cat([errors.square().mean((0, 2, 3)), F.mse_loss(decoded, pictures)[None]])
    return loss, squared.detach()


def main() -> None:
    """Train, and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--features", type=Path, help="SqueezeNet 1.1 features, for a perceptual distance")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    is_begun = (chosen.out / "config.json").exists()
    model: Any = diffusers.AutoencoderKL.from_pretrained(chosen.out) if is_begun else new_autoencoder()
    model.to(chosen.device, memory_format=torch.channels_last).train()
    features = None if chosen.features is None else PerceptualDistance(chosen.features).to(chosen.device)
    optimizers, cut = Optimizers(model), cutter(list_folder(chosen.data, ReadOptions()), chosen.seed)
    started = saved = time.monotonic()
    squared: deque[Tensor] = deque(maxlen=100)
    for step in count():
        share = (time.monotonic() - started) / (60 * chosen.minutes)
        crops = cut(CROP if share < 1 - LARGE_PART else LARGE_CROP)
        pictures = blurred(crops.to(chosen.device), 1.0 if is_begun else share / BLURRED_PART)
        loss, errors = loss_of(model, pictures, features)
        loss.backward()
        optimizers.step(max(0.0, min(1.0 - share, (step + 1) / 30)))
        squared.append(errors)
        if share >= 1 or time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            copy.deepcopy(model).half().save_pretrained(chosen.out)
            psnrs = (-10 * torch.stack(tuple(squared)).mean(0).log10()).tolist()
            print(step + 1, *(f"{name} {db:.2f} dB" for name, db in zip(PSNRS, psnrs, strict=True)), flush=True)
        if share >= 1:
            return


if __name__ == "__main__":
    main()
