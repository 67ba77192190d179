"""The weight section: round trips, hostile bytes, and the denoiser's tensors in their order."""

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sample_network import DENOISING, HEADER
from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format.header import CONDITIONS, INDEX_EMBEDDINGS, NetworkConfig, WeightFormat
from unicorn_codec.weights.minifloat import dequantise, quantise
from unicorn_codec.weights.weight_coding import quantise_rows, step_sizes
from unicorn_codec.weights.weight_section import (
    as_matrix,
    count_parameters,
    join_tensors,
    parse_integers,
    parse_tensors,
    parse_weights,
    serialize_integers,
    serialize_weights,
    split_tensors,
    tensor_shapes,
    weight_summary,
)

VALUES = np.random.default_rng(0).normal(size=1001).astype(np.float32)
FORMATS = [WeightFormat(exponent_bits=e, mantissa_bits=m, bias=b) for e, m, b in ((4, 3, 11), (4, 9, 13), (8, 23, 127))]


@pytest.mark.parametrize("weight_format", FORMATS, ids=lambda f: f"{f.bits}-bits")
def test_weights_come_back_as_rounded(weight_format: WeightFormat) -> None:
    payload = serialize_weights(VALUES, weight_format)
    found_format, found = parse_weights(payload)
    assert found_format == weight_format
    assert np.array_equal(found, dequantise(quantise(VALUES, weight_format), weight_format))
    assert serialize_weights(found, weight_format) == payload
    summary = weight_summary(payload)
    assert (summary.format, summary.count) == (weight_format, VALUES.size)


def test_the_layout() -> None:
    payload = serialize_weights(np.array([1, -1], dtype=np.float32), WeightFormat())
    codes = 0b0_0111_000000000_1_0111_000000000_0000
    assert payload == struct.pack("<BBBhQ", 0, 4, 9, 7, 2) + bytes([2 * 4]) + codes.to_bytes(4, "big")


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2)), np.array([np.nan])], ids=["none", "matrix", "nan"])
def test_values_that_are_not_finite_are_refused(values: NDArray[np.float64]) -> None:
    with pytest.raises(InvalidSetting):
        serialize_weights(values.astype(np.float32), WeightFormat())


def test_every_truncation_is_refused() -> None:
    payload = serialize_weights(VALUES[:9], WeightFormat())
    for length in range(len(payload)):
        with pytest.raises(InvalidField, match="weights"):
            parse_weights(payload[:length])
    with pytest.raises(InvalidField, match="weights"):
        parse_weights(payload + b"\0")


def test_a_claimed_count_allocates_nothing() -> None:
    payload = struct.pack("<BBBhQ", 0, 4, 9, 7, 1 << 28) + struct.pack("<BQ", 0, 0)
    with pytest.raises(InvalidField):
        parse_weights(payload)


def test_tensors_come_back() -> None:
    shapes = tensor_shapes(DENOISING.network, HEADER.autoencoder.latent_channels, HEADER.pictures)
    count = sum(map(math.prod, shapes.values()))
    values = np.arange(count, dtype=np.float32)
    tensors = split_tensors(values, HEADER)
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
    assert np.array_equal(join_tensors(tensors, HEADER), values)
    with pytest.raises(InvalidField, match="network has"):
        split_tensors(values[1:], HEADER)
    with pytest.raises(InvalidSetting):
        join_tensors({"gate": values}, HEADER)


def integer_payload() -> bytes:
    shapes = tensor_shapes(DENOISING.network, HEADER.autoencoder.latent_channels, HEADER.pictures).values()
    values = np.linspace(-1, 1, sum(map(math.prod, shapes)), dtype=np.float32)
    pieces = np.split(values, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    matrices = [piece.reshape(as_matrix(shape)) for piece, shape in zip(pieces, shapes, strict=True)]
    return serialize_integers([quantise_rows(matrix, np.full(len(matrix), 150)) for matrix in matrices])


def test_integers_come_back_as_tensors() -> None:
    payload = integer_payload()
    summary = weight_summary(payload)
    assert (summary.format, summary.count) == (None, 268)
    tensors = parse_tensors(payload, HEADER)
    assert {name: tensor.shape for name, tensor in tensors.items()} == tensor_shapes(
        DENOISING.network, 1, HEADER.pictures
    )
    found = join_tensors(tensors, HEADER)
    assert np.abs(found - np.linspace(-1, 1, 268)).max() <= step_sizes(np.array([150]))[0] / 2
    floats = serialize_weights(found, WeightFormat(exponent_bits=8, mantissa_bits=23, bias=127))
    assert np.array_equal(join_tensors(parse_tensors(floats, HEADER), HEADER), found)
    for length in range(len(payload)):
        with pytest.raises(InvalidField, match="weights"):
            parse_tensors(payload[:length], HEADER)


def test_the_two_formats_are_not_confused() -> None:
    with pytest.raises(InvalidField, match="integers"):
        parse_weights(integer_payload())
    with pytest.raises(InvalidField, match="floats"):
        parse_integers(serialize_weights(VALUES, WeightFormat()), [(1, VALUES.size)])


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("index_embedding", INDEX_EMBEDDINGS)
def test_tensors_are_the_denoisers_in_its_order(condition: str, index_embedding: str) -> None:
    pytest.importorskip("torch")
    from unicorn_codec.network.denoiser import Denoiser

    network = replace(DENOISING.network, hidden_size=8, depth=2, index_tokens=3)
    network = replace(network, condition=condition, index_embedding=index_embedding)
    denoiser = Denoiser(network, pictures=5, seed=HEADER.seed, latent_channels=3)
    found = {name: tuple(tensor.shape) for name, tensor in denoiser.state_dict().items()}
    assert list(found.items()) == list(tensor_shapes(network, 3, 5).items())


def network_of(hidden_size: int, condition: str = "cag", index_embedding: str = "grf") -> NetworkConfig:
    return NetworkConfig(hidden_size=hidden_size, heads=1, condition=condition, index_embedding=index_embedding)


@pytest.mark.parametrize("size", [48, 96, 144])
def test_conditions_cost_what_the_paper_plots(size: int) -> None:
    """Figure 3: in-context tokens are the cheapest, adaptive norms the most expensive, gates nearly free."""
    counts = {c: count_parameters(network_of(size, c), 4, 1000) for c in CONDITIONS}
    assert counts["icc"] < counts["ca"] < counts["cag"] < counts["alnz"]
    assert counts["cag"] - counts["ca"] == 12 * size
    assert counts["ca"] - counts["icc"] == 12 * 4 * size**2
    assert counts["alnz"] - counts["icc"] == 12 * 6 * size**2


@pytest.mark.parametrize("size", [48, 96, 144])
def test_index_embeddings_cost_what_the_paper_plots(size: int) -> None:
    """Random frequencies cost nothing, an MLP the same for every set, a table one row per picture."""
    few, many = (
        {e: count_parameters(network_of(size, index_embedding=e), 4, pictures) for e in INDEX_EMBEDDINGS}
        for pictures in (250, 2000)
    )
    assert many["grf"] < many["mlp"] < many["edf"] < many["let"]
    assert {e for e in INDEX_EMBEDDINGS if few[e] != many[e]} == {"let"}
    assert many["let"] - few["let"] == 1750 * 8 * size
    assert many["grf"] == count_parameters(network_of(size), 4, 1) == 12 * (16 * size**2 + size) + 2 * size * 16
