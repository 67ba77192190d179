"""What networks reach on pictures: rates by the context model, and qualities, of codes that are not refined."""

from collections.abc import Sequence

import numpy as np
import torch
from training_pictures import as_pictures

from unicorn_codec.codes.context_model import level_of
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder

STEPS = (1.0, 2.0, 3.4, 6.0, 12.0)


def described(network: CodingAutoencoder, rate: RateModel, pictures: Sequence[np.ndarray]) -> str:
    """A line about what is reached on pictures."""
    pictures = [p[: p.shape[0] // 16 * 16, : p.shape[1] // 16 * 16] for p in pictures]
    report = []
    for step in STEPS:
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
    whole = as_pictures(torch.from_numpy(picture.copy())[None], device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        symbols = (network.encode(whole).float() / step).round()
        if kept is not None:
            symbols[:, kept:] = 0
        decoded = network.decode(symbols * step, torch.tensor([step], device=device)).float()
    bits = rate.bits(symbols, torch.tensor([level_of(step)], device=device)).sum()
    shown = ((decoded[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return float(bits) / whole[0, 0].numel(), psnr_db(picture, shown), ms_ssim(picture, shown)
