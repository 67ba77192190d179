"""What a ``.uni`` file holds, as plain values ready for JSON. Loads no network and no torch."""

import os
from typing import Any

import numpy as np

from unicorn_codec.container import Container, read_container
from unicorn_codec.index_map import position_of_index
from unicorn_codec.sections import FORMAT_VERSION, PREAMBLE
from unicorn_codec.weights import weight_summary


def describe(path: str | os.PathLike[str], *, entries: bool = False) -> dict[str, Any]:
    """Describe a file; with ``entries`` also every image, by index.

    Raises ``ArchiveUnreadable`` and ``FormatError``.
    """
    container = read_container(path)
    header = container.header
    # All sections of the file, damaged ones included, lie between the preamble and the end of the last one.
    last = container.sections[-1]
    file_bytes = last.offset + last.bytes
    pixels = int(np.einsum("i,i->", container.sizes[:, 0], container.sizes[:, 1], dtype=np.int64))
    description: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "images": header.images,
        "index_bits": header.index_bits,
        "file_bytes": file_bytes,
        "pixels": pixels,
        "bits_per_pixel": 8 * file_bytes / pixels,
        "bits_per_pixel_with_autoencoder": 8 * (file_bytes + header.autoencoder.weight_bytes) / pixels,
        "seed": header.seed,
        "steps": header.steps,
        "latent_std": header.latent_std,
        "latent_step": header.latent_step,
        "preamble_bytes": len(PREAMBLE),
        **_parts(container),
        "sections": [{"type": s.type, "offset": s.offset, "bytes": s.bytes} for s in container.sections],
    }
    if entries:
        description["entries"] = _entries(container)
    return description


def _parts(container: Container) -> dict[str, Any]:
    autoencoder, network = container.header.autoencoder, container.header.network
    summary = weight_summary(container.weights)
    return {
        "autoencoder": {
            "name": autoencoder.name,
            "class": autoencoder.class_name,
            "sha256": autoencoder.weights_sha256.hex(),
            "bytes": autoencoder.weight_bytes,
            "latent_channels": autoencoder.latent_channels,
            "downsampling": autoencoder.downsampling,
        },
        "network": {
            "parameters": summary.count,
            "hidden_size": network.hidden_size,
            "depth": network.depth,
            "heads": network.heads,
            "patch_size": network.patch_size,
            "condition": network.condition,
            "index_embedding": network.index_embedding,
            "index_tokens": network.index_tokens,
            "bandwidth": network.bandwidth,
        },
        "weights": {
            "bits_per_weight": summary.format.bits,
            "exponent_bits": summary.format.exponent_bits,
            "mantissa_bits": summary.format.mantissa_bits,
            "bias": summary.format.bias,
            "bytes": len(container.weights),
        },
    }


def _entries(container: Container) -> list[dict[str, Any]]:
    """One entry an image, by index; the name is None if the file has no names."""
    header, names = container.header, container.names
    return [
        {
            "index": index,
            "name": None if names is None else names[position],
            "width": int(container.sizes[position, 0]),
            "height": int(container.sizes[position, 1]),
        }
        for index, position in enumerate(position_of_index(header.seed, header.images).tolist())
    ]
