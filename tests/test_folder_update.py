from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import ContextModel, level_of, load_context_model
from unicorn_codec.codes.context_update import (
    LARGEST_BIAS,
    LARGEST_KERNEL,
    SHIFTED,
    context_update_shapes,
    updated_model,
    updated_rate_parameters,
)
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.codes.rate_model import RateModel, fraction_bits
from unicorn_codec.codes.stored_update import (
    network_update_shapes,
    packaged_kernels,
    parse_update,
    serialize_update,
    updated_context_model,
)
from unicorn_codec.errors import FormatError
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels, quantise_update, update_shapes
from unicorn_codec.transform.network_update import convolutions, kernels_of, updated_parameters


@pytest.fixture
def models(autoencoder: PackagedAutoencoder) -> UpdatedModels:
    return UpdatedModels(autoencoder, load_context_model())


def drawn_update(models: UpdatedModels, rank: int, deviation: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(rank)
    shapes = update_shapes(models.autoencoder.network, models.context_model, rank)
    return {name: deviation * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def context_update(model: ContextModel, value: float) -> dict[str, np.ndarray]:
    shapes = context_update_shapes(model.channels, model.hidden)
    return {name: np.full(shape, value) for name, shape in shapes.items()}


def test_an_update_of_zeros_changes_nothing(models: UpdatedModels) -> None:
    zeros = {name: torch.zeros_like(tensor) for name, tensor in drawn_update(models, 2, 1.0).items()}
    same = models.with_update(serialize_update(quantise_update(zeros, 0.5), 2))
    for before, after in zip(
        models.autoencoder.network.parameters(), same.autoencoder.network.parameters(), strict=True
    ):
        assert torch.equal(before, after)
    for name in ("earlier", *SHIFTED):
        assert np.array_equal(getattr(models.context_model, name), getattr(same.context_model, name))


def test_kernels_get_gains_and_a_low_rank_change(models: UpdatedModels) -> None:
    network = models.autoencoder.network
    update = {name: torch.zeros(shape) for name, shape in network_update_shapes(kernels_of(network), 1).items()}
    name, layer = list(convolutions(network))[-1]
    assert name.startswith("decoder.") and layer.bias is not None
    update[f"{name}.out"][0, 2], update[f"{name}.in"][0, 3], update[f"{name}.bias"][0, 2] = 0.5, -0.25, 2.0
    update[f"{name}.left"][0, 1], update[f"{name}.right"][0, 0] = 3.0, 4.0
    changed = updated_parameters(network, update)
    wanted = layer.weight.clone()
    wanted[2] *= 1.5
    wanted[:, 3] *= 0.75
    wanted[1, 0, 0, 0] += 12.0
    assert torch.allclose(changed[f"{name}.weight"], wanted)
    assert torch.allclose(changed[f"{name}.bias"] - layer.bias, torch.eye(12)[2] * 2)
    others = set(changed) - {f"{name}.weight", f"{name}.bias"}
    assert all(torch.equal(changed[other], network.get_parameter(other)) for other in others)


def test_the_context_model_stays_integers_within_limits() -> None:
    model = load_context_model()
    for value in (0.3, -7e8, 7e8):
        changed = updated_model(model, context_update(model, value))
        for name in ("earlier", *SHIFTED):
            values = getattr(changed, name)
            limit = LARGEST_BIAS if name.endswith("bias") else LARGEST_KERNEL
            assert np.array_equal(values, np.rint(values)) and np.abs(values).max() <= limit


def test_integers_are_updated_like_their_floating_point_counterparts() -> None:
    model = load_context_model()
    rng = np.random.default_rng(1)
    shapes = context_update_shapes(model.channels, model.hidden)
    update = {name: rng.normal(0, 0.05, shape) for name, shape in shapes.items()}
    integers = updated_model(model, update)
    floats = updated_rate_parameters(RateModel.of(model), {n: torch.from_numpy(a).float() for n, a in update.items()})
    for name, tensor in floats.items():
        assert np.abs(getattr(integers, name) - tensor.numpy() * 2.0 ** fraction_bits(name)).max() < 0.51


def test_codes_of_an_updated_model_decode_with_it_alone(models: UpdatedModels) -> None:
    payload = serialize_update(quantise_update(drawn_update(models, 0, 0.05), 0.5), 0)
    updated = models.with_update(payload).context_model
    symbols = np.random.default_rng(2).integers(-3, 4, (2, 64, 3, 5)).astype(np.int16)
    codes = encode_symbols(updated, level_of(3.0), symbols)
    decoded = decode_symbols(updated, level_of(3.0), codes, 3, 5, short=True)
    assert np.array_equal(decoded, symbols)
    assert codes != encode_symbols(models.context_model, level_of(3.0), symbols)


def test_a_coarse_update_takes_fewer_bytes(models: UpdatedModels) -> None:
    update = drawn_update(models, 0, 0.05)
    sizes = [len(serialize_update(quantise_update(update, coarseness), 0)) for coarseness in (0.25, 0.5, 1.0)]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3


def damaged(payload: bytes) -> Iterator[bytes]:
    yield b""
    yield bytes([MAX_RANK + 1]) + payload[1:]
    yield bytes([payload[0] + 1]) + payload[1:]
    yield from (payload[:end] for end in range(1, len(payload), 997))
    yield payload + b"\0\0"


def test_a_damaged_update_is_refused(models: UpdatedModels) -> None:
    payload = serialize_update(quantise_update(drawn_update(models, 0, 0.05), 1.0), 0)
    for broken in damaged(payload):
        with pytest.raises(FormatError):
            parse_update(broken, kernels_of(models.autoencoder.network), models.context_model)


def test_the_shapes_of_a_packaged_network_are_known_without_torch(models: UpdatedModels) -> None:
    name = models.autoencoder.reference.name
    kernels, wanted = packaged_kernels(name), kernels_of(models.autoencoder.network)
    for part in ("encoder.", "decoder."):
        of_part = [[item for item in found.items() if item[0].startswith(part)] for found in (kernels, wanted)]
        assert of_part[0] == of_part[1] and of_part[0], "the same shapes in the same order"
    payload = serialize_update(quantise_update(drawn_update(models, 1, 0.05), 0.5), 1)
    updated, without_torch = models.with_update(payload).context_model, updated_context_model(name, payload)
    for tensor in ("earlier", *SHIFTED):
        assert np.array_equal(getattr(updated, tensor), getattr(without_torch, tensor))
