import numpy as np
import pytest
import torch

from unicorn_codec.format.header import CONDITIONS, INDEX_EMBEDDINGS, NetworkConfig
from unicorn_codec.network.denoiser import Denoiser, load_tensors, position_features, tensors_of, timestep_features
from unicorn_codec.weights.weight_section import count_parameters

IMAGES = 7
CONFIGS = [
    NetworkConfig(
        hidden_size=16, depth=2, heads=2, patch_size=2, index_tokens=3, condition=condition, index_embedding=embedding
    )
    for condition in CONDITIONS
    for embedding in INDEX_EMBEDDINGS
]
every_kind = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.condition}-{c.index_embedding}")


def make_denoiser(config: NetworkConfig) -> Denoiser:
    torch.manual_seed(0)
    denoiser = Denoiser(config, pictures=IMAGES, seed=3, latent_channels=4)
    for parameter in denoiser.parameters():  # outputs that start at zero would hide every difference
        torch.nn.init.normal_(parameter, std=0.2)
    return denoiser


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 6), (10, 2)])
def test_the_output_has_the_shape_of_the_input(height: int, width: int) -> None:
    noisy = torch.randn(3, 4, height, width)
    predicted = make_denoiser(CONFIGS[0])(noisy, torch.tensor([1.0, 0.5, 0.7]), torch.tensor([0, 1, 2]))
    assert predicted.shape == noisy.shape


@every_kind
def test_prediction_depends_on_index_timestep_and_input(config: NetworkConfig) -> None:
    denoiser = make_denoiser(config)
    noisy, timesteps, indices = torch.randn(1, 4, 4, 4), torch.ones(1), torch.tensor([5])
    base = denoiser(noisy, timesteps, indices)
    for changed in (
        denoiser(noisy + 0.1, timesteps, indices),
        denoiser(noisy, timesteps - 0.1, indices),
        denoiser(noisy, timesteps, indices + 1),
    ):
        assert (changed - base).abs().max() > 1e-3


@every_kind
def test_pictures_of_a_batch_do_not_mix(config: NetworkConfig) -> None:
    denoiser = make_denoiser(config)
    noisy, indices = torch.randn(4, 4, 4, 4), torch.arange(4)
    together = denoiser(noisy, torch.ones(4), indices)
    alone = torch.cat([denoiser(noisy[i : i + 1], torch.ones(1), indices[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@every_kind
def test_a_fresh_denoiser_gets_a_gradient_for_all_that_reaches_the_output(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(config, pictures=IMAGES, seed=3, latent_channels=4)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=0.01)
    for _ in range(4):  # gradients pass one zero-initialised layer per step
        optimizer.zero_grad()
        predicted = denoiser(torch.randn(IMAGES, 4, 4, 4), torch.ones(IMAGES), torch.arange(IMAGES))
        (predicted - 1).square().mean().backward()
        optimizer.step()
    for name, parameter in denoiser.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@every_kind
def test_parameters_are_counted_without_building(config: NetworkConfig) -> None:
    assert count_parameters(config, 4, IMAGES) == sum(p.numel() for p in make_denoiser(config).parameters())


def test_parameters_per_block_are_those_of_the_paper() -> None:
    # Two attentions of 4 H^2, an MLP of 8 H^2, one gate of H: 12 blocks at H = 144 are the paper's CAT-1000.
    config = NetworkConfig(hidden_size=144, heads=3)
    assert count_parameters(config, 4, 1000) == 12 * (16 * 144**2 + 144) + 2 * 144 * 16


@every_kind
def test_weights_flatten_and_load(config: NetworkConfig) -> None:
    source, target = make_denoiser(config), Denoiser(config, pictures=IMAGES, seed=3, latent_channels=4)
    load_tensors(target, tensors_of(source))
    for a, b in zip(source.parameters(), target.parameters(), strict=True):
        assert torch.equal(a, b)


def test_features_have_unit_variance() -> None:
    for features in (
        position_features(8, 8, 64),
        timestep_features(torch.linspace(0, 1, 9), 64),
    ):
        assert float(features.square().mean()) == pytest.approx(1, abs=0.15)


def test_positions_of_a_large_grid_differ() -> None:
    features = position_features(24, 24, 32).numpy()
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    assert distances[~np.eye(len(features), dtype=bool)].min() > 0.05
