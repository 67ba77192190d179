from collections.abc import Iterator

import pytest
import torch

from unicorn_codec.errors import FormatError, InvalidSetting
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.decoder_update import (
    TrainingWindows,
    convolutions,
    fit_update,
    mean_loss,
    parse_update,
    quantise_update,
    serialize_update,
    start_update,
    update_shapes,
    updated_network,
    updated_parameters,
)


@pytest.fixture(scope="module")
def network() -> CodingAutoencoder:
    torch.manual_seed(0)
    network = CodingAutoencoder(
        latent_channels=4, widths=[8, 8], encoder_depths=[1, 1], decoder_depths=[1, 1], max_step=12.0
    )
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def groups(network: CodingAutoencoder) -> list[TrainingWindows]:
    """Windows of two sizes of reddish noise, which the network was not trained on."""
    torch.manual_seed(1)
    made = []
    for height, width in ((48, 48), (48, 64)):
        pixels = (torch.rand(6, 3, height, width) * torch.tensor([250.0, 60, 20]).view(3, 1, 1)).to(torch.uint8)
        made.append(TrainingWindows(pixels, network.encode(pixels.float() / 127.5 - 1).half()))
    return made


def nothing(done: int, total: int) -> None:
    pass


def test_an_initial_update_changes_nothing(network: CodingAutoencoder) -> None:
    update = start_update(network, 2, seed=0)
    for name, layer in convolutions(network):
        parameters = updated_parameters(network, update)
        assert torch.equal(parameters[f"{name}.weight"], layer.weight)
        assert layer.bias is not None and torch.equal(parameters[f"{name}.bias"], layer.bias)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_fitted_update_lowers_the_loss_as_stored(
    network: CodingAutoencoder, groups: list[TrainingWindows], rank: int
) -> None:
    update = fit_update(network, groups, 1.0, rank=rank, batches=60, seed=0, progress=nothing)
    stored = parse_update(serialize_update(update, rank), network)
    assert list(stored) == list(update_shapes(network, rank))
    assert mean_loss(network, stored, groups, 1.0) < 0.9 * mean_loss(network, {}, groups, 1.0)


def test_a_higher_rank_fits_better(network: CodingAutoencoder, groups: list[TrainingWindows]) -> None:
    losses = []
    for rank in (0, 4):
        update = fit_update(network, groups, 1.0, rank=rank, batches=60, seed=0, progress=nothing)
        losses.append(mean_loss(network, parse_update(serialize_update(update, rank), network), groups, 1.0))
    assert losses[1] < losses[0]


def test_the_updated_network_decodes_like_the_update(network: CodingAutoencoder) -> None:
    torch.manual_seed(2)
    update = {name: 0.1 * torch.randn(shape) for name, shape in update_shapes(network, 1).items()}
    latents, steps = torch.randn(2, 4, 5, 6), torch.tensor([2.0, 3.0])
    updated = updated_network(network, update).decode(latents, steps)
    inputs = network.with_step(latents, steps)
    by_hand = torch.func.functional_call(network.decoder, updated_parameters(network, update), (inputs,))
    assert torch.allclose(updated, by_hand, atol=1e-6)
    assert not torch.allclose(updated, network.decode(latents, steps), atol=1e-2)


def damaged(payload: bytes) -> Iterator[bytes]:
    yield b""
    yield bytes([MAX_RANK + 1]) + payload[1:]
    yield bytes([payload[0] + 1]) + payload[1:]
    yield from (payload[:end] for end in range(1, len(payload), 7))
    yield payload + b"\0\0"


def test_a_damaged_update_is_refused(network: CodingAutoencoder) -> None:
    torch.manual_seed(3)
    tensors = {name: torch.randn(shape) for name, shape in update_shapes(network, 1).items()}
    for payload in damaged(serialize_update(quantise_update(tensors), 1)):
        with pytest.raises(FormatError):
            parse_update(payload, network)


def test_a_rank_has_limits(network: CodingAutoencoder) -> None:
    with pytest.raises(InvalidSetting, match="rank"):
        start_update(network, MAX_RANK + 1, seed=0)
