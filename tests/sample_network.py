"""A tiny network that several tests share."""

from unicorn_codec.format.header import AutoencoderReference, Denoising, Header, NetworkConfig

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
