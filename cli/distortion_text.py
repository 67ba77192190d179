"""Distortion of pictures as text."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unicorn_codec.pictures.picture_files import printable

from .text import indented, table

if TYPE_CHECKING:  # at run time these would load torch
    from unicorn_codec.measurement import Measured, PictureDistortion
    from unicorn_codec.verification import BelowStored


def measured_text(measured: "Measured") -> str:
    """Summarize the distortion, and list the worst pictures."""
    if not measured.rows:
        return "not measured"
    rows = [
        ("PSNR, dB", *(f"{value:.2f}" for value in _summary(measured.psnr_db))),
        ("MS-SSIM", *(f"{value:.4f}" for value in _summary(measured.ms_ssim))),
    ]
    summary = table(("", "mean", "5th percentile", "min"), rows, left=(0,))
    return f"{summary}\n\nworst\n{indented(worst_text(measured.worst))}"


def _summary(distortion: Any) -> tuple[float, float, float]:
    return distortion.mean, distortion.p05, distortion.min


def worst_text(pictures: "Sequence[PictureDistortion]") -> str:
    """List pictures with their distortion."""
    rows = [(str(w.index), f"{w.psnr_db:.2f}", f"{w.ms_ssim:.4f}", printable(w.name)) for w in pictures]
    return table(("index", "PSNR, dB", "MS-SSIM", "name"), rows, left=(3,))


def below_stored_text(picture: "BelowStored") -> str:
    """Describe a picture that has another PSNR than when it was packed."""
    stored = "as packed" if math.isinf(picture.stored_db) else f"{picture.stored_db:.1f} dB"
    return (
        f"{printable(picture.name)}: {picture.psnr_db:.2f} dB PSNR, {stored} when packed: "
        "the original has changed, or the picture is damaged"
    )


def below_text(picture: "PictureDistortion") -> str:
    """Describe a picture below the quality floor."""
    return (
        f"{printable(picture.name)}: below the quality floor, "
        f"{picture.psnr_db:.2f} dB PSNR, MS-SSIM {picture.ms_ssim:.4f}"
    )
