import numpy as np
import pytest
import torch

from unicorn_codec.config import NetworkConfig
from unicorn_codec.denoiser import (
    Denoiser,
    GaussianFourierFeatures,
    load_tensors,
    position_features,
    tensors_of,
    timestep_features,
)
from unicorn_codec.weights import count_parameters

CONFIG = NetworkConfig(hidden_size=16, depth=2, heads=2, patch_size=2)


def make_denoiser(seed: int = 3) -> Denoiser:
    torch.manual_seed(0)
    denoiser = Denoiser(CONFIG, seed=seed, latent_channels=4)
    for parameter in denoiser.parameters():  # zero-initialised outputs would hide every difference
        torch.nn.init.normal_(parameter, std=0.2)
    return denoiser


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 6), (10, 2)])
def test_any_grid_goes_in_and_comes_out(height: int, width: int) -> None:
    noisy = torch.randn(3, 4, height, width)
    predicted = make_denoiser()(noisy, torch.tensor([1.0, 0.5, 0.7]), torch.tensor([0, 1, 2]))
    assert predicted.shape == noisy.shape


def test_prediction_depends_on_index_timestep_and_input() -> None:
    denoiser = make_denoiser()
    noisy, timesteps, indices = torch.randn(1, 4, 4, 4), torch.ones(1), torch.tensor([5])
    base = denoiser(noisy, timesteps, indices)
    for changed in (
        denoiser(noisy + 0.1, timesteps, indices),
        denoiser(noisy, timesteps - 0.1, indices),
        denoiser(noisy, timesteps, indices + 1),
    ):
        assert (changed - base).abs().max() > 1e-3


def test_images_of_a_batch_do_not_mix() -> None:
    denoiser = make_denoiser()
    noisy, indices = torch.randn(4, 4, 4, 4), torch.arange(4)
    together = denoiser(noisy, torch.ones(4), indices)
    alone = torch.cat([denoiser(noisy[i : i + 1], torch.ones(1), indices[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_parameters_are_counted_without_building() -> None:
    assert count_parameters(CONFIG, 4) == sum(p.numel() for p in make_denoiser().parameters())


def test_parameters_are_those_of_the_paper_per_block() -> None:
    # Two attentions of 4 H^2, an MLP of 8 H^2, one gate of H: 12 blocks at H = 144 are the paper's CAT-1000.
    config = NetworkConfig(hidden_size=144, heads=3)
    assert count_parameters(config, 4) == 12 * (16 * 144**2 + 144) + 2 * 144 * 16


def test_weights_flatten_and_load() -> None:
    source, target = make_denoiser(), Denoiser(CONFIG, seed=3, latent_channels=4)
    load_tensors(target, tensors_of(source))
    for a, b in zip(source.parameters(), target.parameters(), strict=True):
        assert torch.equal(a, b)


def test_neighbouring_indices_are_told_apart_even_far_out() -> None:
    embedding = GaussianFourierFeatures(CONFIG, seed=1)
    for start in (0, 1_000, 10_000_000):
        tokens = embedding(torch.arange(start, start + 50)).flatten(1)
        similarity = torch.nn.functional.normalize(tokens) @ torch.nn.functional.normalize(tokens).T
        assert (similarity - torch.eye(50)).abs().max() < 0.6


def test_frequencies_come_from_the_seed_alone() -> None:
    first, again, other = (GaussianFourierFeatures(CONFIG, seed=s)(torch.tensor([9])) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_features_have_unit_variance() -> None:
    for features in (
        position_features(8, 8, 64),
        timestep_features(torch.linspace(0, 1, 9), 64),
        GaussianFourierFeatures(CONFIG, seed=1)(torch.arange(100)),
    ):
        assert float(features.square().mean()) == pytest.approx(1, abs=0.15)


def test_positions_of_a_large_grid_differ() -> None:
    features = position_features(24, 24, 32).numpy()
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    assert distances[~np.eye(len(features), dtype=bool)].min() > 0.05
