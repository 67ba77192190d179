"""Describes a ``.uni`` file as plain values, ready for JSON. Loads neither a network nor torch."""

import os
from dataclasses import fields
from typing import Any

import numpy as np

from unicorn_codec.format.code_table import is_avif, is_half_size, is_in_sequence
from unicorn_codec.format.container import Container, read_container
from unicorn_codec.format.header import AutoencoderReference, NetworkConfig
from unicorn_codec.format.index_map import position_of_index
from unicorn_codec.format.quality_table import in_db
from unicorn_codec.format.sections import FORMAT_VERSION, FRAME_BYTES, PREAMBLE
from unicorn_codec.weights.weight_section import weight_summary


def describe(path: str | os.PathLike[str], *, entries: bool = False) -> dict[str, Any]:
    """Describe a file; with ``entries`` also every picture, by index.

    Raises:
        ArchiveUnreadable: the file cannot be read.
        FormatError: it is not a valid archive.
    """
    container = read_container(path)
    header = container.header
    # Damaged sections are listed too, so the last one ends where the file does.
    last = container.sections[-1]
    file_bytes = last.offset + last.bytes
    pixels = int(np.einsum("i,i->", container.sizes[:, 0], container.sizes[:, 1], dtype=np.int64))
    description: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "pictures": header.pictures,
        "index_bits": header.index_bits,
        "file_bytes": file_bytes,
        "pixels": pixels,
        "bits_per_pixel": 8 * file_bytes / pixels,
        "bits_per_pixel_with_autoencoder": 8 * (file_bytes + needed_weight_bytes(container)) / pixels,
        "seed": header.seed,
        "steps": 0 if header.denoising is None else header.denoising.steps,
        "latent_std": None if header.denoising is None else header.denoising.latent_std,
        "prediction": None if header.denoising is None else header.denoising.prediction,
        "latent_step": header.latent_step,
        "preamble_bytes": len(PREAMBLE),
        "autoencoder": _autoencoder(header.autoencoder),
        "network": _network(container),
        "weights": _weights(container.weights),
        "codes": _codes(container, pixels),
        "sections": [{"type": s.type, "offset": s.offset, "bytes": s.bytes} for s in container.sections],
    }
    if entries:
        description["entries"] = _entries(container)
    return description


def _autoencoder(autoencoder: AutoencoderReference) -> dict[str, Any]:
    return {
        "name": autoencoder.name,
        "class": autoencoder.class_name,
        "sha256": autoencoder.weights_sha256.hex(),
        "bytes": autoencoder.weight_bytes,
        "latent_channels": autoencoder.latent_channels,
        "downsampling": autoencoder.downsampling,
    }


def needed_weight_bytes(container: Container) -> int:
    """Return the bytes of the autoencoder's weights; 0 for an archive whose pictures are all stored as AVIF."""
    codes = container.codes
    is_needed = codes is None or not all(map(is_avif, codes.streams))
    return container.header.autoencoder.weight_bytes if is_needed else 0


def _network(container: Container) -> dict[str, Any]:
    """Describe the network: no parameters, and None for the rest, where there is none."""
    settings = [field.name for field in fields(NetworkConfig)]
    denoising, weights = container.header.denoising, container.weights
    if denoising is None or weights is None:
        return {"parameters": 0, **dict.fromkeys(settings)}
    return {
        "parameters": weight_summary(weights).count,
        **{name: getattr(denoising.network, name) for name in settings},
    }


def _weights(weights: bytes | None) -> dict[str, Any]:
    bits = ("bits_per_weight", "exponent_bits", "mantissa_bits", "bias")
    if weights is None:
        return {"format": None, **dict.fromkeys(bits), "bytes": 0}
    summary = weight_summary(weights)
    form = summary.format
    if form is None:
        mean_bits = 8 * len(weights) / summary.count
        return {"format": "integer", **dict.fromkeys(bits), bits[0]: mean_bits, "bytes": len(weights)}
    return {
        "format": "float",
        **dict(zip(bits, (form.bits, form.exponent_bits, form.mantissa_bits, form.bias), strict=True)),
        "bytes": len(weights),
    }


def _codes(container: Container, pixels: int) -> dict[str, Any]:
    """Describe the codes, with the table before them."""
    if container.codes is None:
        return {"level": None, "latent_step": None, "bytes": 0, "bits_per_pixel": 0.0}
    code_bytes = next(s.bytes for s in container.sections if s.type == "CODE") - FRAME_BYTES
    return {
        "level": container.codes.level,
        "latent_step": container.header.latent_step,
        "bytes": code_bytes,
        "bits_per_pixel": 8 * code_bytes / pixels,
    }


def _entries(container: Container) -> list[dict[str, Any]]:
    """Describe every picture, by index; the name is None if the file has no names.

    Bytes and codec are there if the file has codes, ``psnr_db`` if it has PSNRs.
    """
    header, names, codes, psnrs = container.header, container.names, container.codes, container.psnrs
    return [
        {
            "index": index,
            "name": None if names is None else names[position],
            "width": int(container.sizes[position, 0]),
            "height": int(container.sizes[position, 1]),
            **({} if codes is None else _of_code(codes.streams[position])),
            **({} if psnrs is None else {"psnr_db": in_db(int(psnrs[position]))}),
        }
        for index, position in enumerate(position_of_index(header.seed, header.pictures).tolist())
    ]


def _of_code(code: bytes) -> dict[str, Any]:
    if is_avif(code):
        codec = "avif-sequence" if is_in_sequence(code) else "avif"
    else:
        codec = "half-size" if is_half_size(code) else "latents"
    return {"code_bytes": len(code), "codec": codec}
