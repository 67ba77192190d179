"""Tiny containers that several tests share: one with a network, one with codes."""

from dataclasses import replace

import numpy as np

from unicorn_codec.format.code_table import Codes
from unicorn_codec.format.container import Container
from unicorn_codec.format.header import AutoencoderReference, Denoising, Header, NetworkConfig, WeightFormat
from unicorn_codec.weights.weight_section import serialize_weights

DENOISING = Denoising(
    steps=2,
    latent_std=1 / 3,
    means=(0.1,),
    stds=(1.7,),
    network=NetworkConfig(hidden_size=4, depth=1, heads=1, patch_size=1, index_tokens=1, bandwidth=0.3),
)
HEADER = Header(
    pictures=3,
    seed=7,
    latent_step=0.1,
    autoencoder=AutoencoderReference(
        name="photo-1",
        class_name="CodingAutoencoder",
        weights_sha256=bytes(range(32)),
        config_sha256=bytes(32),
        weight_bytes=1000,
        latent_channels=1,
        downsampling=8,
    ),
    denoising=DENOISING,
)
WEIGHTS = serialize_weights(np.linspace(-1, 1, 268, dtype=np.float32), WeightFormat(exponent_bits=4, mantissa_bits=3))
SIZES = np.array([(16, 8), (8, 8), (16, 8)], dtype=np.int32)
NAMES = ("a.png", "b/d.jpg", "b/ç.jpg")
CODES = Codes(level=5, model_sha256=bytes(range(32, 64)), streams=(b"\0", b"some", b"more codes"))
CONTAINER = Container(header=HEADER, sizes=SIZES, weights=WEIGHTS, names=NAMES)
CODED = Container(header=replace(HEADER, denoising=None), sizes=SIZES, codes=CODES, names=NAMES)
