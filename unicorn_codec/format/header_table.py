"""The header <-> the payloads of HEAD and, where there is a network, DENO."""

import struct

from unicorn_codec.format.header import (
    CONDITIONS,
    INDEX_EMBEDDINGS,
    PREDICTIONS,
    AutoencoderReference,
    Denoising,
    Header,
    NetworkConfig,
    check,
)
from unicorn_codec.format.sections import Fields, check_text, refusing


def serialize_header(header: Header) -> bytes:
    """Write the payload of HEAD: everything but ``denoising``, which has a section of its own."""
    autoencoder = header.autoencoder
    return b"".join((
        struct.pack("<IQd", header.pictures, header.seed, header.latent_step),
        _text(autoencoder.name) + _text(autoencoder.class_name),
        autoencoder.weights_sha256 + autoencoder.config_sha256,
        struct.pack("<QHB", autoencoder.weight_bytes, autoencoder.latent_channels, autoencoder.downsampling),
    ))  # fmt: skip


def parse_header(payload: bytes) -> Header:
    """Read the payload of HEAD: a header without ``denoising``. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("HEAD"):
        pictures, seed, latent_step = fields.numbers("IQd")
        name, class_name = fields.text(), fields.text()
        weights_sha256, config_sha256 = fields.take(32), fields.take(32)
        weight_bytes, channels, downsampling = fields.numbers("QHB")
        fields.finish()
        autoencoder = AutoencoderReference(
            name=name,
            class_name=class_name,
            weights_sha256=weights_sha256,
            config_sha256=config_sha256,
            weight_bytes=weight_bytes,
            latent_channels=channels,
            downsampling=downsampling,
        )
        return Header(pictures=pictures, seed=seed, latent_step=latent_step, autoencoder=autoencoder, denoising=None)


def serialize_denoising(denoising: Denoising) -> bytes:
    """Write the payload of DENO."""
    network = denoising.network
    return b"".join((
        struct.pack("<Bd", denoising.steps, denoising.latent_std),
        struct.pack(f"<{len(denoising.means)}d{len(denoising.stds)}d", *denoising.means, *denoising.stds),
        struct.pack("<HBBB", network.hidden_size, network.depth, network.heads, network.patch_size),
        struct.pack("<BB", CONDITIONS.index(network.condition), INDEX_EMBEDDINGS.index(network.index_embedding)),
        struct.pack("<BdB", network.index_tokens, network.bandwidth, PREDICTIONS.index(denoising.prediction)),
    ))  # fmt: skip


def parse_denoising(payload: bytes, latent_channels: int) -> Denoising:
    """Read the payload of DENO. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("DENO"):
        steps, latent_std = fields.numbers("Bd")
        means, stds = fields.numbers(f"{latent_channels}d"), fields.numbers(f"{latent_channels}d")
        network = _network(fields)
        (prediction,) = fields.numbers("B")
        fields.finish()
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
    """The name of an id."""
    check(number < len(names), f"{what} {number}, known are 0 to {len(names) - 1}")
    return names[number]


def _text(text: str) -> bytes:
    check_text(text)
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded
