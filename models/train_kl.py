"""Train a small autoencoder of the Stable Diffusion kind (AutoencoderKL of diffusers: 8x, 4 channels) for benchmarks.

    python models/train_kl.py --data PICTURES --out kl-8x4 --minutes 30

The package does not ship it. It gives ``pack --overfit --autoencoder kl-8x4`` and ``--index-only`` latents of that kind
where no weights can be downloaded. The folder is written every few minutes, and a later run continues from it.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.images import Folder, list_folder, read_picture

WIDTHS = (32, 48, 64, 80)
CROP = 128
BATCH = 8
RATE = 1e-3
DIVERGENCE_WEIGHT = 1e-6
"""Weight of the latents' divergence from a normal distribution, as in latent diffusion (Rombach et al., 2022)."""

PERCEPTUAL_WEIGHT = 0.1
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


def batches(listed: Folder, seed: int) -> Iterator[Tensor]:
    """Yield batches of random crops (N, 3, CROP, CROP) in [0, 1], without end."""
    rng = random.Random(seed)
    large = [picture for picture in listed.pictures if min(picture.width, picture.height) >= CROP]
    while True:
        crops = []
        for picture in rng.sample(large, min(BATCH, len(large))):
            pixels = read_picture(listed, picture, ReadOptions())
            top, left = rng.randint(0, picture.height - CROP), rng.randint(0, picture.width - CROP)
            crop = pixels[top : top + CROP, left : left + CROP]
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        yield torch.from_numpy(np.stack(crops).astype(np.float32) / 255).permute(0, 3, 1, 2)


def loss_of(model: Any, pictures: Tensor, features: PerceptualDistance | None) -> tuple[Tensor, float]:
    """Return the loss of a batch, and its PSNR in dB."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        posterior = model.encode(2 * pictures - 1).latent_dist
        decoded = model.decode(posterior.sample()).sample
    decoded = (decoded.float() + 1) / 2
    squared = F.mse_loss(decoded, pictures)
    loss = (decoded - pictures).abs().mean() + DIVERGENCE_WEIGHT * posterior.kl().float().mean()
    if features is not None:
        loss = loss + PERCEPTUAL_WEIGHT * features(decoded, pictures).mean()
    return loss, float(-10 * squared.detach().log10())


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
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    started = saved = time.monotonic()
    psnrs: list[float] = []
    for step, crops in enumerate(batches(list_folder(chosen.data, ReadOptions()), chosen.seed)):
        share = (time.monotonic() - started) / (60 * chosen.minutes)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 2 * (1 - share)) * min(1.0, (step + 1) / 100)
        loss, psnr = loss_of(model, crops.to(chosen.device), features)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        psnrs = [*psnrs[-99:], psnr]
        if share >= 1 or time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            model.save_pretrained(chosen.out)
            print(json.dumps({"step": step + 1, "psnr_db": round(sum(psnrs) / len(psnrs), 2)}), flush=True)
        if share >= 1:
            return


if __name__ == "__main__":
    main()
