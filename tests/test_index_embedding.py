"""Index embeddings: distinct tokens, reproducible, and no larger than necessary."""

import pytest
import torch

from unicorn_codec.format.header import INDEX_EMBEDDINGS, NetworkConfig
from unicorn_codec.network.index_embedding import (
    ExponentialDecayFeatures,
    GaussianFourierFeatures,
    LearnedTable,
    NormalisedIndexMlp,
    embed_indices,
)

CONFIG = NetworkConfig(hidden_size=16, depth=2, heads=2, patch_size=2)


@pytest.mark.parametrize("name", INDEX_EMBEDDINGS)
def test_each_index_has_its_own_tokens(name: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(hidden_size=16, heads=2, index_tokens=3, index_embedding=name)
    tokens = embed_indices(config, pictures=50, seed=1)(torch.arange(50)).detach()
    assert tokens.shape == (50, 3, 16)
    distances = torch.cdist(tokens.flatten(1), tokens.flatten(1)) + 9 * torch.eye(50)
    assert distances.min() > 1e-3
    assert 0.1 < float(tokens.square().mean()) < 1.5, "about as large as the timestep's token"


def test_neighbouring_large_indices_have_distinct_tokens() -> None:
    embedding = GaussianFourierFeatures(CONFIG, pictures=1, seed=1)
    for start in (0, 1_000, 10_000_000):
        tokens = embedding(torch.arange(start, start + 50)).flatten(1)
        similarity = torch.nn.functional.normalize(tokens) @ torch.nn.functional.normalize(tokens).T
        assert (similarity - torch.eye(50)).abs().max() < 0.6


def test_frequencies_come_from_the_seed_alone() -> None:
    first, again, other = (GaussianFourierFeatures(CONFIG, pictures=1, seed=s)(torch.tensor([9])) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_random_features_have_unit_variance() -> None:
    features = GaussianFourierFeatures(CONFIG, pictures=100, seed=1)(torch.arange(100))
    assert float(features.square().mean()) == pytest.approx(1, abs=0.15)


def test_decaying_features_of_a_large_index_are_exact() -> None:
    embedding = ExponentialDecayFeatures(CONFIG, pictures=1, seed=1)
    torch.nn.init.eye_(embedding.mlp_in)
    # The first frequency is 1 rad per index, and 710 rad are 113 cycles up to 6e-5.
    far = torch.tensor([10_000_000, 10_000_710])
    with torch.no_grad():
        embedding.mlp_out.zero_()
        embedding.mlp_out[:2, :2] = torch.eye(2)
        first, second = embedding(far)[:, 0, 0]
    assert abs(float(first - second)) < 1e-3


def test_the_normalised_index_depends_on_the_number_of_pictures() -> None:
    torch.manual_seed(0)
    small, large = NormalisedIndexMlp(CONFIG, pictures=2, seed=0), NormalisedIndexMlp(CONFIG, pictures=2000, seed=0)
    large.load_state_dict(small.state_dict())
    # The middle of two pictures is the middle of two thousand.
    torch.testing.assert_close(
        small(torch.tensor([0, 1])).sum(0), large(torch.tensor([500, 1499])).sum(0), atol=1e-2, rtol=0
    )


def test_a_table_holds_one_row_per_picture() -> None:
    table = LearnedTable(CONFIG, pictures=5, seed=0)
    assert torch.equal(table(torch.tensor([3])).flatten(), table.table[3])
    with pytest.raises(IndexError):
        table(torch.tensor([5]))
