"""The distortion that packing minimises: zero for equal pictures, higher for less similar ones, finite gradients."""

import pytest
import torch
from torch import Tensor

from unicorn_codec.transform.distortion import SQUARED_ERRORS, as_ycbcr, distortion, structural_similarity


def picture(side: int) -> Tensor:
    """Draw a picture, (1, 3, side, side) in [-1, 1], with detail at all scales."""
    generator = torch.Generator().manual_seed(0)
    sizes = [size for size in (4, 16, 64) if size <= side]
    layers = [torch.rand(1, 3, size, size, generator=generator) for size in sizes]
    grown = [torch.nn.functional.interpolate(layer, (side, side), mode="bilinear") for layer in layers]
    return torch.stack(grown).mean(0) * 2 - 1


@pytest.mark.parametrize("side", [8, 21, 22, 64, 256])
def test_equal_pictures_have_no_distortion(side: int) -> None:
    assert distortion(picture(side), picture(side)).abs().max() < 1e-3


def test_of_small_pictures_only_squared_errors_count() -> None:
    original = picture(21)
    changed = original * 0.5
    squared = (as_ycbcr(changed) - as_ycbcr(original)).square().mean((2, 3)) * 127.5**2
    expected = (squared * torch.tensor(SQUARED_ERRORS)).sum(1)
    torch.testing.assert_close(distortion(changed, original), expected)


def test_structure_falls_with_contrast_and_ignores_full_size() -> None:
    original = picture(256) / 2 + 0.5
    flatter, flattest = (original.mean() + (original - original.mean()) * part for part in (0.7, 0.4))
    assert structural_similarity(flattest, original).max() < structural_similarity(flatter, original).min() < 1
    checks = 0.05 * (1 - 2 * ((torch.arange(256)[:, None] + torch.arange(256)) % 2))
    torch.testing.assert_close(structural_similarity(original + checks, original), torch.ones(1, 3))


def test_chroma_counts() -> None:
    original = picture(64)
    redder = original + torch.tensor([0.2, -0.1019, 0.0])[:, None, None]  # with almost the same luma
    assert (as_ycbcr(redder) - as_ycbcr(original))[:, 0].abs().max() < 1e-3
    assert distortion(redder, original) > 100


def test_gradients_of_flat_pictures_are_finite() -> None:
    decoded = torch.zeros(1, 3, 64, 64, requires_grad=True)
    distortion(decoded, torch.full((1, 3, 64, 64), -1.0)).sum().backward()
    assert decoded.grad is not None and decoded.grad.isfinite().all()
