"""Payload of a chunk of weights: a network with its settings, or an update of a model's decoder."""

import struct
from dataclasses import dataclass

from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.header import (
    CONDITIONS,
    INDEX_EMBEDDINGS,
    MAX_RANK,
    PREDICTIONS,
    Denoising,
    Header,
    ModelReference,
    NetworkConfig,
)
from unicorn_codec.format.limits import MAX_PICTURES

_NETWORK, _CHANGE = 0, 1


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A network as stored in an archive.

    Args:
        header: settings of its pictures.
        first: their lowest index; the network's input is a picture's index minus this.
        weights: in the format of ``weight_section``.
    """

    header: Header
    first: int
    weights: bytes


def serialize_network(header: Header, first: int, weights: bytes) -> bytes:
    """Write the payload of a network's weights."""
    assert header.denoising is not None, "a network has its denoising"
    numbers = varint(header.seed) + varint(header.pictures) + varint(first)
    return bytes([_NETWORK]) + numbers + _denoising(header.denoising) + weights


def parse_network(payload: bytes, model: ModelReference, latent_step: float) -> StoredNetwork:
    """Read the payload of a network's weights. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("network"):
        (kind,) = fields.numbers("B")
        check(kind == _NETWORK, f"weights of kind {kind}, a network's are of kind {_NETWORK}")
        seed, pictures = fields.varint((1 << 64) - 1, "the seed"), fields.varint(MAX_PICTURES, "the number of pictures")
        first = fields.varint(MAX_PICTURES - 1, "the first index")
        denoising = _take_denoising(fields, model.latent_channels)
        header = Header(pictures=pictures, seed=seed, latent_step=latent_step, autoencoder=model, denoising=denoising)
        return StoredNetwork(header, first, fields.rest())


def serialize_update(update: bytes) -> bytes:
    """Write the payload of an update of a model's decoder."""
    return bytes([_CHANGE]) + update


def parse_update(payload: bytes) -> bytes:
    """Read the payload of an update of a model's decoder. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("change of the decoder"):
        kind, rank = fields.numbers("BB")
        check(kind == _CHANGE, f"weights of kind {kind}, a change's are of kind {_CHANGE}")
        check(rank <= MAX_RANK, f"its rank is 0 to {MAX_RANK}, not {rank}")
        return payload[1:]


def _denoising(denoising: Denoising) -> bytes:
    network = denoising.network
    return b"".join((
        struct.pack("<Bd", denoising.steps, denoising.latent_std),
        struct.pack(f"<{len(denoising.means)}d{len(denoising.stds)}d", *denoising.means, *denoising.stds),
        struct.pack("<HBBB", network.hidden_size, network.depth, network.heads, network.patch_size),
        struct.pack("<BB", CONDITIONS.index(network.condition), INDEX_EMBEDDINGS.index(network.index_embedding)),
        struct.pack("<BdB", network.index_tokens, network.bandwidth, PREDICTIONS.index(denoising.prediction)),
    ))  # fmt: skip


def _take_denoising(fields: Fields, latent_channels: int) -> Denoising:
    steps, latent_std = fields.numbers("Bd")
    means, stds = fields.numbers(f"{latent_channels}d"), fields.numbers(f"{latent_channels}d")
    network = _network(fields)
    (prediction,) = fields.numbers("B")
    return Denoising(
        steps=steps,
        latent_std=latent_std,
        means=means,
        stds=stds,
        network=network,
        prediction=_known(prediction, PREDICTIONS, "prediction"),
    )


def _network(fields: Fields) -> NetworkConfig:
    hidden_size, depth, heads, patch_size, condition, embedding, tokens, bandwidth = fields.numbers("HBBBBBBd")
    return NetworkConfig(
        hidden_size=hidden_size,
        depth=depth,
        heads=heads,
        patch_size=patch_size,
        condition=_known(condition, CONDITIONS, "condition"),
        index_embedding=_known(embedding, INDEX_EMBEDDINGS, "index embedding"),
        index_tokens=tokens,
        bandwidth=bandwidth,
    )


def _known(number: int, names: tuple[str, ...], what: str) -> str:
    """Return the name with an id."""
    check(number < len(names), f"{what} {number}, known are 0 to {len(names) - 1}")
    return names[number]
